"""What is refused for reasons that the schemas of the document can't say, but its texts do."""

import re
from typing import Any
from urllib.parse import unquote

import schemathesis

# What a publisher is told of a topic that names others as its publishers.
FOREIGN_TOPIC = "the topic has other publishers, and this client is none of them"
# Requests that the schemas allow, and the fields that may be refused nevertheless with a 400: by path, and the reason.
FIELDS: list[tuple[str, set[str], str]] = [
    ("/v1/subscribe", {"token"}, "a token that SNS has not sent"),
    ("/v1/queries", {"QueryString"}, "SQL that is none, or not a SELECT"),
    ("/v1/queries", {"client_id"}, "a client that doesn't exist"),
    ("/v1/queries", {"pagination_token"}, "a token of no page"),
    ("/v1/scrollResults", {"NextToken"}, "a token of no page"),
    ("topics(/{topicId})?", {"subscribers", "name"}, "modes that don't fit the payload; a name like an id"),
    ("topics/{topicId}", {"id", "createTimestamp", "modifyTimestamp"}, "what can't change, and isn't as it is"),
    (
        "subscriptions/{subscriptionId}",
        {"id", "topicId", "status", "disabledReason", "disabledTimestamp", "failingSince", "createTimestamp"},
        "what can't change, and isn't as it is",
    ),
    ("subscriptions/{subscriptionId}", {"authorization"}, "one that lacks something, where there is none yet"),
    ("subscriptions/{subscriptionId}", {"subscriptionMode", "webhookHeaders"}, "as for a new subscription"),
    ("topics|subscriptions|clients|failing-endpoints", {"search"}, "an expression that can't be read"),
    ("clients/{clientId}", {"clientId"}, "an internal id, which PUT doesn't take"),
    ("clients/{clientId}", {"labels", "name"}, "more labels than a client has; no name, where there is no external id"),
    ("portal-links", {"client_id", "return_url"}, "an id like `..`; a URL of an origin that isn't named"),
    ("subscriptions", {"subscriptionMode", "webhookHeaders"}, "a mode the topic doesn't allow; a header of ours"),
    (
        "(exchanges|replay|deliveries|stats)",
        {"start", "end", "after"},
        "an end before the start; a place that isn't one",
    ),
    ("(subscriptions|webhooks|callbacks|logs|deliveries)", {"cursor"}, "a cursor of no page"),
    ("webhook_callback_logs", {"entity_key", "subscription_key", "webhook_key"}, "exactly one of them is needed"),
]


def documented(case: schemathesis.Case, status: int, body: Any) -> bool:
    """Whether a refusal of a request that fits the schemas is one that the document describes in words."""
    if status == 403:
        return isinstance(body, dict) and body.get("message") == FOREIGN_TOPIC
    if status != 400:
        return False
    path = case.operation.path
    if case.operation.method.upper() == "PATCH" and path.endswith("topics/{topicId}"):
        # What a merge patch makes is looked at as a whole.
        return True
    return any(
        re.search(f"{pattern}$", path) and any(belongs(field, name) for field in fields_of(body) for name in names)
        for pattern, names, _ in FIELDS
    )


def fields_of(body: Any) -> set[str]:
    """The fields that an error names, in any of its forms."""
    if not isinstance(body, dict):
        return set()
    error = body["status"] if isinstance(body.get("status"), dict) else body
    several = error.get("errors") or []
    return {it["field"] for it in (error, *several) if isinstance(it, dict) and it.get("field")}


def belongs(field: str, name: str) -> bool:
    return field == name or field.startswith((f"{name}.", f"{name}["))


def refused_within(body: Any) -> bool:
    """Whether a success is a refusal: of an entry of a batch, or with `always_use_http_status_code_200`."""
    if not isinstance(body, dict):
        return False
    status, data = body.get("status"), body.get("data")
    entries = (data if isinstance(data, dict) else body).get("events")
    states = [status, *(entries if isinstance(entries, list) else [])]
    codes = [state.get("status_code", state.get("status")) for state in states if isinstance(state, dict)]
    return any(isinstance(code, int) and code >= 400 for code in codes)


def is_other_path(case: schemathesis.Case, status: int) -> bool:
    """Whether what was called is unknown because a parameter has become more or less than one part of the path."""
    values = [unquote(str(value)) for value in (case.path_parameters or {}).values()]
    return status == 404 and any(value in ("", ".", "..") or "/" in value for value in values)
