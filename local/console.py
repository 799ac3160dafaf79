"""Long steps on a terminal, and failures in one line."""

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

TICK = 0.5
TICK_WITHOUT_TERMINAL = 30
LONGEST_LINE = 100
# What cargo, sam and CloudFormation begin a line with when something is wrong.
FAULT = re.compile(r"\s*(error(\[\w+\])?:|\w*Error:|CREATE_FAILED|UPDATE_FAILED)", re.IGNORECASE)
# Cargo's progress: how many crates of how many, and which are being compiled.
COMPILING = re.compile(r"Building \[[=> ]*\] (?P<done>\d+)/(?P<all>\d+): (?P<which>.+)")


class Failed(Exception):
    """A step failed; the text is for the user."""


class Steps:
    """The steps of a command, numbered: which it is, and of how many."""

    def __init__(self, count: int):
        self.count = count
        self.number = 0

    def next(self, what: str) -> str:
        self.number += 1
        return f"[{self.number}/{self.count}] {what}"

    def run(self, what: str, command: list[str], env: dict[str, str], log: Path) -> None:
        """Runs a command with its output in a log file, and shows that it goes on.

        Raises Failed with one line: the first line of the log that says what went wrong.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        title = self.next(what)
        started = time.monotonic()
        with log.open("w") as output:
            process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            watcher = threading.Thread(target=show_progress, args=(title, process, log, started), daemon=True)
            watcher.start()
            code = process.wait()
            watcher.join()
        if code != 0:
            raise Failed(f"{what} failed: {reason(log)} (see {log})")
        print(f"{title}: {time.monotonic() - started:.0f} s", flush=True)

    def skip(self, what: str, why: str) -> None:
        print(f"{self.next(what)}: {why}", flush=True)


def show_progress(title: str, process: subprocess.Popen, log: Path, started: float) -> None:
    """Until the process ends: what it is at, or, without a terminal, a line now and then."""
    terminal = sys.stdout.isatty()
    next_line = time.monotonic() + TICK_WITHOUT_TERMINAL
    while process.poll() is None:
        time.sleep(TICK)
        line = f"{title}: {time.monotonic() - started:.0f} s  {at_work(log)}"[:LONGEST_LINE]
        if terminal:
            print(f"\r\x1b[K{line}", end="", flush=True)
        elif time.monotonic() >= next_line:
            print(line, flush=True)
            next_line += TICK_WITHOUT_TERMINAL
    if terminal:
        print("\r\x1b[K", end="", flush=True)


def at_work(log: Path) -> str:
    """What a command is at, as its log has it."""
    line = last_line(log)
    if progress := COMPILING.match(line):
        return f"{progress['done']} of {progress['all']} crates: {progress['which']}"
    return line


def last_line(log: Path) -> str:
    return next((line for line in reversed(lines(log)) if any(map(str.isalnum, line))), "")


def reason(log: Path) -> str:
    return next((line for line in lines(log) if FAULT.match(line)), last_line(log))


def lines(log: Path) -> list[str]:
    """The lines of a log; a progress bar writes many over one another."""
    return [line.strip() for line in re.split(r"[\r\n]", log.read_text(errors="replace"))]
