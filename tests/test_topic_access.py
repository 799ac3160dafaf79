"""Who may see a topic, receive what is published to it, publish to it and change it."""

import uuid
from functools import partial

import pytest
from conftest import at_once
from messages import delivery, event
from runtime_api import Function, failures, sqs_event
from streams import eventually, is_streams


@pytest.fixture
def operator(stack):
    return stack.new_client(operator=True)


def label(stack, operator, client, *labels: str) -> None:
    body = {"labels": list(labels)}
    path = f"/v1/clients/{client.client_id}"
    answer = stack.call("PATCH", path, operator, json=body, headers={"Content-Type": "application/merge-patch+json"})
    assert answer.status_code == 200, answer.text


def set_labels_alone(stack, client, *labels: str) -> None:
    """As if the message of the change were yet to come."""
    stack.aws("dynamodb").update_item(
        TableName=stack.outputs["ClientsTable"],
        Key={"client_id": {"S": client.client_id}},
        UpdateExpression="SET labels = :labels" if labels else "REMOVE labels",
        **({"ExpressionAttributeValues": {":labels": {"L": [{"S": it} for it in labels]}}} if labels else {}),
    )


def patch(stack, publisher, topic, **change):
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = stack.call("PATCH", f"/topics/{topic}", publisher, json=change, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(stack, client, subscription) -> dict:
    answer = stack.call("GET", f"/subscribers/webhook/subscriptions/{subscription['id']}", client)
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestSeeing:
    def test_who_may_not_see_a_topic_finds_none_anywhere(
        self, stack, streams, publisher, client, other_client, operator
    ):
        topic = streams.topic("event", access={"clients": [client.client_id]})
        path = f"/topics/{topic}"
        subscribing = f"/subscribers/webhook/topics/{topic}/subscriptions"
        body = {"webhookUrl": "https://hooks.example.com/x"}
        name = stack.call("GET", path, publisher).json()["name"]
        for reference in (topic, name):
            assert stack.call("GET", f"/topics/{reference}", other_client).status_code == 404
        assert stack.call("GET", subscribing, other_client).status_code == 404
        assert stack.call("POST", subscribing, other_client, json=body).status_code == 404
        search = {"search": f"name:{name}"}
        labelled = streams.topic("event", access={"labels": ["gold"]})
        assert stack.call("GET", f"/topics/{labelled}", client).status_code == 404
        label(stack, operator, client, "gold")
        assert stack.call("GET", f"/topics/{labelled}", client).status_code == 200
        for who, found in ((other_client, 0), (client, 1), (publisher, 1), (operator, 1)):
            items = stack.call("GET", "/topics", who, params=search).json()["items"]
            assert len(items) == found
        seen = stack.call("GET", path, client).json()
        assert "access" not in seen and "publishers" not in seen and "config" not in seen["publisher"]
        full = stack.call("GET", path, operator).json()
        assert full["access"] == {"clients": [client.client_id]}
        assert full["publishers"] == {"clients": [publisher.client_id]}

    def test_who_may_not_publish_to_it_is_told_so_if_it_may_see_it(self, stack, streams, operator):
        stranger = stack.new_client(publisher=True)
        topic = streams.topic("event")
        publish = f"/publishers/http-post/topics/{topic}"
        for method, path in (("POST", publish), ("DELETE", f"/topics/{topic}")):
            answer = stack.call(method, path, stranger, json={})
            assert (answer.status_code, "other publishers" in answer.json()["message"]) == (403, True)
        assert stack.call("POST", publish, operator, json={}).status_code == 202
        patch(stack, operator, topic, access={"labels": ["nobody"]})
        assert stack.call("POST", publish, stranger, json={}).status_code == 404
        patch(stack, operator, topic, publishers={"clients": [stranger.client_id]})
        assert stack.call("POST", publish, stranger, json={}).status_code == 202

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("access", "nobody"),
            ("access", {}),
            ("access", {"clients": []}),
            ("access", {"labels": ["Gold"]}),
            ("access", {"clients": ["a b"]}),
            ("access", {"clients": ["a"], "labels": ["b"]}),
            ("access", None),
            ("publishers", {"labels": ["gold"]}),
            ("publishers", ["cl_aaaaaaaaaaaaaaaaaaaaaaaa"]),
        ],
    )
    def test_what_is_no_access_is_refused(self, stack, publisher, field, value):
        body = {"name": f"test-{uuid.uuid4()}", "publisher": {"type": "http-post"}, field: value}
        answer = stack.call("POST", "/topics", publisher, json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["field"].startswith(field)


class TestLosingAccess:
    def test_a_subscription_is_suspended_and_goes_on_with_the_document_of_then(
        self, stack, streams, operator, client, receiver
    ):
        label(stack, operator, client, "gold")
        topic = streams.topic("snapshot", access={"labels": ["gold"]})
        subscription = streams.subscribe(topic, f"{receiver.url}/hook", client)
        streams.publish(topic, {"n": 1})
        receiver.wait_for(is_streams)
        label(stack, operator, client)
        suspended = shown(stack, client, subscription)
        assert (suspended["subscriptionStatus"], suspended["disabledReason"]) == ("suspended", "access")
        streams.publish(topic, {"n": 2})
        enable = f"/subscribers/webhook/subscriptions/{subscription['id']}/enable"
        assert stack.call("POST", enable, client).status_code == 409
        label(stack, operator, client, "gold")
        eventually(
            lambda: [it.json() for it in receiver.matching(is_streams)], lambda got: len(got) == 2, "the document", 30
        )
        assert [it.json() for it in receiver.matching(is_streams)] == [{"n": 1}, {"n": 2}]
        assert shown(stack, client, subscription)["subscriptionStatus"] == "active"

    def test_a_topic_that_is_restricted_suspends_whom_it_leaves_out(
        self, stack, streams, publisher, client, other_client, receiver
    ):
        topic = streams.topic("event")
        ours = streams.subscribe(topic, f"{receiver.url}/ours", client)
        theirs = streams.subscribe(topic, f"{receiver.url}/theirs", other_client)
        patch(stack, publisher, topic, access={"clients": [client.client_id]})
        table, key = stack.outputs["SubscriptionsTable"], {"subscription_id": {"S": theirs["id"]}}
        dynamodb = stack.aws("dynamodb")
        eventually(
            lambda: dynamodb.get_item(TableName=table, Key=key)["Item"],
            lambda item: item.get("disabled", {}).get("M", {}).get("reason") == {"S": "access"},
            "suspension",
            30,
        )
        streams.publish(topic, {"n": 1})
        receiver.wait_for(is_streams)
        assert [it.path for it in receiver.matching(is_streams)] == ["/ours"]
        assert shown(stack, client, ours)["subscriptionStatus"] == "active"

    def test_labels_that_change_while_members_are_told_end_as_they_are_then(
        self, stack, streams, operator, client, other_client, receiver
    ):
        for member in (client, other_client):
            label(stack, operator, member, "gold")
        topic = streams.topic("event", access={"labels": ["gold"]})
        changing = streams.subscribe(topic, f"{receiver.url}/changing", client)
        streams.subscribe(topic, f"{receiver.url}/other", other_client)

        def change() -> None:
            for labels in (["eu"], ["gold"], ["eu"], ["gold"], []):
                label(stack, operator, client, *labels)

        def told(path: str) -> set[int]:
            return {it.json()["n"] for it in receiver.matching(lambda it: is_streams(it) and it.path == path)}

        at_once(change, *(partial(streams.publish, topic, {"n": n}) for n in range(24)))
        suspended = eventually(
            lambda: shown(stack, client, changing), lambda it: it["subscriptionStatus"] == "suspended", "suspension"
        )
        assert suspended["disabledReason"] == "access"
        # From now on it has none, and whoever kept the label has missed nothing.
        streams.publish(topic, {"n": 24})
        eventually(lambda: told("/other"), lambda it: it == set(range(25)), "all events")
        assert 24 not in told("/changing")
        label(stack, operator, client, "gold")
        eventually(
            lambda: shown(stack, client, changing), lambda it: it["subscriptionStatus"] == "active", "subscription"
        )
        streams.publish(topic, {"n": 25})
        eventually(lambda: told("/changing"), lambda it: 25 in it, "event")
        assert 24 not in told("/changing")

    @pytest.mark.parametrize("kind", ["event", "snapshot"])
    def test_members_are_judged_when_they_are_told(self, stack, streams, operator, client, receiver, kind):
        # The function that settles subscriptions hasn't heard of it yet.
        label(stack, operator, client, "gold")
        topic = streams.topic(kind, access={"labels": ["gold"]})
        subscription = streams.subscribe(topic, f"{receiver.url}/hook", client)
        set_labels_alone(stack, client)
        streams.publish(topic, {"n": 1})
        table, key = stack.outputs["SubscriptionsTable"], {"subscription_id": {"S": subscription["id"]}}
        dynamodb = stack.aws("dynamodb")
        eventually(
            lambda: dynamodb.get_item(TableName=table, Key=key)["Item"],
            lambda item: "disabled" in item,
            "suspension",
            30,
        )
        assert receiver.matching(is_streams) == []

    def test_segments_and_retries_are_judged_too(self, stack, streams, operator, client, receiver):
        label(stack, operator, client, "gold")
        topic = streams.topic("event", access={"labels": ["gold"]})
        first = streams.subscribe(topic, f"{receiver.url}/hook", client)
        second = streams.subscribe(topic, f"{receiver.url}/hook", client)
        retry = delivery(first, event({"n": 1}), client.client_id) | {"attempt": 1, "restricted": True}
        told = delivery(second, event({"n": 2}), client.client_id)
        announcement = {"accepted_at": told["accepted_at"], "told": told["told"], "restricted": True}
        segment = {"segment": {"audience_id": topic, "segment": 0, "announcement": announcement}}
        set_labels_alone(stack, client)
        with Function(stack, "DeliverFunction") as deliver:
            assert failures(deliver.invoke(sqs_event(retry))) == []
        with Function(stack, "FanoutFunction") as fanout:
            assert failures(fanout.invoke(sqs_event(segment))) == []
        assert receiver.matching(is_streams) == []
        for subscription in (first, second):
            assert shown(stack, client, subscription)["disabledReason"] == "access"

    def test_a_client_that_is_enabled_is_judged_as_well(self, stack, streams, operator, client, receiver):
        label(stack, operator, client, "gold")
        topic = streams.topic("snapshot", access={"labels": ["gold"]})
        streams.publish(topic, {"n": 1})
        subscription = streams.subscribe(topic, f"{receiver.url}/hook", client)
        receiver.wait_for(is_streams)
        path, headers = f"/v1/clients/{client.client_id}", {"Content-Type": "application/merge-patch+json"}
        for disabled in (True, False):
            answer = stack.call("PATCH", path, operator, json={"disabled": disabled}, headers=headers)
            assert answer.status_code == 200, answer.text
            set_labels_alone(stack, client)
        assert streams.stored_item(subscription)["disabled"]["M"]["reason"] == {"S": "access"}
        assert len(receiver.matching(is_streams)) == 1
