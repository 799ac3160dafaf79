"""`PATCH /subscribers/webhook/subscriptions/{subscriptionId}`: subscriptions that are changed."""

import uuid
from functools import partial

import pytest
from conftest import at_once
from receiver import Answer, Receiver
from runtime_api import Function, api_event
from streams import bodies, event_type, is_streams
from test_consent import ORIGIN, endpoints  # noqa: F401
from test_webhook_subscriptions import OAUTH, URL

SUBSCRIPTION = "/subscribers/webhook/subscriptions/{subscriptionId}"


@pytest.fixture
def patch(streams):
    """Changes a subscription, and returns the answer."""

    def patch(subscription: dict, **fields):
        return streams.on(subscription, method="PATCH", json=fields)

    return patch


@pytest.fixture
def another_receiver():
    with Receiver() as receiver:
        yield receiver


def test_what_is_named_changes_and_the_rest_stays(streams, patch):
    made = streams.subscribe(streams.topic("snapshot"), URL, webhookHeaders={"X-A": "1", "X-B": "2"})
    before = streams.show(made)
    answer = patch(
        made,
        webhookUrl=f"{URL}/other",
        webhookHeaders={"x-a": None, "X-C": "3"},
        subscriptionMode="snapshot-only",
        authorization=OAUTH,
    )
    assert answer.status_code == 200, answer.text
    redacted = {"authorization": OAUTH | {"clientSecret": "[redacted]", "mode": "header"}}
    assert answer.json() == before | redacted | {
        "webhookUrl": f"{URL}/other",
        "webhookHeaders": {"X-B": "[redacted]", "X-C": "[redacted]"},
        "subscriptionMode": "snapshot-only",
    }
    assert streams.show(made) == answer.json()
    stored = streams.stored_item(made)
    assert stored["webhook_headers"]["M"] == {"X-B": {"S": "2"}, "X-C": {"S": "3"}}
    # The secret stays, unless there is another one, and null takes all away.
    assert patch(made, authorization={"clientId": "you", "scope": "a b"}).status_code == 200
    authorization = streams.stored_item(made)["authorization"]["M"]
    assert (authorization["client_id"]["S"], authorization["client_secret"]["S"]) == ("you", "hush")
    answer = patch(made, authorization=None, webhookHeaders=None)
    assert answer.status_code == 200
    assert (answer.json()["webhookHeaders"], "authorization" in answer.json()) == ({}, False)


def test_the_whole_view_changes_nothing(streams):
    made = streams.subscribe(streams.topic("snapshot"), URL, webhookHeaders={"X-A": "1"}, authorization=OAUTH)
    for _ in range(2):
        shown = streams.on(made, method="GET")
        answer = streams.on(made, method="PATCH", json=shown.json())
        assert (answer.status_code, answer.json()) == (200, shown.json())
        assert answer.headers["ETag"] == shown.headers["ETag"]
        assert streams.stored_item(made)["webhook_headers"]["M"] == {"X-A": {"S": "1"}}
        assert streams.on(made, "disable").status_code == 200


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"webhookUrl": None}, "webhookUrl"),
        ({"webhookUrl": ""}, "webhookUrl"),
        ({"webhookUrl": 5}, "webhookUrl"),
        ({"webhookUrl": "https://x.example/" + "x" * 2048}, "webhookUrl"),
        ({"webhookUrl": "https://10.0.0.1/"}, "webhookUrl"),
        ({"webhookUrl": "ftp://example.com/"}, "webhookUrl"),
        ({"webhookHeaders": []}, "webhookHeaders"),
        ({"webhookHeaders": {"a": 1}}, "webhookHeaders.a"),
        ({"webhookHeaders": {"Host": "x"}}, "webhookHeaders"),
        ({"webhookHeaders": {"a b": "x"}}, "webhookHeaders"),
        ({"webhookHeaders": {"X-B": "1", "x-b": "2"}}, "webhookHeaders"),
        ({"webhookHeaders": {"X-B": "[redacted]"}}, "webhookHeaders"),
        ({"webhookHeaders": {f"x-{n}": "" for n in range(100)}}, "webhookHeaders"),
        ({"webhookHeaders": {"a": "x" * 4097}}, "webhookHeaders"),
        ({"subscriptionMode": None}, "subscriptionMode"),
        ({"subscriptionMode": "event"}, "subscriptionMode"),
        ({"subscriptionMode": "patch"}, "subscriptionMode"),
        ({"subscriptionStatus": None}, "subscriptionStatus"),
        ({"subscriptionStatus": "disabled"}, "subscriptionStatus"),
        ({"subscriptionStatus": True}, "subscriptionStatus"),
        ({"authorization": {}}, "authorization.type"),
        ({"authorization": {"type": "oauth2", "clientId": "me"}}, "authorization.clientSecret"),
        ({"authorization": OAUTH | {"clientSecret": "[redacted]"}}, "authorization.clientSecret"),
        ({"authorization": OAUTH | {"provider": "https://169.254.169.254/"}}, "authorization.provider"),
        ({"authorization": OAUTH | {"clientId": None}}, "authorization.clientId"),
        ({"authorization": OAUTH, "webhookHeaders": {"authorization": "x"}}, "webhookHeaders"),
        ({"id": str(uuid.uuid4())}, "id"),
        ({"id": None}, "id"),
        ({"topicId": "other"}, "topicId"),
        ({"status": "disabled"}, "status"),
        ({"disabledReason": "requested"}, "disabledReason"),
        ({"createTimestamp": "2026-01-01T00:00:00.000000Z"}, "createTimestamp"),
    ],
)
def test_changes_that_make_no_sense(streams, patch, fields, field):
    made = streams.subscribe(streams.topic("snapshot"), URL, webhookHeaders={"X-A": "1"})
    before = streams.stored_item(made)
    answer = patch(made, **{"subscriptionMode": "snapshot-only"} | fields)
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"].startswith(field)
    assert "hush" not in answer.text
    # All or nothing.
    assert streams.stored_item(made) == before


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"secret": "whsec_x"}', "application/json", 400),
        (b'{"x": 1}', "application/json", 400),
        (b'{"webhookUrl": "https://example.com/", "webhookUrl": "https://example.com/"}', "application/json", 400),
        (b'{"webhookUrl": "' + b"x" * 70_000 + b'"}', "application/json", 413),
        (b'[{"op": "remove", "path": "/authorization"}]', "application/json-patch+json", 415),
        (b"{}", "text/plain", 415),
        (b"{}", "application/merge-patch+json", 200),
        (b"{}", "Application/JSON; charset=utf-8", 200),
    ],
)
def test_bodies_and_their_types(streams, body, media_type, status):
    made = streams.subscribe(streams.topic(), URL)
    answer = streams.on(made, method="PATCH", data=body, headers={"Content-Type": media_type})
    assert answer.status_code == status, answer.text


def test_a_mode_has_to_be_the_topics(streams, patch, stack, publisher):
    topic = streams.topic("snapshot", subscribers=[{"type": "webhook", "allowedSubscriptionModes": ["snapshot-only"]}])
    made = streams.subscribe(topic, URL)
    refused = patch(made, subscriptionMode="snapshot-patch")
    assert (refused.status_code, refused.json()["field"]) == (400, "subscriptionMode")
    # What a subscription has may stay, when its topic doesn't allow it any more.
    definition = stack.call("GET", f"/topics/{topic}", publisher).json()
    definition = {name: definition[name] for name in ("name", "publisher")}
    subscribers = [{"type": "webhook", "allowedSubscriptionModes": ["snapshot-patch"]}]
    changed = stack.call("PUT", f"/topics/{topic}", publisher, json=definition | {"subscribers": subscribers})
    assert changed.status_code == 200, changed.text
    assert patch(made, subscriptionMode="snapshot-only").status_code == 200
    assert patch(made, subscriptionMode="snapshot-patch").json()["subscriptionMode"] == "snapshot-patch"
    assert patch(made, subscriptionMode="snapshot-only").status_code == 400


def test_a_pending_retry_goes_to_the_new_url(streams, patch, receiver):
    topic = streams.topic("event")
    with Receiver(answer=lambda _: Answer(500)) as failing:
        made = streams.subscribe(topic, failing.url)
        streams.publish(topic, {"n": 1})
        [failed, *_] = failing.wait_for(is_streams)
        assert patch(made, webhookUrl=receiver.url).status_code == 200
        [arrival, *_] = receiver.wait_for(is_streams)
        assert arrival.headers["webhook-id"] == failed.headers["webhook-id"]
    streams.wait_for_view(made, status="active")


def test_a_new_url_gets_a_snapshot_first_and_then_patches(streams, patch, receiver, another_receiver):
    topic = streams.topic("snapshot")
    made = streams.subscribe(topic, receiver.url)
    text = "x" * 100
    for n in (1, 2):
        streams.publish(topic, {"n": n, "text": text})
        receiver.wait_for(is_streams, n)
    assert patch(made, webhookUrl=another_receiver.url).status_code == 200
    # It gets the current document, and needs no other change for that.
    another_receiver.wait_for(is_streams)
    streams.publish(topic, {"n": 3, "text": text})
    arrivals = another_receiver.wait_for(is_streams, 2)
    assert [event_type(it) for it in arrivals] == ["snapshot", "patch"]
    assert bodies(another_receiver, 2) == [
        {"n": 2, "text": text},
        [{"op": "replace", "path": "/n", "value": 3}],
    ]
    assert len(receiver.matching(is_streams)) == 2


def test_a_document_does_not_wait_for_the_retry_at_the_old_url(streams, patch, receiver):
    topic = streams.topic("snapshot")
    with Receiver(answer=lambda _: Answer(500)) as failing:
        made = streams.subscribe(topic, failing.url)
        streams.publish(topic, {"n": 1})
        failing.wait_for(is_streams)
        assert patch(made, webhookUrl=receiver.url).status_code == 200
        assert bodies(receiver, 1) == [{"n": 1}]
    assert "failingSince" not in streams.wait_for_view(made, status="active")


def test_headers_of_a_delivery_are_those_of_the_change(streams, patch, receiver):
    topic = streams.topic("event")
    made = streams.subscribe(topic, receiver.url, webhookHeaders={"X-A": "1", "X-B": "2"})
    assert patch(made, webhookHeaders={"X-A": "new", "X-B": None}).status_code == 200
    # A subscription may be read as it was a second before.
    assert streams.on(made, "disable").status_code == 200
    assert patch(made, subscriptionStatus="active").status_code == 200
    streams.publish(topic, {"n": 1})
    [arrival, *_] = receiver.wait_for(is_streams)
    assert (arrival.headers["x-a"], arrival.headers.get("x-b")) == ("new", None)


def test_suspended_and_active(streams, patch, receiver):
    topic = streams.topic("snapshot")
    made = streams.subscribe(topic, receiver.url)
    streams.publish(topic, {"n": 1})
    receiver.wait_for(is_streams)
    view = patch(made, subscriptionStatus="suspended").json()
    assert (view["subscriptionStatus"], view["status"], view["disabledReason"]) == (
        "suspended",
        "disabled",
        "requested",
    )
    assert patch(made, subscriptionStatus="suspended").json() == view == streams.show(made)
    streams.publish(topic, {"n": 2})
    answer = patch(made, subscriptionStatus="active")
    assert (answer.json()["subscriptionStatus"], answer.json()["status"]) == ("active", "active")
    arrivals = receiver.wait_for(is_streams, 2)
    assert event_type(arrivals[1]) == "snapshot"
    # As with `enable` and `disable`.
    assert streams.on(made, "disable").json()["subscriptionStatus"] == "suspended"
    assert streams.on(made, "enable").json()["subscriptionStatus"] == "active"


def test_who_knows_another_revision_changes_and_deletes_nothing(streams):
    made = streams.subscribe(streams.topic(), URL)
    old = streams.on(made, method="GET").headers["ETag"]

    def call(method: str, tag: str, **fields):
        return streams.on(made, method=method, json=fields or None, headers={"If-Match": tag})

    changed = call("PATCH", old, subscriptionStatus="suspended")
    assert changed.status_code == 200
    new = changed.headers["ETag"]
    assert new != old and streams.on(made, method="GET").headers["ETag"] == new
    refused = call("PATCH", old, subscriptionStatus="active")
    assert (refused.status_code, call("DELETE", old).status_code) == (412, 412)
    assert streams.show(made) == changed.json()
    # A new secret is another revision, too.
    assert streams.on(made, "secret/rotate").status_code == 200
    assert call("PATCH", new, subscriptionStatus="active").status_code == 412
    assert call("PATCH", "*", subscriptionStatus="active").status_code == 200
    assert call("DELETE", streams.on(made, method="GET").headers["ETag"]).status_code == 204


def test_changes_at_the_same_time_are_all_made(streams, patch):
    made = streams.subscribe(streams.topic(), URL)
    answers = at_once(*(partial(patch, made, webhookHeaders={f"X-{n}": str(n)}) for n in range(4)))
    assert {it.status_code for it in answers} <= {200, 503}
    for n, answer in enumerate(answers):
        if answer.status_code == 503:
            assert patch(made, webhookHeaders={f"X-{n}": str(n)}).status_code == 200
    assert set(streams.show(made)["webhookHeaders"]) == {f"X-{n}" for n in range(4)}


def test_an_endpoint_at_a_new_url_has_to_consent(stack, streams, client, endpoints):  # noqa: F811
    made = streams.subscribe(streams.topic(), URL)
    allowed, asked = endpoints(200, ORIGIN)
    refused, _ = endpoints(405, None)
    with Function(stack, "WebhookSubscriptionsFunction", ENDPOINT_CONSENT="options") as function:

        def patch(**fields):
            return function.invoke(api_event("PATCH", SUBSCRIPTION, client, fields, subscriptionId=made["id"]))

        no = patch(webhookUrl=refused)
        assert (no.status, no.body["field"]) == (400, "webhookUrl")
        assert streams.show(made)["webhookUrl"] == URL
        assert patch(webhookUrl=allowed).status == 200
        assert asked == [("/hook", ORIGIN, "Bellwire")]
        assert streams.stored_item(made)["origin"]["S"] == ORIGIN
        # Where it is already it is not asked again.
        assert patch(webhookUrl=allowed, subscriptionStatus="suspended").status == 200
        assert len(asked) == 1


def test_a_host_has_its_limit(stack, streams, client):
    topic = streams.topic()
    first, second = (streams.subscribe(topic, f"https://{host}.example.com/") for host in "ab")
    with Function(stack, "WebhookSubscriptionsFunction", SUBSCRIPTIONS_PER_HOST="1") as function:

        def move(subscription: dict, url: str):
            event = api_event("PATCH", SUBSCRIPTION, client, {"webhookUrl": url}, subscriptionId=subscription["id"])
            return function.invoke(event)

        full = move(first, "https://b.example.com/other")
        assert full.status == 409
        assert "at one host" in full.body["message"]
        assert streams.show(first)["webhookUrl"] == "https://a.example.com/"
        assert move(first, "https://A.example.com/other").status == 200
        assert move(second, "https://c.example.com/").status == 200
        assert move(first, "https://b.example.com/other").status == 200
        assert streams.on(second, method="DELETE").status_code == 204
        assert move(first, "https://c.example.com/").status == 200


def test_both_spellings_and_the_path_of_what_is_created(streams, stack, client):
    topic = streams.topic()
    for prefix in ("/subscribers/webhook", "/streams/subscribers/webhook/api/v1"):
        answer = stack.call("POST", f"{prefix}/topics/{topic}/subscriptions", client, json={"webhookUrl": URL})
        assert answer.status_code == 201
        path = f"{prefix}/subscriptions/{answer.json()['id']}"
        assert answer.headers["Location"].endswith(path)
        changed = stack.call("PATCH", path, client, json={"webhookUrl": f"{URL}/other"})
        assert (changed.status_code, changed.json()["webhookUrl"]) == (200, f"{URL}/other")
        assert stack.call("DELETE", path, client).status_code == 204


def test_a_repeated_creation_has_the_same_path_and_revision(streams, stack, client):
    path = f"/subscribers/webhook/topics/{streams.topic()}/subscriptions"
    how = {"json": {"webhookUrl": URL}, "headers": {"Idempotency-Key": str(uuid.uuid4())}}
    first, again = (stack.call("POST", path, client, **how) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    for name in ("Location", "ETag"):
        assert first.headers[name] == again.headers[name]
