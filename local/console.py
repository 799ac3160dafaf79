"""Long steps on a terminal, and failures in one line."""

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

TICK = 0.5
TICK_WITHOUT_TERMINAL = 30
# What cargo, sam and CloudFormation begin a line with when something is wrong.
FAULT = re.compile(r"\s*(error(\[\w+\])?:|\w*Error:|CREATE_FAILED|UPDATE_FAILED)", re.IGNORECASE)


class Failed(Exception):
    """A step failed; the text is for the user."""


def step(what: str, command: list[str], env: dict[str, str], log: Path) -> None:
    """Runs a command with its output in a log file, and shows that it goes on.

    Raises Failed with one line: the first line of the log that says what went wrong.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        watcher = threading.Thread(target=show_progress, args=(what, process, log, started), daemon=True)
        watcher.start()
        code = process.wait()
        watcher.join()
    if code != 0:
        raise Failed(f"{what} failed: {reason(log)} (see {log})")
    print(f"{what}: {time.monotonic() - started:.0f} s", flush=True)


def show_progress(what: str, process: subprocess.Popen, log: Path, started: float) -> None:
    """Until the process ends: its latest line, or, without a terminal, a line now and then."""
    terminal = sys.stdout.isatty()
    next_line = time.monotonic() + TICK_WITHOUT_TERMINAL
    while process.poll() is None:
        time.sleep(TICK)
        seconds = time.monotonic() - started
        if terminal:
            line = f"{what}: {seconds:.0f} s  {last_line(log)}"
            print(f"\r\x1b[K{line[:100]}", end="", flush=True)
        elif time.monotonic() >= next_line:
            print(f"{what} … {seconds:.0f} s", flush=True)
            next_line += TICK_WITHOUT_TERMINAL
    if terminal:
        print("\r\x1b[K", end="", flush=True)


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def reason(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in lines if FAULT.match(line)), last_line(log))
