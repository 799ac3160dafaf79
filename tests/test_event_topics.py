"""Events: published, and delivered to every subscription."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from conftest import at_once
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from receiver import Answer, Receiver
from streams import bodies, event_type, eventually, is_streams

MEGABYTE = 1024 * 1024


def test_an_event_reaches_its_subscriber_as_it_was_published(streams, receiver):
    topic = streams.topic()
    headers = {"Authorization": "Bearer AbC", "X-A": "1"}
    subscription = streams.subscribe(topic, f"{receiver.url}/hook", webhookHeaders=headers)
    body = '{"b":1,  "a":[1.50, 123456789012345678901], "é": "\\u00e9"}'
    accepted = streams.try_to_publish(topic, body.encode())
    assert accepted.status_code == 202
    [arrival] = receiver.wait_for(is_streams)
    assert (arrival.method, arrival.path) == ("POST", "/hook")
    assert arrival.body.decode() == body
    headers = arrival.headers
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer AbC" and headers["x-a"] == "1"
    assert headers["x-axway-streams-subscription-id"] == subscription["id"]
    assert headers["x-axway-streams-topic-id"] == topic
    assert headers["x-axway-streams-event-id"] == accepted.json()["id"]
    assert headers["x-axway-streams-event-type"] == "event"
    assert headers["x-bellwire-attempt"] == "1"
    assert re.fullmatch(r"\d{16}_[0-9a-f-]{36}_[0-9a-f]{8}", headers["webhook-id"])


@pytest.mark.parametrize(
    ("hub", "publishers", "subscribers"),
    [
        ("/topics", "/publishers/http-post/topics", "/subscribers/webhook"),
        (
            "/streams/hub/api/v1/topics",
            "/streams/publishers/http-post/api/v1/topics",
            "/streams/subscribers/webhook/api/v1",
        ),
    ],
)
def test_both_spellings_of_the_paths(streams, stack, publisher, client, receiver, hub, publishers, subscribers):
    topic = streams.topic()
    assert stack.call("GET", f"{hub}/{topic}", client).status_code == 200
    list_path = f"{subscribers}/topics/{topic}/subscriptions"
    made = stack.call("POST", list_path, client, json={"webhookUrl": receiver.url})
    assert made.status_code == 201
    assert stack.call("POST", f"{publishers}/{topic}", publisher, json={"n": 1}).status_code == 202
    assert bodies(receiver, 1) == [{"n": 1}]
    here = f"{subscribers}/subscriptions/{made.json()['id']}"
    eventually(lambda: stack.call("GET", list_path, client).json()["items"], bool, "subscriptions")
    assert stack.call("GET", here, client).status_code == 200
    eventually(lambda: stack.call("GET", f"{here}/exchanges", client).json(), bool, "exchanges")
    for action, body, status in [
        ("test", {}, 202),
        ("secret/rotate", None, 200),
        ("disable", None, 200),
        ("enable", None, 200),
        ("replay", {"start": "2026-01-01T00:00:00Z"}, 202),
    ]:
        assert stack.call("POST", f"{here}/{action}", client, json=body).status_code == status, action
    assert stack.call("DELETE", here, client).status_code == 204


def test_an_event_is_delivered_to_every_subscription_and_to_none_twice(streams, other_client, receiver):
    topic, other_topic = streams.topic(), streams.topic()
    for n in range(3):
        streams.subscribe(topic, f"{receiver.url}/mine-{n}")
    streams.subscribe(topic, f"{receiver.url}/theirs", client=other_client)
    streams.subscribe(other_topic, f"{receiver.url}/else")
    event = streams.publish(topic, {"n": 1})
    arrivals = receiver.wait_for(is_streams, 4)
    assert sorted(it.path for it in arrivals) == ["/mine-0", "/mine-1", "/mine-2", "/theirs"]
    assert {it.headers["x-axway-streams-event-id"] for it in arrivals} == {event}
    assert len({it.headers["webhook-id"] for it in arrivals}) == 4
    streams.publish(other_topic, {"n": 2})
    receiver.wait_for(lambda it: it.path == "/else")
    assert len(receiver.arrivals) == 5


@pytest.mark.parametrize("document", ["1", '"text"', "null", "[]", "true", ' {"a": {"b": []}} ', "-0.0e-5"])
def test_any_json_is_an_event(streams, receiver, document):
    topic = streams.topic()
    streams.subscribe(topic, receiver.url)
    assert streams.try_to_publish(topic, document).status_code == 202
    [arrival] = receiver.wait_for(is_streams)
    assert arrival.body.decode() == document


@pytest.mark.parametrize(("size", "compressible"), [(MEGABYTE, True), (MEGABYTE, False), (100_000, False)])
def test_events_of_up_to_a_megabyte(streams, receiver, size, compressible):
    topic = streams.topic()
    streams.subscribe(topic, receiver.url)
    text = "x" * (size - 2) if compressible else uuid_text(size - 2)
    body = json.dumps(text)
    assert len(body) == size
    assert streams.try_to_publish(topic, body).status_code == 202
    [arrival] = receiver.wait_for(is_streams)
    assert arrival.body.decode() == body


def self_signed(folder) -> tuple[str, str]:
    """The files of a certificate for loopback that nobody has signed, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key").write_bytes(private)
    return str(folder / "certificate"), str(folder / "key")


def uuid_text(length: int) -> str:
    """Text that doesn't compress well."""
    return "".join(uuid.uuid4().hex for _ in range(length // 32 + 1))[:length]


@pytest.mark.parametrize(
    ("body", "headers", "status", "word"),
    [
        ("", {}, 400, "JSON"),
        ("{", {}, 400, "JSON"),
        ("{} {}", {}, 400, "JSON"),
        ("NaN", {}, 400, "JSON"),
        ("[" * 10_000 + "]" * 10_000, {}, 400, "JSON"),
        ('"' + "x" * MEGABYTE + '"', {}, 413, "bytes"),
        ("{}", {"Content-Type": "text/plain"}, 415, "application/json"),
        ("{}", {"Content-Type": ""}, 415, "application/json"),
        ("{}", {"Content-Type": "application/json-patch+json"}, 415, "application/json"),
        ("{}", {"Idempotency-Key": "x" * 256}, 400, "Idempotency-Key"),
    ],
)
def test_publications_that_are_refused(streams, receiver, body, headers, status, word):
    topic = streams.topic()
    streams.subscribe(topic, receiver.url)
    answer = streams.try_to_publish(topic, body, **headers)
    assert answer.status_code == status
    assert word in answer.json()["message"]
    streams.publish(topic, "the next one")
    assert bodies(receiver, 1) == ["the next one"]


def test_a_charset_is_no_other_content_type(streams):
    topic = streams.topic()
    for content_type in ("application/json; charset=utf-8", "Application/JSON"):
        assert streams.try_to_publish(topic, "{}", **{"Content-Type": content_type}).status_code == 202


def test_publishing_needs_a_publisher_and_a_topic(streams, stack, client, publisher):
    topic = streams.topic()
    path = f"/publishers/http-post/topics/{topic}"
    assert stack.call("POST", path, json={}).status_code == 401
    assert stack.call("POST", path, client, json={}).status_code == 403
    unknown = f"/publishers/http-post/topics/{uuid.uuid4()}"
    assert stack.call("POST", unknown, publisher, json={}).status_code == 404
    assert stack.call("DELETE", f"/topics/{topic}", publisher).status_code == 204
    gone = stack.call("POST", path, publisher, json={})
    assert gone.status_code == 410
    assert "deleted" in gone.json()["message"]


def test_a_request_with_the_same_idempotency_key_publishes_once(streams, receiver):
    topic, other_topic = streams.topic(), streams.topic()
    streams.subscribe(topic, f"{receiver.url}/a")
    streams.subscribe(other_topic, f"{receiver.url}/b")
    key = {"Idempotency-Key": "order 7/ä".encode().hex()}
    ids = {answer.json()["id"] for answer in at_once(*[lambda: streams.try_to_publish(topic, "1", **key)] * 5)}
    assert len(ids) == 1
    streams.publish(other_topic, 2, **key)
    streams.publish(topic, 3)
    bodies(receiver, 1, "/b")
    assert sorted(bodies(receiver, 2, "/a")) == [1, 3]
    assert len(receiver.arrivals) == 3


def test_a_repeated_request_with_another_body_changes_nothing_of_the_first(streams, receiver):
    topic = streams.topic("snapshot")
    streams.subscribe(topic, receiver.url)
    key = {"Idempotency-Key": uuid.uuid4().hex}
    # Too large for a message: they lie in the bucket.
    first, second = ({"n": n, "text": uuid_text(300_000)} for n in (1, 2))
    for document in (first, second):
        streams.publish(topic, document, **key)
    [snapshot] = receiver.wait_for(is_streams)
    assert snapshot.json() == first
    streams.publish(topic, first | {"n": 3})
    patch = receiver.wait_for(is_streams, 2)[1]
    assert patch.json() == [{"op": "replace", "path": "/n", "value": 3}]
    streams.subscribe(topic, f"{receiver.url}/late")
    [late] = receiver.wait_for(lambda it: it.path == "/late")
    assert late.json() == first | {"n": 3}


def test_a_deleted_topic_notifies_its_subscribers_and_ends_their_subscriptions(streams, stack, publisher, receiver):
    topic = streams.topic()
    subscriptions = [streams.subscribe(topic, f"{receiver.url}/{n}") for n in range(2)]
    disabled = streams.subscribe(topic, f"{receiver.url}/disabled")
    streams.on(disabled, "disable")
    streams.publish(topic, "the last event")
    assert stack.call("DELETE", f"/topics/{topic}", publisher).status_code == 204
    for subscription in [*subscriptions, disabled]:
        for action, method in [("", "GET"), ("", "DELETE"), ("exchanges", "GET"), ("test", "POST"), ("enable", "POST")]:
            assert streams.on(subscription, action, method).status_code == 404
    assert streams.request_subscription(topic, webhookUrl=receiver.url).status_code == 404
    for n, subscription in enumerate(subscriptions):
        arrivals = receiver.wait_for(lambda it, n=n: it.path == f"/{n}", 2)
        assert sorted(map(event_type, arrivals)) == ["error", "event"]
        [error] = [it for it in arrivals if event_type(it) == "error"]
        body = error.json()
        assert (body["code"], body["category"]) == (40404, "subscription")
        assert body["subscriptionId"] == subscription["id"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", body["datetime"])
        assert "message" in body
    # They are removed when nothing of theirs can be on its way any more.
    for subscription in [*subscriptions, disabled]:
        eventually(lambda it=subscription: streams.stored_item(it), lambda it: "expires_at" in it, "end")
    assert not receiver.matching(lambda it: it.path == "/disabled")


def test_what_was_accepted_before_the_topics_end_still_arrives(streams, stack, publisher):
    answers = [Answer(500)] * 2
    with Receiver(answer=lambda it: answers.pop() if event_type(it) == "event" and answers else Answer()) as receiver:
        topic = streams.topic()
        streams.subscribe(topic, receiver.url)
        streams.publish(topic, {"n": 1})
        receiver.wait_for(is_streams)
        assert stack.call("DELETE", f"/topics/{topic}", publisher).status_code == 204
        arrivals = receiver.wait_for(lambda it: event_type(it) == "event", 3)
        assert arrivals[-1].json() == {"n": 1}
        receiver.wait_for(lambda it: event_type(it) == "error")


def test_nothing_is_delivered_after_unsubscribing(streams, receiver):
    topic = streams.topic()
    gone, _stays = (streams.subscribe(topic, f"{receiver.url}/{n}") for n in ("gone", "stays"))
    assert streams.on(gone, method="DELETE").status_code == 204
    assert streams.on(gone, method="DELETE").status_code == 404
    streams.publish(topic, 1)
    receiver.wait_for(lambda it: it.path == "/stays")
    assert len(receiver.arrivals) == 1


class TestAnswers:
    """What the endpoint answers, and what follows."""

    @pytest.mark.parametrize("status", [200, 201, 204, 299])
    def test_every_2xx_is_a_success(self, streams, status):
        with Receiver(answer=lambda _: Answer(status)) as receiver:
            topic = streams.topic()
            subscription = streams.subscribe(topic, receiver.url)
            streams.publish(topic, 1)
            [exchange] = streams.wait_for_exchanges(subscription, 1)
            assert exchange["responseCode"] == status
            assert "errorMessage" not in exchange and "requestRetryAttempts" not in exchange
            assert "failingSince" not in streams.show(subscription)

    @pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 408, 429, 500, 502, 503, 599])
    def test_all_else_is_tried_again_until_it_succeeds(self, streams, status):
        failures = [Answer(status, {"Location": "/elsewhere"})] * 2
        with Receiver(answer=lambda _: failures.pop() if failures else Answer()) as receiver:
            topic = streams.topic()
            subscription = streams.subscribe(topic, f"{receiver.url}/hook")
            streams.publish(topic, {"n": 1})
            arrivals = receiver.wait_for(is_streams, 3)
            assert [it.headers["x-bellwire-attempt"] for it in arrivals] == ["1", "2", "3"]
            assert len({it.headers["webhook-id"] for it in arrivals}) == 1
            assert {it.path for it in arrivals} == {"/hook"}
            exchanges = streams.wait_for_exchanges(subscription, 3)
            assert [it["responseCode"] for it in exchanges] == [status, status, 200]
            assert [it.get("requestRetryAttempts") for it in exchanges] == [None, 1, 2]
            assert [it.get("requestRetryMaxAttempts") for it in exchanges] == [None, 3, 3]
            assert len({it["pipelineId"] for it in exchanges}) == 1
            assert exchanges[0]["errorMessage"].startswith(f"{status} ")
            streams.wait_for_view(subscription, status="active")
            eventually(lambda: streams.show(subscription), lambda it: "failingSince" not in it, "recovery")

    @pytest.mark.parametrize(
        ("fault", "body", "message"),
        [
            ("reset", b"", "connection"),
            ("stall", b"", "no answer within 3 s"),
        ],
    )
    def test_no_answer_is_tried_again_too(self, streams, fault, body, message):
        faults = [Answer(fault=fault, body=body)]
        with Receiver(answer=lambda _: faults.pop() if faults else Answer()) as receiver:
            topic = streams.topic()
            subscription = streams.subscribe(topic, receiver.url)
            streams.publish(topic, 1)
            receiver.wait_for(is_streams, 2)
            first, second = streams.wait_for_exchanges(subscription, 2)
            assert message in first["errorMessage"]
            assert "responseCode" not in first and second["responseCode"] == 200

    @pytest.mark.parametrize("status", [200, 500])
    def test_an_answer_that_breaks_off_counts_by_its_status(self, streams, status):
        answers = [Answer(status, body=b"x" * 1000, fault="cut")]
        with Receiver(answer=lambda _: answers.pop() if answers else Answer()) as receiver:
            topic = streams.topic()
            subscription = streams.subscribe(topic, receiver.url)
            for n in range(2):
                streams.publish(topic, n)
            exchanges = streams.wait_for_exchanges(subscription, 2 if status == 200 else 3)
            [broken] = [it for it in exchanges if it.get("responseBody")]
            assert (broken["responseCode"], broken["responseBody"]) == (status, "x" * 500)
            assert broken["responseSize"] == "1000B"
            receiver.wait_for(is_streams, len(exchanges))
            assert len(receiver.arrivals) == len(exchanges)

    def test_a_certificate_that_is_not_valid_is_no_answer(self, streams, tmp_path):
        with Receiver() as receiver:
            receiver.use_certificate(*self_signed(tmp_path))
            topic = streams.topic()
            subscription = streams.subscribe(topic, receiver.url)
            streams.publish(topic, "a secret")
            exchanges = streams.wait_for_exchanges(subscription, 4)
            assert all("certificate" in it["errorMessage"].lower() for it in exchanges)
            assert receiver.arrivals == []

    def test_no_more_is_read_of_an_answer_than_is_kept(self, streams):
        with Receiver(answer=lambda _: Answer(body=b"y" * 10_000_000, fault="trickle")) as receiver:
            topic = streams.topic()
            subscription = streams.subscribe(topic, receiver.url)
            streams.publish(topic, 1)
            [exchange] = streams.wait_for_exchanges(subscription, 1)
            assert exchange["responseCode"] == 200
            assert exchange["responseBody"] == "y" * 16 * 1024
            assert exchange["responseSize"] == "10000000B"

    def test_an_endpoint_that_asks_for_time_is_given_it(self, streams):
        busy = [Answer(429, {"Retry-After": "4"})]
        with Receiver(answer=lambda _: busy.pop() if busy else Answer()) as receiver:
            topic = streams.topic()
            streams.subscribe(topic, receiver.url)
            streams.publish(topic, 1)
            first, second = receiver.wait_for(is_streams, 2)
            # The schedule would have it again at once.
            assert second.at - first.at >= 3.5

    def test_a_410_ends_the_subscription(self, streams):
        with Receiver(answer=lambda _: Answer(410)) as receiver:
            topic = streams.topic()
            subscription = streams.subscribe(topic, f"{receiver.url}/gone")
            streams.subscribe(topic, f"{receiver.url}/other")
            streams.publish(topic, 1)
            view = streams.wait_for_view(subscription, status="disabled", disabledReason="gone")
            assert view["disabledTimestamp"]
            receiver.answer = lambda _: Answer()
            streams.publish(topic, 2)
            streams.publish(topic, 3)
            eventually(lambda: streams.exchanges(subscription), bool, "exchanges")
            assert len(receiver.matching(lambda it: it.path == "/gone")) == 1

    def test_one_broken_endpoint_does_not_delay_anothers_first_attempts(self, streams, other_client):
        with Receiver(answer=lambda it: Answer(fault="stall") if it.path == "/broken" else Answer()) as receiver:
            topic = streams.topic()
            streams.subscribe(topic, f"{receiver.url}/broken", client=other_client)
            streams.subscribe(topic, f"{receiver.url}/good")
            for n in range(15):
                streams.publish(topic, n)
            # One after the other the broken one's would take longer than is waited for.
            good = receiver.wait_for(lambda it: it.path == "/good", 15)
            assert sorted(it.json() for it in good) == list(range(15))
