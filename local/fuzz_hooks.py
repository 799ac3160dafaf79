"""What schemathesis calls while it fuzzes one protocol; local/fuzz.py starts it, and says by `BELLWIRE_FUZZ` where the
settings are.

Every request is made by somebody: keys and credentials are those of clients made for the run. Nothing but the run's own
receiver is ever called, whatever URL has been made up, and nothing is changed that somebody else has made.
"""

import atexit
import json
import os
import random
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fuzz_refusals
import schemathesis
from fuzz_bodies import Bodies, basic, is_execution
from fuzz_edge import needs_operator
from fuzz_record import Record
from schemathesis.core import NOT_SET
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.openapi.checks import (
    IgnoredAuth,
    RejectedPositiveData,
    UndefinedStatusCode,
    UnsupportedMethodResponse,
)

SETTINGS = json.loads(Path(os.environ["BELLWIRE_FUZZ"]).read_text())
CLIENT, PUBLISHER, OPERATOR = SETTINGS["client"], SETTINGS["publisher"], SETTINGS["operator"]
# The external ids of clients that requests may make, change and delete; the first of them is not deleted.
CUSTOMERS: list[str] = SETTINGS["customers"]
ACTS_FOR = "X-Bellwire-Client"
# One thread makes all requests, so that the same seed leads to the same ones.
CHOICE = random.Random(SETTINGS["seed"])
RECORD = Record(SETTINGS["foreign_topics"], SETTINGS["kept"])
BODIES = Bodies(SETTINGS["receiver"], CLIENT, RECORD, CHOICE, Path(SETTINGS["tokens"]))
EXAMPLE_KEY = "order-7-1"
CHANGES = ("POST", "PUT", "PATCH", "DELETE")
atexit.register(RECORD.write, Path(SETTINGS["record"]))


@schemathesis.auth()
class Credentials:
    """The credentials of the client that a request is made by, in one of the places where they can stand."""

    def get(self, case: schemathesis.Case, context: schemathesis.AuthContext) -> str:
        return "known"  # what is returned is kept for the next cases, of whatever operation

    def set(self, case: schemathesis.Case, data: str, context: schemathesis.AuthContext) -> None:
        schemes = {name for alternative in security(case.operation) for name in alternative}
        if "apiKey" in schemes:
            key = key_of(case)
            name, value = CHOICE.choice([("x-api-key", key), ("KeyId", key), ("Authorization", f"Bearer {key}")])
            case.headers[name] = value
        elif "clientId" in schemes and CHOICE.random() < 0.5:
            case.query = {**case.query, "client_id": CLIENT["client_id"], "client_secret": CLIENT["client_secret"]}
        elif "basic" in schemes:
            case.headers["Authorization"] = basic(CLIENT)


def key_of(case: schemathesis.Case) -> str:
    if needs_operator(case.operation.path):
        return OPERATOR["api_key"]
    return (PUBLISHER if needs_publisher(case) else CLIENT)["api_key"]


def needs_publisher(case: schemathesis.Case) -> bool:
    path, method = case.operation.path, case.operation.method.upper()
    if path == "/v1/queries":
        return isinstance(case.body, dict) and "QueryExecutionId" in case.body
    if "/topics" in path and "/subscribers/" not in path:
        return method in CHANGES
    return path.startswith("/entities/")


def security(operation: Any) -> list[dict[str, list]]:
    """The alternatives of the operation's `security`; those of the document where it has none of its own."""
    return operation.definition.raw.get("security", operation.schema.raw_schema.get("security", []))


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Replaces what must not be sent as it was made up, and much of what can't be found. Schemathesis looks again
    whether the request is one that the document allows."""
    if case.body is not NOT_SET:
        body = BODIES.sent(case.operation.path, case.body)
        if body != case.body:
            case.body = body
    # The example of the document would be the key of the same request as before, which few of them are.
    if case.headers.get("Idempotency-Key") == EXAMPLE_KEY and CHOICE.random() < 0.8:
        case.headers["Idempotency-Key"] = f"fuzz-{CHOICE.getrandbits(64):x}"
    parameters = {name: path_parameter(case, name, value) for name, value in (case.path_parameters or {}).items()}
    if parameters != case.path_parameters:
        case.path_parameters = parameters
    query = {name: RECORD.existing("id", value, CHOICE) for name, value in of_queries(case.query)}
    if query:
        case.query = {**case.query, **query}
    if ACTS_FOR in case.headers and not (case.meta and case.meta.is_negative_at(ParameterLocation.HEADER)):
        act(case)


def act(case: schemathesis.Case) -> None:
    """Lets an operator make the request for the client that would make it; most requests have no use for the header."""
    del case.headers[ACTS_FOR]
    if CHOICE.random() < 0.3 and any(case.headers.pop(name, None) for name in ("x-api-key", "KeyId", "Authorization")):
        case.headers["x-api-key"] = OPERATOR["api_key"]
        case.headers[ACTS_FOR] = (PUBLISHER if needs_publisher(case) else CLIENT)["client_id"]


def path_parameter(case: schemathesis.Case, name: str, value: Any) -> Any:
    if name == "clientId" and case.method.upper() != "GET":
        return own_client(case.method.upper(), unquote(str(value)))
    if not (case.meta and case.meta.is_negative_at(ParameterLocation.PATH)):
        value = RECORD.existing(name, value, CHOICE)
    # Whatever else it was to be a case of.
    if RECORD.has_to_stay(case.method.upper(), name, unquote(str(value))):
        return SETTINGS["unknown"]
    # What is forbidden may be written as it is, and would end the path.
    return value.replace("?", "%3F").replace("#", "%23") if isinstance(value, str) else value


def own_client(method: str, value: str) -> str:
    """Whatever is made up: one of the clients that may be changed. Those of others may be read."""
    if value in RECORD.made["clientId"].ever and method != "DELETE":
        return value
    return CHOICE.choice(CUSTOMERS[1:] if method == "DELETE" else CUSTOMERS)


def of_queries(query: dict[str, Any] | None) -> list[tuple[str, str]]:
    value = (query or {}).get("QueryExecutionId")
    return [("QueryExecutionId", value)] if isinstance(value, str) and is_execution(value) else []


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response) -> None:
    method, path = case.operation.method.upper(), case.operation.path
    # Another method than the operation's is a try whether it is refused.
    made = body_of(response) if response.request.method == method else None
    RECORD.keep(method, path, dict(case.path_parameters or {}), response.status_code, made)


def body_of(response: schemathesis.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext, failure: Failure, case: schemathesis.Case, response: schemathesis.Response
) -> bool:
    """Drops what is no failure, though the document alone can't say so."""
    body = body_of(response)
    if isinstance(failure, AcceptedNegativeData | IgnoredAuth | UnsupportedMethodResponse):
        return not fuzz_refusals.refused_within(body)
    if isinstance(failure, RejectedPositiveData):
        return not fuzz_refusals.documented(case, response.status_code, body)
    if isinstance(failure, UndefinedStatusCode):
        return not fuzz_refusals.is_other_path(case, response.status_code)
    return True
