"""`make up` and `make down`: the stack of template.yaml on the local AWS."""

import fcntl
import hashlib
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import build
import emulator
import template
from clients import aws
from console import Failed, Steps
from settings import AWS, ENDPOINT, LOCAL, PORT, ROOT, STACK, STAGE, STATE, environment

DEPLOYED = STATE / "deployed.txt"


def up() -> dict[str, str]:
    """Builds and deploys the stack, and writes .local/env. Returns what is in it."""
    if shutil.which("cargo") is None:
        raise Failed("cargo is missing; install Rust from https://rustup.rs")
    with one_at_a_time():
        steps = Steps(3)
        fresh = start(steps)
        build.build(steps)
        deploy(steps, fresh)
        env = describe()
        write_env(env)
        return env


def start(steps: Steps) -> bool:
    """Starts the local AWS unless it runs. Returns whether it is a fresh one, with nothing in it."""
    what = "starting the local AWS"
    if emulator.running():
        steps.skip(what, "it runs already")
        return False
    emulator.start()
    steps.skip(what, f"it listens on 127.0.0.1:{PORT}")
    return True


def deploy(steps: Steps, fresh: bool) -> None:
    """Deploys what was built, unless just that is deployed already."""
    built = fingerprint()
    if not fresh and DEPLOYED.exists() and DEPLOYED.read_text() == built:
        steps.skip("deploying", "nothing has changed")
        return
    DEPLOYED.unlink(missing_ok=True)
    steps.run(
        "deploying",
        [
            *("sam", "deploy", "--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local"),
            *("--template-file", str(build.TEMPLATE)),
        ],
        environment(),
        STATE / "deploy.log",
    )
    DEPLOYED.write_text(built)


def fingerprint() -> str:
    """Changes with the template, its parameters and every binary."""
    files = [ROOT / "samconfig.toml", build.TEMPLATE, *map(build.package, sorted(template.functions()))]
    return "\n".join(f"{file} {digest(file)}" for file in files)


def digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def describe() -> dict[str, str]:
    """What a user of the stack needs to know, as environment variables."""
    [stack] = aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return {
        "BELLWIRE_URL": f"{ENDPOINT}/_aws/execute-api/{outputs['ApiId']}/{STAGE}",
        "BELLWIRE_STACK": STACK,
        **AWS,
    }


def write_env(env: dict[str, str]) -> None:
    lines = "".join(f"{key}={value}\n" for key, value in env.items())
    unfinished = STATE / "env.new"
    unfinished.write_text(lines)
    unfinished.rename(STATE / "env")


def down() -> None:
    with one_at_a_time():
        stopped = emulator.stop()
        (STATE / "env").unlink(missing_ok=True)
        DEPLOYED.unlink(missing_ok=True)
        shutil.rmtree(STATE / "tmp", ignore_errors=True)
    print("stopped" if stopped else "nothing was running")


@contextmanager
def one_at_a_time():
    """Two stacks share what they are built from: whichever it is, the other waits."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (LOCAL / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    try:
        if sys.argv[1:] == ["up"]:
            env = up()
            print(
                f"the local stack is up: {env['BELLWIRE_URL']}; {(STATE / 'env').relative_to(ROOT)} has its variables"
            )
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
