"""`make collection`: the API as a collection for Postman, Bruno and others, from openapi.yaml.

It has a megabyte and new ids each time, so it is made when it is wanted, and not kept in the repository.
"""

import json
import sys
import tempfile
from pathlib import Path

import client_tools
import yaml
from console import Failed
from settings import LOCAL

COLLECTION = LOCAL / "bellwire.postman_collection.json"
# A folder for each tag; the examples of openapi.yaml as the bodies. A collection authenticates in one way.
OPTIONS = "folderStrategy=Tags,parametersResolution=Example"


def make(collection: Path) -> None:
    """Writes the collection, in Postman's format v2.1. Raises Failed, or Missing without Node.js."""
    converter = client_tools.node() / "node_modules" / ".bin" / "openapi2postmanv2"
    collection.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # The converter reads YAML without merge keys, and would leave out what calls have in common.
        contract = Path(folder) / "openapi.json"
        contract.write_text(json.dumps(yaml.safe_load(client_tools.CONTRACT.read_text())))
        said = client_tools.run([str(converter), "-s", str(contract), "-o", str(collection), "-O", OPTIONS])
    # When it fails, the converter says why, and exits with 0.
    if not collection.is_file():
        raise Failed(f"the collection could not be made:\n{said}")


def main() -> int:
    try:
        make(COLLECTION)
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    print(f"made {COLLECTION}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
