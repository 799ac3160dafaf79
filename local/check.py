"""`make check`: everything that can be checked without a stack, in a minute and a half at most once
everything is compiled."""

import subprocess
import sys
import time

import build
from console import Failed
from settings import LOCAL, ROOT, environment

WORKSPACE = ["--workspace", "--locked"]
TOOLS = LOCAL / "tools" / "bin"
# What has code of its own: the benchmarks have no tests, and are compiled for `make bench`.
TESTED = [*WORKSPACE, *build.without_benches()]

CHECKS = [
    ("format", ["cargo", "fmt", "--all", "--check"]),
    ("Python: format", ["ruff", "format", "--check", "."]),
    ("Python: lints", ["ruff", "check", "."]),
    ("Python: types", ["mypy"]),
    ("template", ["sam", "validate", "--lint"]),
    ("template, CloudFormation's rules", ["cfn-lint", "template.yaml"]),
    (
        "dependencies: bans, licences, sources",
        [str(TOOLS / "cargo-deny"), *("check", "bans", "licenses", "sources")],
    ),
    ("dependencies that nothing uses", [str(TOOLS / "cargo-machete")]),
    ("features of functions and of tests", [sys.executable, "local/features.py"]),
    ("lints", ["cargo", "clippy", *WORKSPACE, "--all-targets", "--", "-D", "warnings"]),
    ("documentation", ["cargo", "doc", *WORKSPACE, "--no-deps", "--document-private-items"]),
    ("unit, property and table tests", ["cargo", "test", *TESTED, "--quiet"]),
]


def check() -> None:
    """Runs every check, the quick ones first. Raises Failed at the first that fails."""
    for n, (what, command) in enumerate(CHECKS, 1):
        run(f"[{n}/{len(CHECKS)}] {what}", command)


def run(title: str, command: list[str]) -> None:
    """Runs a command whose output is for the user."""
    began = time.monotonic()
    print(f"\n== {title}", flush=True)
    own = environment(RUSTDOCFLAGS="-D warnings")
    done = subprocess.run(command, cwd=ROOT, env=own, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failed(f"{title}: `{' '.join(command)}` failed")
    print(f"-- {time.monotonic() - began:.0f} s", flush=True)


def main() -> int:
    began = time.monotonic()
    try:
        check()
    except Failed as failed:
        print(f"\nerror: {failed}", file=sys.stderr)
        return 1
    print(f"\nall checks passed in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
