"""Every mistake of a caller's gets a 4xx that says what is wrong, and changes nothing."""

import json

import pytest
from conftest import is_confirmation

URL = "https://example.com/callback"
LONG_URL = f"https://example.com/{'a' * 3000}"


def refused(answer, status: int, *words: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["request_id"]
    for word in words:
        assert word in body["message"]
    return body


BODIES = [
    (b"", "JSON object"),
    (b"   ", "JSON object"),
    (b"callbackUrl", "JSON object"),
    (b"[]", "JSON object"),
    (b'"https://example.com/"', "JSON object"),
    (b"null", "JSON object"),
    (b"{", "not JSON"),
    (b'{"callbackUrl": "https://example.com/"', "not JSON"),
    (b'{"callbackUrl": "https://example.com/"} {}', "nothing else"),
    (b'{"callbackUrl": 5}', "callbackUrl"),
    (b'{"callbackUrl": ["https://example.com/"]}', "callbackUrl"),
    (b'{"callbackUrl": {"url": "https://example.com/"}}', "callbackUrl"),
    (b'{"callbackUrl": "https://example.com/", "extra": 1}', "extra"),
    (b'{"callbackUrl": "https://example.com/", "callbackUrl": "https://example.com/"}', "callbackUrl"),
    (b'{"callbackUrl": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "callbackUrl"),
]


@pytest.mark.parametrize("path", ["/v1/subscribe", "/v1/unsubscribe"])
@pytest.mark.parametrize(("body", "word"), BODIES)
def test_bodies_that_are_none(stack, client, path, body, word):
    refused(stack.call("POST", path, client, data=body), 400, word)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, ["callbackUrl or token"]),
        ({"callbackUrl": None}, ["callbackUrl or token"]),
        ({"callbackUrl": URL, "token": "x"}, ["not both"]),
        ({"token": 5}, ["token"]),
        ({"token": ""}, ["token", "1 to 2048"]),
        ({"token": "x" * 10_000}, ["token", "1 to 2048"]),
        ({"token": "wrong"}, ["token", "wrong or expired"]),
        ({"token": "x", "format": "raw"}, ["format"]),
        ({"token": "x", "statuses": ["FAILED"]}, ["statuses"]),
        ({"callbackUrl": URL, "statuses": "FAILED"}, ["statuses"]),
        ({"callbackUrl": URL, "statuses": []}, ["statuses", "SUCCEEDED"]),
        ({"callbackUrl": URL, "statuses": ["RUNNING"]}, ["statuses"]),
        ({"callbackUrl": URL, "statuses": ["succeeded"]}, ["statuses"]),
        ({"callbackUrl": URL, "statuses": [1]}, ["statuses"]),
        ({"callbackUrl": URL, "format": "xml"}, ["format", "raw", "envelope"]),
        ({"callbackUrl": URL, "format": 1}, ["format"]),
    ],
)
def test_requests_that_make_no_sense(stack, client, body, words):
    refused(stack.call("POST", "/v1/subscribe", client, json=body), 400, *words)
    assert stack.subscriptions(client) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", ["empty"]),
        ("example.com", ["absolute URL"]),
        ("https://", ["absolute URL"]),
        ("ftp://example.com/", ["https or http", "ftp"]),
        ("javascript:alert(1)", ["https or http"]),
        ("https://user:password@example.com/", ["user name or password"]),
        ("https://@example.com/", ["user name or password"]),
        ("https://example.com/#fragment", ["fragment"]),
        ("https://example..com/", ["letters, digits and hyphens"]),
        (f"https://{'a' * 64}.example.com/", ["letters, digits and hyphens"]),
        ("https://example.com:25/", ["port 25"]),
        ("http://127.0.0.1:6667/", ["port 6667"]),
        ("https://example.com/a b", ["white space"]),
        ("https://example.com/\n", ["white space"]),
        (LONG_URL, ["2048"]),
        ("https://10.0.0.1/", ["private"]),
        ("https://192.168.0.1/", ["private"]),
        ("https://169.254.169.254/latest/meta-data/", ["private"]),
        ("https://[fd00:ec2::254]/", ["private"]),
        ("https://[::ffff:10.0.0.1]/", ["private"]),
        ("https://0x0a000001/", ["private"]),
        ("https://0.0.0.0/", ["private"]),
    ],
)
def test_urls_that_are_refused(stack, client, url, words):
    body = refused(stack.subscribe(client, url), 400, "callbackUrl", *words)
    assert body["field"] == "callbackUrl"
    assert stack.subscriptions(client) == []


def test_an_unknown_key_is_named_and_cut(stack, client):
    body = refused(stack.call("POST", "/v1/subscribe", client, json={"k" * 5000: 1}), 400, "there is no such field")
    assert body["field"].startswith("kkk") and len(body["message"]) <= 200


def test_a_url_is_repeated_in_no_message(stack, client):
    # It may carry a secret of the customer's; an error is easily logged.
    answer = stack.subscribe(client, "https://user:hunter2@example.com/")
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("path", ["/v1/subscribe", "/v1/unsubscribe", "/v1/queries"])
def test_a_body_of_6_megabytes(stack, publisher, path):
    body = json.dumps({"callbackUrl": "https://example.com/" + "a" * 6_000_000})
    # AWS turns some of these away itself (Lambda takes 6 MB); the answer is a 413 there too.
    refused(stack.call("POST", path, publisher, data=body), 413)


@pytest.mark.parametrize("body", [b"[]", b"null", b"{", b"{} {}", b'{"callbackUrl": "https://example.com/"}', b"x"])
def test_a_test_notification_takes_nothing_from_its_request(stack, client, receiver, body):
    stack.confirmed(client, receiver)
    refused(stack.call("POST", "/v1/publish", client, data=body), 400)
    assert len(receiver.arrivals) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"client_id": "x"}, "QueryExecutionId"),
        ({"QueryExecutionId": "x"}, "client_id"),
        ({"QueryExecutionId": 5, "client_id": "x"}, "QueryExecutionId"),
        ({"QueryExecutionId": "x", "client_id": None}, "client_id"),
        ({"QueryExecutionId": "x", "client_id": "x", "extra": True}, "extra"),
    ],
)
def test_registrations_of_queries_that_make_no_sense(stack, publisher, body, field):
    refused(stack.call("POST", "/v1/queries", publisher, json=body), 400, field)


def test_a_refused_request_leaves_what_there_was(stack, client, receiver):
    url = stack.confirmed(client, receiver)
    before = stack.subscriptions(client)
    refused(stack.subscribe(client, url, statuses=["NONE"]), 400, "statuses")
    refused(stack.confirm(client, "wrong"), 400, "token")
    assert stack.subscriptions(client) == before
    assert len(receiver.matching(is_confirmation)) == 1
