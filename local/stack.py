"""`make up` and `make down`: the stack of template.yaml on the local AWS."""

import fcntl
import hashlib
import json
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import boto3

import emulator
from console import Failed, step
from settings import AWS, ENDPOINT, PORT, ROOT, STACK, STAGE, STATE, environment

BUILT = STATE / "deployed.txt"


def up() -> dict[str, str]:
    """Builds and deploys the stack, and writes .local/env. Returns what is in it."""
    if shutil.which("cargo") is None:
        raise Failed("cargo is missing; install Rust from https://rustup.rs")
    with one_at_a_time():
        fresh = emulator.running() is None
        emulator.start()
        build()
        deploy(fresh)
        env = describe()
        write_env(env)
        return env


def build() -> None:
    # The dev profile of Cargo.toml: cheap to build, good enough for one machine.
    step(
        "building the functions (the first time takes about three minutes)",
        ["sam", "build", "--config-env", "local", "--parameter-overrides", "Architecture=x86_64"],
        environment(SAM_BUILD_MODE="debug"),
        STATE / "build.log",
    )
    step("building the CLI", ["cargo", "build", "--locked", "--package", "bellwire-cli"], environment(), STATE / "cli.log")


def deploy(fresh: bool) -> None:
    """Deploys what was built, unless just that is deployed already."""
    built = fingerprint()
    if not fresh and BUILT.exists() and BUILT.read_text() == built:
        print("deploying: nothing has changed")
        return
    BUILT.unlink(missing_ok=True)
    step("deploying", ["sam", "deploy", "--config-env", "local"], environment(), STATE / "deploy.log")
    BUILT.write_text(built)


def fingerprint() -> str:
    """Changes with the template, its parameters and every binary."""
    built = ROOT / ".aws-sam" / "build"
    files = [ROOT / "samconfig.toml", built / "template.yaml", *sorted(built.glob("*/bootstrap"))]
    return "\n".join(f"{file} {digest(file)}" for file in files)


def digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def describe() -> dict[str, str]:
    """What a user of the stack needs to know, as environment variables."""
    session = boto3.Session(
        aws_access_key_id=AWS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=AWS["AWS_SECRET_ACCESS_KEY"],
        region_name=AWS["AWS_REGION"],
    )
    cloudformation = session.client("cloudformation", endpoint_url=ENDPOINT)
    [stack] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    write_invoke_files(session, cloudformation)
    return {
        "BELLWIRE_URL": f"{ENDPOINT}/_aws/execute-api/{outputs['ApiId']}/{STAGE}",
        "BELLWIRE_STACK": STACK,
        **AWS,
    }


def write_invoke_files(session, cloudformation) -> None:
    """For `sam local invoke`: the template as it was built, in which functions find the local
    AWS, and the functions' environment variables as deployed.

    SAM passes on only variables that the template names; in the real one that is not the endpoint.
    """
    built = ROOT / ".aws-sam" / "build"
    endpoint = f"    Environment: {{Variables: {{AWS_ENDPOINT_URL: '{ENDPOINT}'}}}}\n"
    template = (built / "template.yaml").read_text().replace("  Function:\n", f"  Function:\n{endpoint}", 1)
    (built / "local.yaml").write_text(template)
    functions = session.client("lambda", endpoint_url=ENDPOINT)
    resources = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    variables = {
        resource["LogicalResourceId"]: functions.get_function_configuration(
            FunctionName=resource["PhysicalResourceId"]
        )["Environment"]["Variables"]
        | {"AWS_ENDPOINT_URL": ENDPOINT}
        for resource in resources
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }
    (STATE / "invoke-env.json").write_text(json.dumps(variables, indent=2) + "\n")


def write_env(env: dict[str, str]) -> None:
    lines = "".join(f"{key}={value}\n" for key, value in env.items())
    unfinished = STATE / "env.new"
    unfinished.write_text(lines)
    unfinished.rename(STATE / "env")


def down() -> None:
    with one_at_a_time():
        stopped = emulator.stop()
        (STATE / "env").unlink(missing_ok=True)
        BUILT.unlink(missing_ok=True)
        shutil.rmtree(STATE / "tmp", ignore_errors=True)
    print("stopped" if stopped else "nothing was running")


@contextmanager
def one_at_a_time():
    STATE.mkdir(exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    try:
        if sys.argv[1:] == ["up"]:
            env = up()
            print(f"the local stack is up: {env['BELLWIRE_URL']} (AWS on port {PORT}); .local/env has its variables")
        elif sys.argv[1:] == ["down"]:
            down()
        else:
            raise Failed("usage: stack.py up|down")
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
