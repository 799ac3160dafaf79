"""What the fuzzer sends instead of what was made up: no URL leads anywhere but to the receiver."""

import random
import re
from pathlib import Path

import pytest
from fuzz_bodies import ALLOWED_URL, DIALLED, DROPPED_AROUND, DROPPED_WITHIN, LONGEST_URL, Bodies
from fuzz_record import Record
from fuzz_refusals import fields_of, refused_within

RECEIVER = "http://127.0.0.1:8000"
CLIENT = {"client_id": "cl_" + "a" * 24, "client_secret": "secret", "api_key": "key"}
NOTHING: dict[str, list[str]] = {"topicId": [], "subscriptionId": [], "key": [], "id": [], "clientId": []}


@pytest.fixture
def bodies(tmp_path: Path) -> Bodies:
    tokens = tmp_path / "tokens"
    tokens.write_text("")
    return Bodies(RECEIVER, CLIENT, Record([], NOTHING), random.Random(1), tokens)


@pytest.mark.parametrize(
    "made_up",
    [
        "https://example.com",
        "HTTPS://EXAMPLE.com:8443/a?b=c",
        "http://[::1]/",
        "https://example.com/" + "a" * LONGEST_URL,
        "https://user:password@example.com/",
        "https://example.com/#fragment",
        "https://example.com/a b",
        "https:example.com",
        "https:/example.com",
        "https:///example.com",
        "https:\\\\example.com",
        "https://example.com\\@other.example.com",
        " \x00https://example.com\x1f ",
        "ht\ttp\ns://exam\rple.com",
        "https://",
        "https:",
        "https://@",
        "https://a@b@example.com/@",
        "https://ex ample.com/",
    ],
)
def test_a_url_that_could_be_called_is_the_receivers(bodies: Bodies, made_up: str):
    for key in ("webhookUrl", "callbackUrl", "callback", "provider", "WebhookURL"):
        [sent] = bodies.sent("/topics", {"a": [{key: made_up}]})["a"]
        url = sent[key]
        assert re.match(r"http://(user@)?127\.0\.0\.1:8000/", url), url
        assert "example" not in url
        allowed = ALLOWED_URL.fullmatch(made_up) and len(made_up) <= LONGEST_URL
        assert bool(allowed) == bool(ALLOWED_URL.fullmatch(url) and len(url) <= LONGEST_URL), url


@pytest.mark.parametrize(
    "made_up", ["", "ftp://example.com", "example.com", "//example.com", "xhttps://a", "javascript:0"]
)
def test_what_nobody_could_call_stays(bodies: Bodies, made_up: str):
    read = DROPPED_WITHIN.sub("", made_up.strip(DROPPED_AROUND))
    assert not DIALLED.match(read)
    assert bodies.sent("/topics", {"webhookUrl": made_up}) == {"webhookUrl": made_up}


@pytest.mark.parametrize(
    "body", [None, 1, "https://example.com", [], {"webhookUrl": None}, {"webhookUrl": {"a": 1}}, {"name": {}}]
)
def test_bodies_of_other_types_stay(bodies: Bodies, body):
    assert bodies.sent("/topics", body) == body


def test_credentials_are_the_clients_where_any_are_said(bodies: Bodies):
    sent = bodies.sent("/subscriptions", {"client_id": "x", "client_secret": None})
    assert sent == {"client_id": CLIENT["client_id"], "client_secret": None}


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"status": {"status_code": 200}}, False),
        ({"status": {"status_code": 404}}, True),
        ({"status": {"status_code": 207}, "data": {"events": [{"status_code": 202}]}}, False),
        ({"status": {"status_code": 207}, "data": {"events": [{"status_code": 202}, {"status_code": 400}]}}, True),
        ({"events": [{"status": 202}]}, False),
        ({"events": [{"status": 400}]}, True),
        ({"status": "active"}, False),
        ([], False),
        (None, False),
    ],
)
def test_refusals_are_seen_within_successes(body, refused: bool):
    assert refused_within(body) == refused


def test_fields_are_those_of_every_form_of_errors():
    assert fields_of({"field": "a", "errors": [{"field": "a"}, {"field": "b"}]}) == {"a", "b"}
    assert fields_of({"status": {"field": "cursor", "errors": [{"code": 400, "message": ""}]}}) == {"cursor"}
    assert fields_of("no such thing") == set()


def test_topics_of_others_and_what_is_kept_are_not_changed():
    record = Record(["theirs"], NOTHING | {"topicId": ["kept"], "key": ["kept"]})
    record.keep("POST", "/topics", {}, 201, {"id": "1", "name": "mine"})
    record.keep("GET", "/topics", {}, 200, {"items": [{"id": "1", "name": "mine"}, {"id": "2", "name": "other"}]})
    for method, value, stays in [
        ("PUT", "theirs", True),
        ("GET", "theirs", False),
        ("POST", "2", True),
        ("DELETE", "other", True),
        ("DELETE", "mine", False),
        ("DELETE", "kept", True),
        ("PUT", "kept", False),
    ]:
        assert record.has_to_stay(method, "topicId", value) == stays, (method, value)
    record.keep("DELETE", "/topics/{topicId}", {"topicId": "1"}, 204, None)
    assert (record.made["topicId"].alive, record.topics) == (["mine"], {"1"})
