"""Where the local stack lives."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCAL = ROOT / ".local"

DEFAULT_PORT = 4566
PORT = int(os.environ.get("BELLWIRE_LOCAL_PORT", DEFAULT_PORT))
# Stacks on several ports don't meet; only what they are built from is shared.
STATE = LOCAL if PORT == DEFAULT_PORT else LOCAL / str(PORT)
# What the local AWS has allowed and refused to the stack's roles (see aws_iam.py).
PERMISSIONS = STATE / "permissions.jsonl"
ENDPOINT = f"http://127.0.0.1:{PORT}"
STACK = "bellwire-local"
STAGE = "live"

# The credentials that MiniStack takes for the account's root user.
AWS = {
    "AWS_ENDPOINT_URL": ENDPOINT,
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


def environment(**more: str) -> dict[str, str]:
    """The environment of the tools: theirs first, and AWS is the local one."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("AWS_") and key not in ("BELLWIRE_STACK", "BELLWIRE_URL")
    }
    path = f"{VENV / 'bin'}{os.pathsep}{inherited.get('PATH', '')}"
    return inherited | AWS | {"PATH": path, "SAM_CLI_TELEMETRY": "0"} | more
