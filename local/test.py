"""`make test`: every check and every test, from nothing."""

import subprocess
import sys
import time

import emulator
import stack
from console import Failed
from settings import ROOT, environment

CHECKS = [
    ("format", ["cargo", "fmt", "--all", "--check"]),
    ("lints", ["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    ("template", ["sam", "validate", "--lint"]),
    ("template, CloudFormation's rules", ["cfn-lint", "template.yaml"]),
    ("unit, property and table tests", ["cargo", "test", "--workspace", "--locked", "--quiet"]),
]
END_TO_END = [sys.executable, "-m", "pytest", "tests", "--quiet", "-p", "no:cacheprovider"]


def main() -> int:
    started = time.monotonic()
    found_up = emulator.running() is not None
    try:
        for what, command in CHECKS:
            check(what, command)
        print("\n== local stack", flush=True)
        stack.up()
        check("end-to-end tests", END_TO_END)
    except Failed as failed:
        print(f"\nerror: {failed}", file=sys.stderr)
        return 1
    finally:
        if not found_up:
            stack.down()
    print(f"\nall checks and tests passed in {time.monotonic() - started:.0f} s")
    return 0


def check(what: str, command: list[str]) -> None:
    print(f"\n== {what}", flush=True)
    if subprocess.run(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL).returncode != 0:
        raise Failed(f"{what}: `{' '.join(command)}` failed")


if __name__ == "__main__":
    sys.exit(main())
