"""The tools that generate clients from openapi.yaml: pinned in tests/clients, installed into .local/clients.

They are no part of .venv: what needs them is a few tests, and those in Node.js are not on every machine.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from console import Failed
from settings import LOCAL, ROOT, VENV, environment

PINS = ROOT / "tests" / "clients"
TOOLS = LOCAL / "clients"
CONTRACT = ROOT / "openapi.yaml"
NODE = 20  # the oldest major version of Node.js that the tools run in


class Missing(Failed):
    """A tool that no pin installs, such as Node.js, is not on this machine."""


@cache
def python() -> Path:
    """The folder of the programs in Python: openapi-python-client, mypy, and a Python that has what clients import."""
    folder, pins = TOOLS / "python", PINS / "requirements.txt"

    def install() -> None:
        run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
        sync = [str(VENV / "bin" / "uv"), "pip", "sync", "--quiet", "--require-hashes", str(pins)]
        run(sync, env=environment(VIRTUAL_ENV=str(folder)))

    once(folder, install, pins)
    return folder / "bin"


@cache
def node() -> Path:
    """The folder with package.json and node_modules: openapi-typescript, openapi-fetch, tsc and openapi2postmanv2.
    Raises Missing without Node.js and npm."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Missing("Node.js and npm are not installed")
    version = run(["node", "--version"]).strip()
    if not (major := re.match(r"v(\d+)\.", version)) or int(major[1]) < NODE:
        raise Missing(f"Node.js is {version}; {NODE} or later is needed")
    folder, pins = TOOLS / "node", [PINS / "package.json", PINS / "package-lock.json", PINS / ".npmrc"]

    def install() -> None:
        for file in pins:
            shutil.copy(file, folder)
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)

    once(folder, install, *pins)
    return folder


def once(folder: Path, install: Callable[[], None], *pins: Path) -> None:
    """Installs into an empty folder, unless what these pins say is there."""
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in pins)).hexdigest()
    stamp = folder / ".pins"
    with lock():
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        install()
        stamp.write_text(wanted)


@contextmanager
def lock() -> Iterator[None]:
    """One installation at a time, over all processes."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command: list[str], cwd: Path = ROOT, env: dict[str, str] | None = None, seconds: float = 300) -> str:
    """What a command writes to its standard output. Raises Failed, with what it wrote, if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env or environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    if done.returncode != 0:
        raise Failed(f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout
