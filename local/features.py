"""Checks that `make up` and `cargo test` compile dependencies with the same features, and so once.

A crate that tests ask more features of than functions do would be compiled twice, and everything
that depends on it as well. crates/dev-features asks for those features wherever both are built.
"""

import subprocess
import sys

import build
from settings import ROOT, environment


def features(edges: str) -> dict[str, str]:
    """The features of each crate, by name and version."""
    command = ["cargo", "tree", "--locked", "--workspace", *build.without_benches(), "--edges", edges]
    options = ["--format", "{p}|{f}", "--prefix", "none"]
    done = subprocess.run([*command, *options], cwd=ROOT, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    lines = [line.removesuffix(" (*)").partition("|") for line in done.stdout.splitlines() if "|" in line]
    return {crate: names for crate, _, names in lines}


def main() -> int:
    stack, tests = features("normal"), features("normal,dev")
    different = sorted(crate for crate in stack if tests[crate] != stack[crate])
    for crate in different:
        more = sorted(set(tests[crate].split(",")) - set(stack[crate].split(",")))
        print(f"{crate}: tests turn on {', '.join(more)}; name it in crates/dev-features/Cargo.toml", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
