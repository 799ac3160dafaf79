"""What a definition of a topic may leave out, and what it says of publishers and subscribers."""

import pytest
from streams import bodies, definition

FORMS = [
    [],
    {},
    [{"type": "webhook", "config": {"team": "sales"}}],
    [{"type": "sse"}, {"type": "webhook", "defaultSubscriptionMode": "snapshot-only"}, {"type": "websocket"}],
    {"webhook": {"allowedSubscriptionModes": ["snapshot-only"]}},
    {"kafka": {"config": {"topic": "orders"}}, "webhook": {}},
]


def create(stack, publisher, body: dict) -> dict:
    answer = stack.call("POST", "/topics", publisher, json=body)
    assert answer.status_code == 201, answer.text
    stack.topics.append(answer.json()["id"])
    return answer.json()


def test_a_publisher_publishes_documents_unless_it_says_otherwise(stack, publisher):
    body = definition()
    topic = create(stack, publisher, body | {"publisher": {"type": "http-post"}})
    assert topic["publisher"] == {"type": "http-post", "config": {}, "payload": {"type": "snapshot"}}
    assert stack.call("GET", f"/topics/{topic['id']}", publisher).json() == topic


@pytest.mark.parametrize("subscribers", FORMS)
def test_subscribers_are_shown_as_they_were_given(stack, streams, receiver, subscribers):
    topic = create(stack, streams.publisher, definition(subscribers=subscribers))
    assert topic["subscribers"] == subscribers
    assert stack.call("GET", f"/topics/{topic['id']}", streams.publisher).json() == topic
    subscription = streams.subscribe(topic["id"], receiver.url + "/hook")
    only = "snapshot-only" in str(subscribers)
    assert subscription["subscriptionMode"] == ("snapshot-only" if only else "snapshot-patch")


@pytest.mark.parametrize("subscribers", [[{"type": "kafka"}], {"sse": {}, "websocket": {}}])
def test_webhooks_do_not_subscribe_where_others_do(stack, streams, receiver, subscribers):
    topic = create(stack, streams.publisher, definition(subscribers=subscribers))
    refused = streams.request_subscription(topic["id"], webhookUrl=receiver.url + "/hook")
    assert refused.status_code == 409, refused.text
    assert "webhook" in refused.json()["message"]
    # Until the topic says so.
    patch: dict = {"subscribers": {"webhook": {}}}
    changed = stack.call("PATCH", f"/topics/{topic['id']}", streams.publisher, json=patch)
    assert changed.status_code == 200, changed.text
    streams.subscribe(topic["id"], receiver.url + "/hook")


@pytest.mark.parametrize("payload", ["event", "snapshot"])
def test_who_is_not_always_on_needs_a_subscription(stack, streams, receiver, payload):
    body = definition(payload=payload)
    body["publisher"]["alwaysOn"] = False
    topic = create(stack, streams.publisher, body)
    assert topic["publisher"]["alwaysOn"] is False
    refused = streams.try_to_publish(topic["id"], '{"n": 0}')
    assert refused.status_code == 410, refused.text
    assert "alwaysOn" in refused.json()["message"]
    path = f"/publishers/http-post/topics/{topic['id']}/batch"
    batch = stack.call("POST", path, streams.publisher, json={"events": [{"payload": {"n": 0}}]})
    assert batch.status_code == (410 if payload == "event" else 409), batch.text
    subscription = streams.subscribe(topic["id"], receiver.url + "/hook")
    streams.publish(topic["id"], {"n": 1})
    assert bodies(receiver, 1) == [{"n": 1}]
    assert streams.on(subscription, method="DELETE").status_code == 204
    assert streams.try_to_publish(topic["id"], '{"n": 2}').status_code == 410


@pytest.mark.parametrize("always_on", [{"alwaysOn": True}, {}])
def test_who_is_always_on_needs_none(stack, streams, always_on):
    body = definition(payload="event")
    body["publisher"] |= always_on
    topic = create(stack, streams.publisher, body)
    assert topic["publisher"] == body["publisher"]
    streams.publish(topic["id"], {"n": 1})
