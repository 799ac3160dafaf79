"""`make bench`: builds what is measured, measures it, and writes docs/benchmarks.md,
docs/benchmarks.json and docs/costs.json.

What is measured is built as it is deployed, into target/bench/lambda/<name>/bootstrap. Nothing
else should run on the machine meanwhile.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import costs
import report

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "target" / "bench"
HARNESS = ROOT / "target" / "harness" / "bellwire-bench"
MEASURED = ROOT / "docs" / "benchmarks.json"
TABLES = ROOT / "docs" / "benchmarks.md"
COSTS = ROOT / "docs" / "costs.json"
PARTS = ["init", "deliver", "fan_out", "published", "local_stack", "patches"]
# With more users than that, or several topics, the local stack falls behind.
LOCAL_USERS = "50"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a trial: few runs, and nothing is written to docs/")
    parser.add_argument(
        "--only", choices=PARTS, help="measure this part again, and leave the others as they were written"
    )
    parser.add_argument("--pages", action="store_true", help="measure nothing: write the pages as prices are now")
    arguments = parser.parse_args()
    if arguments.pages:
        write_pages(json.loads(MEASURED.read_text()))
        return 0
    build()
    peers = install_peers()
    parts = [arguments.only] if arguments.only else PARTS
    measured = json.loads(MEASURED.read_text()) if arguments.only else {"at": {}}
    measured |= {"machine": machine(), "versions": versions()}
    for part in parts:
        measured["at"][part] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        measured[part] = measure_part(part, peers, arguments.quick)
    if arguments.quick:
        print(report.tables(measured))
        return 0
    MEASURED.write_text(json.dumps(measured, indent=1) + "\n")
    print(f"written: {MEASURED.relative_to(ROOT)}")
    write_pages(measured)
    return 0


def write_pages(measured: dict) -> None:
    """Writes what follows from the measurements, the prices and the template."""
    TABLES.write_text(report.tables(measured))
    COSTS.write_text(json.dumps(costs.summary(measured["fan_out"]), indent=1, sort_keys=True) + "\n")
    print(f"written: {TABLES.relative_to(ROOT)}, {COSTS.relative_to(ROOT)}")


def measure_part(part: str, peers: dict[str, str], quick: bool):
    seconds = ["--seconds", "5"] if quick else []
    match part:
        case "init":
            few = ["--starts", "3", "--warm", "20"] if quick else []
            peer_options = [option for name, command in peers.items() for option in ("--peer", f"{name}={command}")]
            return measure("cold starts", "init", *few, *peer_options)
        case "deliver":
            few = ["--deliveries", "500", "--runs", "1"] if quick else []
            return measure("deliveries", "deliver", *few)
        case "fan_out":
            return measure("fan-outs", "fan-out", *(["--most", "1000"] if quick else []))
        case "published":
            return measure("the published latencies", "published", *seconds)
        case "local_stack":
            return on_local_stack(*seconds)
        case _:
            return measure("patches", "patches")


def build() -> None:
    packages = [path.parent.name for path in sorted((ROOT / "functions").glob("*/Cargo.toml"))] + ["floor", "ceiling"]
    options = [option for name in packages for option in ("--package", name)]
    run(
        "building the functions as they are deployed",
        ["cargo", "lambda", "build", "--release", "--locked", "--lambda-dir", str(BENCH / "lambda"), *options],
    )
    run("building the harness", ["cargo", "build", "--profile", "harness", "--locked", "--package", "bellwire-bench"])


def install_peers() -> dict[str, str]:
    """The commands of the peers, by name."""
    peers = ROOT / "benches" / "peers"
    python, node = BENCH / "python", BENCH / "node"
    if not (python / "bin" / "python").exists():
        run("installing the peer in Python", [sys.executable, "-m", "venv", str(python)])
    requirements = str(peers / "python" / "requirements.txt")
    run("installing boto3", [str(python / "bin" / "pip"), "install", "--quiet", "--requirement", requirements])
    node.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "bootstrap.mjs"):
        shutil.copy(peers / "node" / name, node)
    run("installing the SDK for Node.js", ["npm", "ci", "--silent", "--no-audit", "--no-fund"], node)
    return {
        "subscribe in Python": f"{python}/bin/python {peers / 'python' / 'bootstrap.py'}",
        "subscribe in Node.js": f"{shutil.which('node')} {node / 'bootstrap.mjs'}",
    }


def measure(what: str, *arguments: str):
    began = time.monotonic()
    print(f"measuring {what} …", flush=True)
    done = subprocess.run([str(HARNESS), *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {what}: {done.stderr[-2000:]}")
    print(f"  {time.monotonic() - began:.0f} s", flush=True)
    return json.loads(done.stdout)


def on_local_stack(*arguments: str):
    """The published latencies again, on the local stack."""
    run("starting the local stack", [sys.executable, str(ROOT / "local" / "stack.py"), "up"])
    try:
        with (ROOT / ".local" / "env").open() as lines:
            env = dict(line.rstrip("\n").split("=", 1) for line in lines)
        cli = ROOT / "target" / "debug" / "bellwire"
        command = [str(cli), "clients", "create", "benchmarks", "--publisher", "--json"]
        created = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, check=True)
        os.environ["BELLWIRE_BENCH_KEY"] = json.loads(created.stdout)["api_key"]
        return measure(
            "the published latencies on the local stack",
            "local-stack",
            "--url",
            env["BELLWIRE_URL"],
            "--users",
            LOCAL_USERS,
            *arguments,
        )
    finally:
        run("stopping the local stack", [sys.executable, str(ROOT / "local" / "stack.py"), "down"])


def run(what: str, command: list[str], folder: Path = ROOT) -> None:
    print(f"{what} …", flush=True)
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {what}: `{' '.join(command)}` failed\n{(done.stdout + done.stderr)[-4000:]}")


def machine() -> dict[str, str]:
    with open("/proc/cpuinfo") as lines:
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    with open("/proc/meminfo") as lines:
        memory = int(next(line for line in lines if line.startswith("MemTotal")).split()[1]) / 1024 / 1024
    return {
        "processor": f"{model}, {os.cpu_count()} threads",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
    }


def versions() -> dict[str, str]:
    def first_line(*command: str) -> str:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip().splitlines()[0]

    return {
        "Bellwire": first_line("git", "describe", "--always", "--dirty"),
        "Rust": first_line("rustc", "--version"),
        "Python": first_line(str(BENCH / "python" / "bin" / "python"), "--version"),
        "boto3": first_line(str(BENCH / "python" / "bin" / "python"), "-c", "import boto3; print(boto3.__version__)"),
        "Node.js": first_line("node", "--version"),
        "SDK for JavaScript": json.loads(
            (BENCH / "node" / "node_modules" / "@aws-sdk" / "client-sns" / "package.json").read_text()
        )["version"],
    }


if __name__ == "__main__":
    sys.exit(main())
