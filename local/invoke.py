"""`make invoke FUNCTION=… EVENT=…`: one function of the template in Docker, by `sam local invoke`, with
a file of events/.

The function has the environment variables that it is deployed with, and finds the local AWS. The
file's made-up client is replaced by a real one, so that its requests are answered.
"""

import asyncio
import ipaddress
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import build
import docker
import docker.errors
import stack
import template
from clients import aws
from console import Failed
from settings import PORT, ROOT, STACK, STATE, environment

USAGE = "usage: make invoke FUNCTION=SubscribeFunction EVENT=events/subscribe/callback-url.json"
# What the files in events/ have for a client; it is made up.
SAMPLE = {
    "client_id": "cl_aaaaaaaaaaaaaaaaaaaaaaaa",
    "api_key": "bwk_sample-key-of-the-files-in-events",
    "client_secret": "bws_sample-secret-of-the-files-in-events",
}
IMAGE = "public.ecr.aws/lambda/provided:al2023-x86_64"
CLIENT = STATE / "invoke-client.json"


def main() -> int:
    try:
        function, event = arguments()
        gateway = find_gateway()
        env = stack.up()
        with tempfile.TemporaryDirectory() as folder:
            command = prepare(Path(folder), function, event, env, gateway)
            return asyncio.run(run(command, gateway))
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1


def arguments() -> tuple[str, Path]:
    function, event, *_ = *sys.argv[1:], "", ""
    functions = sorted(template.functions())
    if not function or not event:
        raise Failed(f"{USAGE}\nfunctions: {', '.join(functions)}")
    if function not in functions:
        raise Failed(f"there is no function {function}; there are {', '.join(functions)}")
    if not Path(event).is_file():
        folder = ROOT / "events" / Path(template.functions()[function]).name
        files = ", ".join(str(file.relative_to(ROOT)) for file in sorted(folder.glob("*.json")))
        raise Failed(f"there is no file {event}; for {function} there are {files}")
    return function, Path(event)


def find_gateway() -> str:
    """The address at which containers find this machine: that of Docker's default network."""
    try:
        network = docker.from_env().networks.get("bridge")
    except docker.errors.DockerException as error:
        raise Failed(f"`sam local invoke` needs Docker, and none answers here ({error})") from None
    for config in network.attrs["IPAM"]["Config"]:
        subnet = ipaddress.ip_network(config["Subnet"])
        if subnet.version == 4:
            # Docker doesn't always say which it is; then it is the first.
            return config.get("Gateway") or str(subnet[1])
    raise Failed("Docker's network `bridge` has no IPv4 addresses")


def prepare(folder: Path, function: str, event: Path, env: dict[str, str], gateway: str) -> list[str]:
    """Writes the files that SAM wants, and returns its command."""
    endpoint = f"http://{gateway}:{PORT}"
    # SAM passes on only variables that the template names; in the real one that is not the endpoint.
    for_sam, program = folder / "template.yaml", folder / template.functions()[function] / "bootstrap"
    program.parent.mkdir(parents=True)
    shutil.copy(build.bootstrap(function), program)
    variables = f"    Environment: {{Variables: {{AWS_ENDPOINT_URL: '{endpoint}'}}}}\n"
    for_sam.write_text(build.TEMPLATE.read_text().replace("  Function:\n", f"  Function:\n{variables}", 1))
    deployed = deployed_variables(function) | {"AWS_ENDPOINT_URL": endpoint}
    (folder / "variables.json").write_text(json.dumps({function: deployed}))
    (folder / "event.json").write_text(with_client(event.read_text(), env))
    return [
        *("sam", "local", "invoke", function),
        *("--template-file", str(for_sam)),
        *("--env-vars", str(folder / "variables.json")),
        *("--event", str(folder / "event.json")),
        *("--parameter-overrides", "Architecture=x86_64"),
        # SAM would ask for a newer one each time.
        *(["--skip-pull-image"] if has_image() else []),
    ]


def has_image() -> bool:
    """Whether AWS's image of the functions' runtime is on this machine."""
    try:
        docker.from_env().images.get(IMAGE)
    except docker.errors.ImageNotFound:
        return False
    return True


def deployed_variables(function: str) -> dict[str, str]:
    answer = aws("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=function)
    name = answer["StackResourceDetail"]["PhysicalResourceId"]
    configuration = aws("lambda").get_function_configuration(FunctionName=name)
    return configuration["Environment"]["Variables"]


def with_client(event: str, env: dict[str, str]) -> str:
    """The event of a client that the stack knows: an operator, which may make every request; made the first time."""
    client = json.loads(CLIENT.read_text()) if CLIENT.exists() else {}
    if client.get("url") != env["BELLWIRE_URL"]:
        # A stack whose API was replaced still has the client of the one before.
        name = f"make-invoke at {env['BELLWIRE_URL']}"
        command = [str(build.CLI), "clients", "create", name, "--operator", "--json"]
        done = subprocess.run(command, env=environment(**env), capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(done.stderr.strip())
        client = json.loads(done.stdout) | {"url": env["BELLWIRE_URL"]}
        CLIENT.write_text(json.dumps(client))
    for name, made_up in SAMPLE.items():
        event = event.replace(made_up, client[name])
    return event


async def run(command: list[str], gateway: str) -> int:
    """Runs SAM, and meanwhile lets containers reach the local AWS, which listens on loopback only."""
    try:
        server = await asyncio.start_server(forward, gateway, PORT)
    except OSError as error:
        raise Failed(f"containers can't be given a way to the local AWS at {gateway}:{PORT}: {error}") from None
    async with server:
        process = await asyncio.create_subprocess_exec(*command, env=environment(), cwd=ROOT)
        return await process.wait()


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    there_reader, there_writer = await asyncio.open_connection("127.0.0.1", PORT)
    await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # one side has closed the connection; closing the other ends it there as well
    finally:
        writer.close()


if __name__ == "__main__":
    sys.exit(main())
