"""Endpoints that want an access token: OAuth 2.0, client credentials."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from messages import delivery, event
from receiver import Answer, Receiver
from runtime_api import Function, failures, sqs_event
from streams import is_streams

JSON = {"Content-Type": "application/json"}


class Provider:
    """Gives out tokens: the first is `token-1`, and so on."""

    def __init__(self):
        self.fields: dict[str, Any] = {"token_type": "bearer", "expires_in": 3600}
        self.status, self.headers = 200, JSON
        self.asked: list = []
        self.answer: Answer | None = None

    def __call__(self, arrival) -> Answer:
        if arrival.path != "/token":
            return Answer()
        self.asked.append(arrival)
        if self.answer:
            return self.answer
        token = {"access_token": f"token-{len(self.asked)}"} | self.fields
        return Answer(self.status, self.headers, json.dumps(token).encode())


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def both(provider):
    """The provider and the endpoint."""
    with Receiver(answer=provider) as receiver:
        yield receiver


def authorization(both, **more) -> dict:
    credentials = {"clientId": "me/ä", "clientSecret": "hush hush", "provider": f"{both.url}/token"}
    return {"type": "oauth2"} | credentials | more


def hooks(both, count: int) -> list[str]:
    arrivals = both.wait_for(lambda it: it.path == "/hook", count)
    return [it.headers.get("authorization") for it in arrivals]


def test_a_token_is_asked_for_once_and_used_again(streams, both, provider, client, stack):
    topic = streams.topic()
    requested = authorization(both, mode="header", scope="read write", clientSecret="hush hush 1")
    subscription = streams.subscribe(topic, f"{both.url}/hook", authorization=requested)
    redacted = requested | {"clientSecret": "[redacted]"}
    assert subscription["authorization"] == redacted == streams.show(subscription)["authorization"]
    # By a function of our own: the stack runs as many of it as it sees fit, each with tokens of its own.
    with Function(stack, "DeliverFunction") as deliver:
        for n in range(3):
            assert failures(deliver.invoke(sqs_event(delivery(subscription, event(n), client.client_id)))) == []
            assert hooks(both, n + 1) == ["Bearer token-1"] * (n + 1)
    [asked] = provider.asked
    scheme, _, credentials = asked.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(credentials).decode()) == ("Basic", "me%2F%C3%A4:hush+hush+1")
    assert parse_qs(asked.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["read write"]}
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    for exchange in streams.wait_for_exchanges(subscription, 3):
        assert exchange["requestHeaders"]["authorization"] == "[redacted]"
        assert "token-1" not in json.dumps(exchange) and "hush" not in json.dumps(exchange)


def test_credentials_in_the_body(streams, both, provider):
    topic = streams.topic()
    streams.subscribe(topic, f"{both.url}/hook", authorization=authorization(both, mode="body"))
    streams.publish(topic, 1)
    assert hooks(both, 1) == ["Bearer token-1"]
    [asked] = provider.asked
    assert "authorization" not in asked.headers
    form = parse_qs(asked.body.decode())
    assert (form["client_id"], form["client_secret"]) == (["me/ä"], ["hush hush"])


@pytest.mark.parametrize("expires_in", [0, 0.0, "0", "0.0"])
def test_a_token_that_has_expired_is_replaced(streams, both, provider, expires_in):
    provider.fields["expires_in"] = expires_in
    topic = streams.topic()
    streams.subscribe(topic, f"{both.url}/hook", authorization=authorization(both))
    for n in range(2):
        streams.publish(topic, n)
        hooks(both, n + 1)
    assert hooks(both, 2) == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_the_endpoint_refuses_is_replaced(streams, provider, status):
    def answer(arrival) -> Answer:
        refused = arrival.headers.get("authorization") == "Bearer token-1"
        return Answer(status) if refused else provider(arrival)

    with Receiver(answer=answer) as both:
        topic = streams.topic()
        streams.subscribe(topic, f"{both.url}/hook", authorization=authorization(both))
        streams.publish(topic, 1)
        assert hooks(both, 2) == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize(
    ("token_type", "understood"),
    [
        *((name, True) for name in ("Bearer", "BEARER", " bearer", "BearerToken", "", None)),
        *((name, False) for name in ("mac", "DPoP", "bearer mac", 1, ["bearer"])),
    ],
)
def test_a_token_that_is_no_bearer_token_is_not_sent(streams, both, provider, token_type, understood):
    provider.fields["token_type"] = token_type
    topic = streams.topic()
    subscription = streams.subscribe(topic, f"{both.url}/hook", authorization=authorization(both))
    streams.publish(topic, 1)
    if understood:
        assert hooks(both, 1) == ["Bearer token-1"]
        return
    exchange = streams.wait_for_exchanges(subscription, 1)[0]
    assert exchange["errorMessage"] == "no access token: the provider's token is not of the type Bearer"
    assert [it for it in both.arrivals if it.path == "/hook"] == []


@pytest.mark.parametrize(
    "fields",
    [
        *({"expires_in": 3600, "token_type": "bearer", "scope": scope} for scope in (["read", "write"], "", None, 5)),
        *(
            {"expires_in": expires_in}
            for expires_in in (
                3600.0,
                3599.9,
                "3600",
                " 3600 ",
                "3599.9",
                18446744073709551615,
                10**12,
                10**30,
                "1e400",
            )
        ),
        *({"expires_in": expires_in} for expires_in in (None, "", "soon", "NaN", -1, "-1", True, [3600], {"in": 1})),
        {},
    ],
)
def test_a_token_is_used_again_however_the_provider_writes_it(streams, both, provider, client, stack, fields):
    provider.fields = fields
    subscription = streams.subscribe(streams.topic(), f"{both.url}/hook", authorization=authorization(both))
    with Function(stack, "DeliverFunction") as deliver:
        for n in range(2):
            assert failures(deliver.invoke(sqs_event(delivery(subscription, event(n), client.client_id)))) == []
    assert hooks(both, 2) == ["Bearer token-1"] * 2
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("status", "headers"),
    [(201, JSON), (200, {}), (200, {"Content-Type": "text/javascript"}), (200, {"Content-Type": "text/plain"})],
)
def test_a_token_is_one_whatever_the_status_of_success_and_the_type_of_the_body(
    streams, both, provider, status, headers
):
    provider.status, provider.headers = status, headers
    topic = streams.topic()
    streams.subscribe(topic, f"{both.url}/hook", authorization=authorization(both))
    streams.publish(topic, 1)
    assert hooks(both, 1) == ["Bearer token-1"]


def test_a_provider_that_hangs_is_asked_once_for_all_that_wait(streams, both, provider, client, stack):
    provider.answer = Answer(fault="stall")
    subscription = streams.subscribe(streams.topic(), f"{both.url}/hook", authorization=authorization(both))
    batch = sqs_event(*(delivery(subscription, event({"n": n}), client.client_id) for n in range(10)))
    # Later than at once: the deployed function has the retries.
    with Function(stack, "DeliverFunction", RETRY_SCHEDULE="5s") as deliver:
        assert failures(deliver.invoke(batch)) == []
        assert len(provider.asked) == 1
    # The retries have theirs.
    provider.answer = None
    assert len(hooks(both, 10)) == 10


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (
            Answer(200, JSON, b'{"access_token": "a\\nb", "token_type": "bearer"}'),
            "the token can't be sent in a header",
        ),
        (Answer(200, JSON, b'{"access_token": "", "token_type": "bearer"}'), "the provider's token is empty"),
        *(
            (Answer(200, JSON, body), "the provider's answer is not that of OAuth 2.0")
            for body in (b"[]", b"", b"oops", b'{"access_token": null}')
        ),
        (Answer(204, body=b""), "the provider's answer is not that of OAuth 2.0"),
        (Answer(fault="reset"), "connection"),
        (Answer(fault="stall"), "no answer within 3 s"),
    ],
)
def test_without_a_token_the_attempt_has_failed(streams, both, provider, answer, problem):
    provider.answer = answer
    topic = streams.topic()
    subscription = streams.subscribe(topic, f"{both.url}/hook", authorization=authorization(both))
    streams.publish(topic, 1)
    first, *_ = streams.wait_for_exchanges(subscription, 1)
    assert first["errorMessage"].startswith("no access token: ")
    assert problem in first["errorMessage"] and "hush" not in first["errorMessage"]
    assert not both.matching(is_streams)
    provider.answer = None
    assert len(hooks(both, 1)) == 1


def refusal(status: int, **fields) -> Answer:
    return Answer(status, JSON, json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusal(400, error="invalid_scope"), "400 BAD_REQUEST: invalid_scope"),
        (
            refusal(401, error="invalid_client", error_description="The client\r\n is not known.\nTrace: 1"),
            "401 UNAUTHORIZED: invalid_client: The client is not known. Trace: 1",
        ),
        (refusal(403, error_description="Not from here"), "403 FORBIDDEN: Not from here"),
        (refusal(200, ok=False, error="bad_client"), "200 OK: bad_client"),
        (refusal(429, error="slow_down"), "429 TOO_MANY_REQUESTS: slow_down"),
        (refusal(400, error={"message": "no"}, error_description=["no"]), "400 BAD_REQUEST"),
        (refusal(400, error="x" * 1000, error_description="y" * 1000), f"400 BAD_REQUEST: {'x' * 200}…: {'y' * 200}…"),
        (refusal(400, error="x" * 20_000), "400 BAD_REQUEST"),
        (Answer(500, {"Content-Type": "text/html"}, b"<html>Oops</html>"), "500 INTERNAL_SERVER_ERROR"),
        (Answer(401), "401 UNAUTHORIZED"),
        (Answer(403, JSON, b"{"), "403 FORBIDDEN"),
        (Answer(302, {"Location": "/elsewhere"}), "302 FOUND"),
        *(
            (
                refusal(401, error="invalid_client", error_description=words),
                "401 UNAUTHORIZED, in words that repeat credentials",
            )
            for words in (
                "the secret 'hush hush' is wrong",
                "client_secret=hush+hush",
                "client_secret=HUSH%20HUSH",
                "hush\nhush",
                base64.b64encode(b"me%2F%C3%A4:hush+hush").decode(),
            )
        ),
        (refusal(401, error="hush hush"), "401 UNAUTHORIZED, in words that repeat credentials"),
        (
            refusal(400, error="e", error_description="not for token-hush-1", access_token="token-hush-1"),
            "400 BAD_REQUEST, in words that repeat credentials",
        ),
    ],
)
def test_a_refusal_says_why_and_no_secret(streams, both, provider, client, stack, answer, reason):
    provider.answer = answer
    subscription = streams.subscribe(streams.topic(), f"{both.url}/hook", authorization=authorization(both))
    # No retry comes while the test goes on.
    with Function(stack, "DeliverFunction", RETRY_SCHEDULE="10m") as deliver:
        assert failures(deliver.invoke(sqs_event(delivery(subscription, event(1), client.client_id)))) == []
        assert "hush" not in deliver.log().lower()
    [exchange] = streams.wait_for_exchanges(subscription, 1)
    assert exchange["errorMessage"] == f"no access token: the provider answered {reason}"
    assert "hush" not in json.dumps(exchange).lower()
