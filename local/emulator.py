"""Starts and stops the local AWS (see aws.py), and nothing else's process."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from console import Failed
from settings import ENDPOINT, PORT, ROOT, STATE, environment

PID = STATE / "aws.pid"
LOG = STATE / "aws.log"
PROGRAM = ROOT / "local" / "aws.py"


def running() -> int | None:
    """The process id of the local AWS that `start` started, if it still runs."""
    try:
        pid = int(PID.read_text())
        command = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=True
        ).stdout
    except (FileNotFoundError, ValueError, subprocess.CalledProcessError):
        return None
    return pid if str(PROGRAM) in command else None


def start() -> None:
    """Starts the local AWS on loopback, with IAM enforced. None of this port may be running."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            raise Failed(
                f"port {PORT} is taken by another program; stop it, or choose another port with BELLWIRE_LOCAL_PORT"
            )
    scratch = STATE / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    env = environment(
        AUTH="true",
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(PORT),
        IOT_MTLS_ENABLED="0",
        TMPDIR=str(scratch),
    )
    with LOG.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    PID.write_text(str(process.pid))
    deadline = time.monotonic() + 60
    while not healthy():
        if process.poll() is not None or time.monotonic() > deadline:
            stop()
            raise Failed(f"the local AWS did not start (see {LOG})")
        time.sleep(0.1)


def healthy() -> bool:
    try:
        with urllib.request.urlopen(f"{ENDPOINT}/_ministack/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def stop() -> bool:
    """Stops the local AWS with the functions that it runs. Returns whether there was one."""
    pid = running()
    if pid:
        os.killpg(pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while running() and time.monotonic() < deadline:
            time.sleep(0.1)
        if running():
            os.killpg(pid, signal.SIGKILL)
    PID.unlink(missing_ok=True)
    return pid is not None
