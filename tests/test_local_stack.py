"""`make up` and `make down` say in one line what is wrong, and touch nobody else's process."""

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import urllib.parse
from pathlib import Path

from conftest import ROOT


def run(program: str, state, **env: str) -> subprocess.CompletedProcess:
    """Runs a few lines of Python with the modules of local/, and another folder for its state."""
    prelude = "import sys\nfrom pathlib import Path\nimport settings\n"
    if state is not None:
        prelude += f"settings.STATE = Path({str(state)!r})\n"
    return subprocess.run(
        [sys.executable, "-c", prelude + textwrap.dedent(program)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "local")} | env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_taken_port_is_said_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("sys.argv[1:] = ['up']; import stack; sys.exit(stack.main())", tmp_path, BELLWIRE_LOCAL_PORT=port)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: port {port} is taken by another program; stop it, or choose another port with BELLWIRE_LOCAL_PORT\n"
    )


def test_two_stacks_run_side_by_side_on_their_ports(stack):
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    state = ROOT / ".local" / port
    try:
        done = run(
            """
            import emulator
            emulator.start()
            print(emulator.running() is not None, emulator.healthy())
            """,
            None,
            BELLWIRE_LOCAL_PORT=port,
        )
        assert (done.stdout, done.stderr) == ("True True\n", "")
        assert stack.call("GET", "/v1/subscribe").status_code == 401
        done = run("sys.argv[1:] = ['down']; import stack; sys.exit(stack.main())", None, BELLWIRE_LOCAL_PORT=port)
        assert (done.returncode, done.stdout) == (0, "stopped\n")
        assert stack.call("GET", "/v1/subscribe").status_code == 401
    finally:
        shutil.rmtree(state, ignore_errors=True)


def test_a_missing_tool_is_said_in_one_line(tmp_path):
    done = run("sys.argv[1:] = ['up']; import stack; sys.exit(stack.main())", tmp_path, PATH="/nowhere")
    assert done.returncode == 1
    assert done.stderr == "error: cargo is missing; install Rust from https://rustup.rs\n"


def test_a_failed_step_is_said_in_one_line_with_its_reason(tmp_path):
    done = run(
        """
        from console import Failed, Steps
        command = ["sh", "-c", "echo '   Compiling thiserror v2'; echo 'error: no such crate' >&2; echo more; exit 3"]
        try:
            Steps(1).run("building", command, {}, settings.STATE / "build.log")
        except Failed as failed:
            print(failed)
        """,
        tmp_path,
    )
    assert done.stdout == f"building failed: error: no such crate (see {tmp_path / 'build.log'})\n"


def test_down_leaves_a_process_alone_that_it_did_not_start(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as bystander:
        try:
            (tmp_path / "aws.pid").write_text(str(bystander.pid))
            done = run("sys.argv[1:] = ['down']; import stack; sys.exit(stack.main())", tmp_path)
            assert (done.returncode, done.stdout) == (0, "nothing was running\n")
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_the_local_aws_listens_on_loopback_only(stack):
    port = urllib.parse.urlsplit(stack.env["AWS_ENDPOINT_URL"]).port
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = [line.split()[1] for line in lines if line.split()[3] == "0A"]
    addresses = {it.split(":")[0] for it in listening if int(it.split(":")[1], 16) == port}
    assert addresses == {"0100007F"}
