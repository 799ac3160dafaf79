"""`make test`: every check, and the end-to-end tests and the fuzzer on a local stack."""

import sys
import time

import check
import emulator
import fuzz
import stack
from console import Failed

# More processes than cores: most of the time a test waits for what it has caused. A file's tests
# stay in one process, in their order.
WORKERS = "4"
END_TO_END = [sys.executable, "-m", "pytest", "--quiet", "--numprocesses", WORKERS, "--dist", "loadfile"]


def main() -> int:
    began = time.monotonic()
    found_up = emulator.running() is not None
    try:
        check.check()
        print("\n== local stack", flush=True)
        stack.up()
        check.run("end-to-end tests", END_TO_END)
        print("\n== requests made up from openapi.yaml", flush=True)
        fuzz.fuzz(fuzz.Options())
        check.run("permissions: granted and used", [sys.executable, "local/permissions.py"])
    except Failed as failed:
        print(f"\nerror: {failed}", file=sys.stderr)
        return 1
    finally:
        if not found_up:
            stack.down()
    print(f"\nall checks and tests passed in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
