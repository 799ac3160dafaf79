"""A topic's name in the place of its id, wherever a topic stands in a path."""

import uuid
from urllib.parse import quote

import pytest
from streams import bodies, definition, for_customers


@pytest.fixture
def name() -> str:
    return f"Käufe & {uuid.uuid4()} 50%"


@pytest.fixture
def topic(stack, publisher, name) -> dict:
    answer = stack.call("POST", "/topics", publisher, json=definition(name, "event"))
    assert answer.status_code == 201, answer.text
    stack.topics.append(answer.json()["id"])
    return answer.json()


@pytest.mark.parametrize("prefix", ["", "/streams/hub/api/v1"])
def test_a_topic_is_read_changed_and_deleted_by_its_name(stack, client, publisher, topic, prefix):
    here = f"{prefix}/topics/{quote(topic['name'])}"
    assert stack.call("GET", here, client).json() == for_customers(topic)
    patched = stack.call("PATCH", here, publisher, json={"publisher": {"config": {"a": 1}}})
    assert (patched.status_code, patched.json()["id"]) == (200, topic["id"])
    other = f"test-{uuid.uuid4()}"
    renamed = stack.call("PUT", here, publisher, json=definition(other, "event"))
    assert (renamed.status_code, renamed.json()["id"]) == (200, topic["id"])
    assert stack.call("GET", here, publisher).status_code == 404
    here = f"{prefix}/topics/{other}"
    assert stack.call("GET", here, client).json() == for_customers(renamed.json())
    assert stack.call("DELETE", here, publisher).status_code == 204
    assert stack.call("DELETE", here, publisher).status_code == 404
    for gone in (here, f"/topics/{topic['id']}"):
        assert stack.call("GET", gone, publisher).status_code == 404
    # The name is free, and then another topic's.
    answer = stack.call("POST", "/topics", publisher, json=definition(other, "event"))
    stack.topics.append(answer.json()["id"])
    assert stack.call("GET", here, publisher).json() == answer.json() != renamed.json()


def test_webhooks_subscribe_and_events_are_published_by_name(stack, streams, receiver, topic):
    named = quote(topic["name"])
    subscription = streams.subscribe(named, receiver.url + "/hook")
    assert subscription["topicId"] == topic["id"]
    for path in ("/subscribers/webhook", "/streams/subscribers/webhook/api/v1"):
        listed = stack.call("GET", f"{path}/topics/{named}/subscriptions", streams.subscriber)
        assert [it["id"] for it in listed.json()["items"]] == [subscription["id"]]
    streams.publish(named, {"n": 1})
    path = f"/streams/publishers/http-post/api/v1/topics/{named}/batch"
    batch = {"events": [{"payload": {"n": 2}}]}
    published = stack.call("POST", path, streams.publisher, json=batch)
    assert (published.status_code, published.json()["events"][0]["status"]) == (207, 202)
    assert sorted(it["n"] for it in bodies(receiver, 2)) == [1, 2]


def test_an_event_has_one_key_by_name_and_by_id(streams, topic):
    key = {"Idempotency_Key": str(uuid.uuid4())}
    ids = {streams.publish(which, {"n": 1}, **key) for which in (quote(topic["name"]), topic["id"])}
    assert len(ids) == 1


@pytest.mark.parametrize("name", ["unknown", "x" * 1000, "%C3", "%25", "a%20b", "name%23abc", "%00"])
def test_a_name_that_no_topic_has(stack, streams, name):
    assert stack.call("GET", f"/topics/{name}", streams.publisher).status_code == 404
    for method in ("PUT", "PATCH"):
        assert stack.call(method, f"/topics/{name}", streams.publisher, json=definition()).status_code == 404
    assert streams.try_to_publish(name, "{}").status_code == 404
    assert streams.request_subscription(name, webhookUrl="https://example.com/").status_code == 404
    path = f"/subscribers/webhook/topics/{name}/subscriptions"
    assert stack.call("GET", path, streams.subscriber).status_code == 404


def test_a_name_does_not_have_the_form_of_an_id(stack, publisher, topic):
    for name in (str(uuid.uuid4()), str(uuid.uuid4()).upper()):
        answer = stack.call("POST", "/topics", publisher, json=definition(name))
        assert (answer.status_code, answer.json()["field"]) == (400, "name")
        here = f"/topics/{topic['id']}"
        for method, body in (("PUT", definition(name, "event")), ("PATCH", {"name": name})):
            answer = stack.call(method, here, publisher, json=body)
            assert (answer.status_code, answer.json()["field"]) == (400, "name")
        assert stack.call("GET", here, publisher).json() == topic
