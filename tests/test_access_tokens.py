"""Endpoints that want an access token: OAuth 2.0, client credentials."""

import base64
import json
from urllib.parse import parse_qs

import pytest
from messages import delivery, event
from receiver import Answer, Receiver
from runtime_api import Function, failures, sqs_event
from streams import is_streams


class Provider:
    """Gives out tokens: the first is `token-1`, and so on."""

    def __init__(self, expires_in: int | None = 3600):
        self.expires_in = expires_in
        self.token_type = "bearer"
        self.asked: list = []
        self.answer: Answer | None = None

    def __call__(self, arrival) -> Answer:
        if arrival.path != "/token":
            return Answer()
        self.asked.append(arrival)
        if self.answer:
            return self.answer
        token: dict = {"access_token": f"token-{len(self.asked)}", "token_type": self.token_type}
        if self.expires_in is not None:
            token["expires_in"] = self.expires_in
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(token).encode())


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


def test_a_token_that_has_expired_is_replaced(streams, both, provider):
    provider.expires_in = 0
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
    ("token_type", "understood"), [("Bearer", True), ("BEARER", True), ("mac", False), ("DPoP", False)]
)
def test_a_token_that_is_no_bearer_token_is_not_sent(streams, both, provider, token_type, understood):
    provider.token_type = token_type
    topic = streams.topic()
    subscription = streams.subscribe(topic, f"{both.url}/hook", authorization=authorization(both))
    streams.publish(topic, 1)
    if understood:
        assert hooks(both, 1) == ["Bearer token-1"]
        return
    exchange = streams.wait_for_exchanges(subscription, 1)[0]
    assert exchange["errorMessage"] == "no access token: the provider's token is not of the type Bearer"
    assert [it for it in both.arrivals if it.path == "/hook"] == []


@pytest.mark.parametrize("expires_in", [18446744073709551615, 10**12])
def test_a_token_that_never_expires_is_a_token(streams, both, provider, expires_in):
    provider.expires_in = expires_in
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
        (Answer(401, {}, b'{"error": "invalid_client", "error_description": "hush hush"}'), "refuses"),
        (Answer(500, {}, b"oops"), "OAuth 2.0"),
        (
            Answer(200, {"Content-Type": "application/json"}, b'{"access_token": "a\\nb", "token_type": "bearer"}'),
            "header",
        ),
        (Answer(200, {"Content-Type": "application/json"}, b"[]"), "OAuth 2.0"),
        (Answer(302, {"Location": "/elsewhere"}), "OAuth 2.0"),
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
