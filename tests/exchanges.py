"""Holds every exchange of a test against openapi.yaml: what is wrong makes the test fail that has caused it.

Whoever calls the API with `requests` is watched, whichever way, and so is every arrival at a `Receiver`; functions that a
test runs itself are watched by `runtime_api.Function`. What is found is kept until the test's own code has run, since much
of it is found in other threads.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests
import yaml
from contract import Contract, Exchange
from receiver import Arrival, Receiver
from settings import ROOT

CONTRACT = Contract(yaml.load((ROOT / "openapi.yaml").read_text(), yaml.CSafeLoader))
# Pages, and the calls that they alone are made of, are no part of the document.
PAGES = re.compile(r"/(console|operator|sessions)(/|$)")
_found: list[str] = []


def found() -> list[str]:
    """What was wrong since the last call."""
    problems = _found.copy()
    del _found[: len(problems)]
    return problems


@contextmanager
def watched(url: str) -> Iterator[None]:
    """Watches the calls of the API at this URL, and all receivers."""
    send = requests.Session.send

    def send_and_watch(session: requests.Session, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        response = send(session, request, **how)
        # Of a stream, the body is the caller's to read.
        if (request.url or "").startswith(f"{url}/") and not how.get("stream"):
            watch(of_response(url, response))
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", send_and_watch)
        patch.setattr(Receiver, "watch", staticmethod(watch_arrival))
        yield


def watch(exchange: Exchange) -> None:
    if PAGES.match(exchange.path):
        return
    called = f"{exchange.method} {exchange.path} ({exchange.status})"
    _found.extend(f"{called}: {problem}" for problem in CONTRACT.check(exchange))


def watch_invocation(event: Any, payload: Any) -> None:
    """Watches what a function has made of an event of API Gateway's; any other event is none of the document's."""
    if isinstance(event, dict) and "httpMethod" in event and isinstance(payload, dict) and "statusCode" in payload:
        watch(of_invocation(event, payload))


def watch_arrival(arrival: Arrival) -> None:
    # A request for an access token has the form of RFC 6749, and goes to the provider of authorization.
    if arrival.headers.get("content-type") != "application/x-www-form-urlencoded":
        problems = CONTRACT.check_webhook(arrival.method, arrival.headers, arrival.body)
        _found.extend(f"{arrival.method} to the receiver, {arrival.path}: {problem}" for problem in problems)


def of_response(url: str, response: requests.Response) -> Exchange:
    request = response.request
    path, _, query = (request.url or "").removeprefix(url).partition("?")
    body = request.body or b""
    return Exchange(
        request.method or "",
        path,
        query,
        lower(request.headers),
        body.encode() if isinstance(body, str) else bytes(body),
        response.status_code,
        lower(response.headers),
        response.content,
    )


def of_invocation(event: dict, payload: dict) -> Exchange:
    several = payload.get("multiValueHeaders") or {}
    headers = {name: ", ".join(values) for name, values in several.items()} | (payload.get("headers") or {})
    body = (payload.get("body") or "").encode()
    return Exchange(
        event["httpMethod"],
        quote(event["path"], safe="/%"),
        urlencode(event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}, doseq=True),
        lower(event.get("headers") or {}),
        (event.get("body") or "").encode(),
        payload["statusCode"],
        lower(headers),
        base64.b64decode(body) if payload.get("isBase64Encoded") else body,
    )


def lower(headers: Mapping[str, Any]) -> dict[str, str]:
    return {
        name.lower(): value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for name, value in headers.items()
    }
