"""Compiles the functions and the CLI, in one go, and lays them out as `sam deploy` takes them.

`sam build` compiles function by function, each with the features that it alone asks for, and so
compiles most crates several times. For AWS that makes the smallest binaries; here one build of
Cargo's dev profile serves the local stack, the CLI and the Rust tests.
"""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import template
from console import Steps
from settings import LOCAL, ROOT, environment

# What `sam deploy` reads: the template as it is, and beside it what its CodeUri says.
TEMPLATE = LOCAL / "build" / "template.yaml"
BINARIES = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
CLI = BINARIES / "bellwire"
# Measured with a profile of their own, by `make bench`.
BENCHES = ["bellwire-bench", "ceiling", "floor"]


def build(steps: Steps) -> None:
    """Builds what is out of date. Cargo knows what that is."""
    steps.run(
        "compiling the functions and the CLI",
        ["cargo", "build", "--locked", "--workspace", *without_benches(), "--bins"],
        environment(CARGO_TERM_PROGRESS_WHEN="always", CARGO_TERM_PROGRESS_WIDTH="200"),
        LOCAL / "build.log",
    )
    lay_out()


def without_benches() -> list[str]:
    """Options of Cargo."""
    return [option for name in BENCHES for option in ("--exclude", name)]


def lay_out() -> None:
    """Zips the functions that have changed, which is most of a deployment, and puts the template beside them."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(zip_function, template.functions()))
    replace(TEMPLATE, partial(shutil.copyfile, ROOT / "template.yaml"))


def zip_function(function: str) -> None:
    program, archive = bootstrap(function), package(function)
    if archive.is_file() and archive.stat().st_mtime_ns == program.stat().st_mtime_ns:
        return
    archive.parent.mkdir(parents=True, exist_ok=True)
    replace(archive, partial(make_zip, program))
    os.utime(archive, ns=(program.stat().st_atime_ns, program.stat().st_mtime_ns))


def make_zip(program: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as content:
        content.write(program, "bootstrap")


def bootstrap(function: str) -> Path:
    """The program of the function of this logical id."""
    return BINARIES / Path(template.functions()[function]).name


def package(function: str) -> Path:
    """Where SAM looks for what the function's CodeUri says: a zip file, which it uploads as it is."""
    return TEMPLATE.parent / template.functions()[function]


def replace(file: Path, make: Callable[[Path], object]) -> None:
    """Replaces a file by what `make` makes, in one step: whoever reads it has the old or the new one."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        copy = Path(folder) / file.name
        make(copy)
        copy.rename(file)
