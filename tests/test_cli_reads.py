"""`bellwire topics|subscriptions|deliveries`: what there is, for whoever runs the stack."""

import json
import uuid

import pytest
from entities import new_key
from receiver import Answer, Receiver
from streams import eventually


def listed(stack, *arguments: str):
    done = stack.cli(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def wait_for(stack, subscription: str, count: int, *options: str) -> list[dict]:
    return eventually(
        lambda: listed(stack, "deliveries", "list", subscription, *options),
        lambda found: len(found) >= count,
        f"{count} deliveries",
    )


def refused(stack, *arguments: str) -> str:
    done = stack.cli(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr.strip()


def test_topics_are_listed_and_shown_as_their_publisher_sees_them(stack, streams, publisher):
    name = f"test-{uuid.uuid4()}"
    topic = streams.topic(name=name, access={"labels": ["plan:gold"]})
    seen = stack.call("GET", f"/topics/{topic}", publisher).json()
    assert [it for it in listed(stack, "topics", "list") if it["id"] == topic] == [seen]
    assert listed(stack, "topics", "list", "--search", f"name:{name}") == [seen]
    for reference in (topic, name):
        assert listed(stack, "topics", "show", reference) == seen | {"shards": 1}
    table = stack.cli("topics", "list", "--search", f"name:{name} AND publisher.payload.type:event").stdout
    [head, row] = table.splitlines()
    assert head.split() == ["TOPIC", "ID", "NAME", "PAYLOAD", "ACCESS", "CREATED"]
    assert row.split()[:4] == [topic, name, "event", '{"labels":["plan:gold"]}']
    shown = stack.cli("topics", "show", name).stdout
    for word in (topic, name, "plan:gold", publisher.client_id, "shards       1"):
        assert word in shown


def test_a_topic_is_spread_by_its_name(stack, streams):
    name = f"test-{uuid.uuid4()}"
    topic = streams.topic(name=name)
    assert listed(stack, "topics", "spread", name, "--shards", "2") == {"topic_id": topic, "shards": 2}
    assert listed(stack, "topics", "show", name)["shards"] == 2


def test_subscriptions_of_a_client_and_of_a_topic(stack, streams, entities, client, other_client):
    topic = streams.topic()
    headers = {"X-Secret": "hidden-value"}
    first = streams.subscribe(topic, "https://a.example/hook?x=1", webhookHeaders=headers)
    second = streams.subscribe(topic, "https://b.example/hook", client=other_client)
    entity = new_key()
    followed = entities.customer.create_subscription(entity, "https://c.example/hook")
    ids = [first["id"], second["id"]]
    assert [it["subscription_id"] for it in listed(stack, "subscriptions", "list", "--topic", topic)] == ids
    # The index by client is read eventually.
    own = eventually(
        lambda: listed(stack, "subscriptions", "list", "--client", client.client_id),
        lambda found: len(found) == 2,
        "two subscriptions",
    )
    assert [it["subscription_id"] for it in own] == [first["id"], followed["key"]]
    both = listed(stack, "subscriptions", "list", "--client", client.client_id, "--topic", topic)
    assert both == own[:1] == [listed(stack, "subscriptions", "show", first["id"])]
    expected = {
        "subscription_id": first["id"],
        "client_id": client.client_id,
        "topic_id": topic,
        "mode": "event",
        "url": "https://a.example/hook?x=1",
        "header_names": ["X-Secret"],
        "state": "active",
        "disabled_at": None,
        "failing_since": None,
    }
    assert both[0] | expected == both[0]
    assert own[1]["entity_key"] == entity and "topic_id" not in own[1]
    table = stack.cli("subscriptions", "list", "--topic", topic).stdout
    assert table.splitlines()[0].split() == ["SUBSCRIPTION", "ID", "CLIENT", "FOR", "URL", "STATE", "CREATED"]
    assert all(it in table for it in (*ids, other_client.client_id, "https://b.example/hook"))
    shown = stack.cli("subscriptions", "show", followed["key"]).stdout
    assert f"entity {entity}" in shown and "active" in shown
    for text in (table, shown, json.dumps(own), stack.cli("subscriptions", "show", first["id"]).stdout):
        assert "hidden-value" not in text and "whsec_" not in text


def test_a_subscription_says_why_nothing_is_sent(stack, streams):
    topic = streams.topic()
    subscription = streams.subscribe(topic, "https://a.example/hook")
    assert streams.on(subscription, "disable").status_code == 200
    shown = listed(stack, "subscriptions", "show", subscription["id"])
    assert shown["state"] == "disabled by its owner" and shown["disabled_at"]


def test_deliveries_and_their_attempts(stack, streams):
    answer = Answer(503, body="busy\x1b[2J\u009b\nstate  x".encode())
    with Receiver(answer=lambda it: Answer(200) if it.json()["n"] == 1 else answer) as receiver:
        topic = streams.topic()
        subscription = streams.subscribe(topic, f"{receiver.url}/hook", webhookHeaders={"X-Secret": "hidden-value"})
        events = [streams.publish(topic, {"n": n}) for n in range(2)]
        [failed] = wait_for(stack, subscription["id"], 1, "--state", "failed")
    both = wait_for(stack, subscription["id"], 2)
    assert [it["event_id"] for it in both] == events[::-1]
    arrived = both[0]
    assert (arrived["state"], arrived["event_type"], len(arrived["attempts"])) == ("delivered", "event", 1)
    assert arrived["attempts"][0]["status"] == 200 and arrived["attempts"][0]["attempt"] == 1
    assert [it["attempt"] for it in failed["attempts"]] == [4, 3, 2, 1]
    assert {it["status"] for it in failed["attempts"]} == {503}
    for options in (
        ["--code", "503"],
        ["--event-type", "event", "--state", "failed"],
        ["--code", "503", "--since", "1h"],
    ):
        assert listed(stack, "deliveries", "list", subscription["id"], *options) == [failed]
    assert listed(stack, "deliveries", "list", subscription["id"], "--limit", "1") == [arrived]
    for options in (["--event-type", "patch"], ["--state", "retrying"], ["--since", "1ms"]):
        assert listed(stack, "deliveries", "list", subscription["id"], *options) == []
    shown = listed(stack, "deliveries", "show", subscription["id"], failed["delivery_id"])
    [latest, *_] = shown["attempts"]
    assert latest["request_headers"]["webhook-id"] == failed["delivery_id"]
    assert latest["request_headers"]["X-Secret"] == "[redacted]"
    assert latest["response_body"] == "busy\x1b[2J\u009b\nstate  x"
    table = stack.cli("deliveries", "list", subscription["id"]).stdout
    assert table.splitlines()[0].split() == ["DELIVERY", "ID", "TYPE", "STATE", "ATTEMPTS", "LATEST", "OUTCOME"]
    assert "503 SERVICE_UNAVAILABLE in" in table and "200 in" in table
    text = stack.cli("deliveries", "show", subscription["id"], failed["delivery_id"]).stdout
    assert text.count("503 SERVICE_UNAVAILABLE in") == 4
    # What a terminal would obey is shown, not sent.
    assert "busy\\u{1b}[2J\\u{9b}" in text and "\x1b" not in text and "hidden-value" not in text
    assert sum(line.startswith("state ") for line in text.splitlines()) == 1


def test_deliveries_to_an_entity_and_of_a_document(stack, streams, entities, receiver):
    topic = streams.topic("snapshot")
    document = streams.subscribe(topic, f"{receiver.url}/document")
    streams.publish(topic, {"n": 1})
    [snapshot] = wait_for(stack, document["id"], 1, "--state", "delivered")
    assert (snapshot["event_type"], snapshot["version"]) == ("snapshot", 1)
    entity = new_key()
    followed = entities.customer.create_subscription(entity, f"{receiver.url}/entity")
    entities.publish(entity)
    [delivery] = wait_for(stack, followed["key"], 1, "--event-type", "entity_updated")
    shown = listed(stack, "deliveries", "show", followed["key"], delivery["delivery_id"])
    assert shown["state"] == "delivered" and entity in shown["attempts"][0]["request_body"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["topics", "show", "no-such-topic"], "there is no topic no-such-topic"),
        (["topics", "show", ""], "there is no topic"),
        (["topics", "spread", "no-such-topic", "--shards", "2"], "there is no topic no-such-topic"),
        (["topics", "list", "--search", "("], "--search must"),
        (["subscriptions", "list", "--topic", "no-such-topic"], "there is no topic no-such-topic"),
        (["subscriptions", "list", "--client", "nobody"], "there is no client nobody"),
        (["subscriptions", "show", "x" * 200], "there is no subscription"),
        (["deliveries", "list", "none"], "there is no subscription none"),
        (["deliveries", "show", "none", "none"], "there is no subscription none"),
    ],
)
def test_what_does_not_exist(stack, arguments, said):
    assert refused(stack, *arguments).startswith(f"bellwire: {said}")


def test_a_deleted_topic_and_a_delivery_that_is_none(stack, streams, publisher):
    topic = streams.topic()
    subscription = streams.subscribe(topic, "https://a.example/hook")
    nothing = refused(stack, "deliveries", "show", subscription["id"], "none")
    assert nothing == "bellwire: there is no delivery none on record"
    assert stack.call("DELETE", f"/topics/{topic}", publisher).status_code == 204
    assert refused(stack, "topics", "show", topic) == f"bellwire: the topic {topic} is deleted"


@pytest.mark.parametrize(
    "arguments",
    [
        ["subscriptions", "list"],
        ["deliveries", "list", "x", "--state", "gone"],
        ["deliveries", "list", "x", "--code", "7"],
        ["deliveries", "list", "x", "--since", "yesterday"],
        ["deliveries", "list", "x", "--limit", "0"],
        ["deliveries", "show", "x"],
        ["topics", "spread", "x", "--shards", "3"],
    ],
)
def test_options_that_are_wrong(stack, arguments):
    done = stack.cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
