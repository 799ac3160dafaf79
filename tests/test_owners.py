"""Endpoints that are disabled, the notifications of their owners, and enabling them again."""

import json
import uuid

import pytest
from messages import delivery, document, event
from receiver import Answer, Receiver
from runtime_api import Function, failures, sqs_event
from streams import ago, bodies, event_type, eventually, is_streams


@pytest.fixture
def notifications(stack):
    """A queue with the notifications of owners on the stack's bus; a function that gives those of a subscription."""
    events, sqs = stack.aws("events"), stack.aws("sqs")
    name = f"test-{uuid.uuid4()}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = stack.outputs["EventBusName"]
    pattern = json.dumps({"source": ["bellwire.subscriptions"], "detail-type": ["Subscription Disabled"]})
    events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "1", "Arn": arn}])
    seen: list[dict] = []

    def of(subscription: dict) -> list[dict]:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
        seen.extend(json.loads(message["Body"])["detail"] for message in answer.get("Messages", []))
        return [it for it in seen if it["subscriptionId"] == subscription["id"]]

    yield of
    events.remove_targets(Rule=name, EventBusName=bus, Ids=["1"])
    events.delete_rule(Name=name, EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def deliver_without_retries(stack):
    """A deliver that doesn't try again, and disables an endpoint a second after its first failure."""
    with Function(stack, "DeliverFunction", DISABLED_AFTER_DAYS=str(1 / 86_400), RETRY_SCHEDULE="") as function:
        yield function


@pytest.mark.parametrize("payload", ["event", "snapshot"])
def test_an_endpoint_that_fails_for_too_long_is_disabled_and_its_owner_notified(
    streams, client, notifications, deliver_without_retries, payload
):
    with Receiver(answer=lambda _: Answer(500)) as receiver:
        topic = streams.topic(payload)
        subscription = streams.subscribe(topic, receiver.url)
        streams.publish(topic, {"n": 1})
        since = eventually(lambda: streams.show(subscription).get("failingSince"), bool, "failure")
        eventually(lambda: len(receiver.arrivals), lambda it: it == 4, "end of the schedule")
        view = streams.show(subscription)
        assert (view["status"], view["failingSince"]) == ("active", since)
        kind = document(1) if payload == "snapshot" else event({"n": 2})
        message = delivery(subscription, kind, client.client_id)
        eventually(lambda: ago(seconds=1), lambda it: it > since, "second")
        assert failures(deliver_without_retries.invoke(sqs_event(message))) == []
        view = streams.show(subscription)
        assert (view["status"], view["disabledReason"]) == ("disabled", "failing")
        [notification] = eventually(lambda: notifications(subscription), bool, "notice")
        assert notification["reason"] == "failing"
        assert (notification["clientId"], notification["topicId"]) == (client.client_id, topic)
        assert notification["disabledAt"] == view["disabledTimestamp"]
        attempts = len(receiver.arrivals)
        assert failures(deliver_without_retries.invoke(sqs_event(message))) == []
        assert len(receiver.arrivals) == attempts
        assert len(notifications(subscription)) == 1


def test_a_gone_endpoints_owner_is_notified(streams, notifications):
    with Receiver(answer=lambda _: Answer(410)) as receiver:
        topic = streams.topic()
        subscription = streams.subscribe(topic, receiver.url)
        streams.publish(topic, 1)
        [notification] = eventually(lambda: notifications(subscription), bool, "notice")
        assert notification["reason"] == "gone"


def test_an_owner_who_disables_is_not_notified(streams, notifications, receiver):
    topic = streams.topic()
    mine, other = (streams.subscribe(topic, f"{receiver.url}/{n}") for n in range(2))
    answer = streams.on(mine, "disable")
    assert answer.status_code == 200
    view = answer.json()
    assert (view["status"], view["disabledReason"]) == ("disabled", "requested")
    assert streams.on(mine, "disable").json() == view == streams.show(mine)
    receiver.answer = lambda _: Answer(410)
    streams.publish(topic, 1)
    eventually(lambda: notifications(other), bool, "notice")
    assert notifications(mine) == []
    assert {it.path for it in receiver.arrivals} == {"/1"}


def test_a_document_goes_on_with_a_snapshot(streams, receiver):
    topic = streams.topic("snapshot")
    subscription = streams.subscribe(topic, f"{receiver.url}/mine")
    streams.subscribe(topic, f"{receiver.url}/witness")
    filler = ["something that makes the document longer than its patches"] * 3
    streams.publish(topic, [1, filler])
    receiver.wait_for(is_streams, 2)
    streams.on(subscription, "disable")
    for n in (2, 3):
        streams.publish(topic, [n, filler])
    receiver.wait_for(lambda it: it.path == "/witness", 3)
    enabled = streams.on(subscription, "enable")
    assert enabled.status_code == 200
    assert enabled.json()["status"] == "active" and "disabledReason" not in enabled.json()
    arrivals = receiver.wait_for(lambda it: it.path == "/mine", 2)
    assert (event_type(arrivals[1]), arrivals[1].json()) == ("snapshot", [3, filler])
    streams.publish(topic, [4, filler])
    arrivals = receiver.wait_for(lambda it: it.path == "/mine", 3)
    assert (event_type(arrivals[2]), len(arrivals)) == ("patch", 3)


def test_enabling_brings_a_failed_document_at_once(streams):
    with Receiver(answer=lambda _: Answer(503, {"Retry-After": "3600"})) as receiver:
        topic = streams.topic("snapshot")
        subscription = streams.subscribe(topic, receiver.url)
        streams.publish(topic, {"n": 1})
        eventually(lambda: streams.show(subscription).get("failingSince"), bool, "failure")
        # It asked for a pause of an hour, and gets it, whatever is published.
        streams.publish(topic, {"n": 2})
        eventually(lambda: streams.stored_item(subscription)["wanted"]["N"], lambda it: it == "2", "second version")
        assert len(receiver.arrivals) == 1
        receiver.answer = lambda _: Answer()
        streams.on(subscription, "enable")
        eventually(lambda: receiver.arrivals[-1].json(), lambda it: it == {"n": 2}, "document")
        assert len(receiver.arrivals) == 2


def test_a_hiccup_long_after_a_failure_disables_nothing(streams, stack, client):
    with Receiver(answer=lambda _: Answer(503)) as receiver:
        topic = streams.topic()
        subscription = streams.subscribe(topic, receiver.url)
        streams.publish(topic, {"n": 1})
        receiver.wait_for(is_streams, 4)
        failing = streams.show(subscription)["failingSince"]
        eventually(lambda: ago(seconds=1), lambda it: it > failing, "second")
        with Function(stack, "DeliverFunction", DISABLED_AFTER_DAYS=str(1 / 86_400)) as deliver:
            message = delivery(subscription, event({"n": 2}), client.client_id)
            assert failures(deliver.invoke(sqs_event(message))) == []
        assert streams.show(subscription)["status"] == "active"
        receiver.answer = lambda _: Answer()
        eventually(lambda: streams.show(subscription), lambda it: "failingSince" not in it, "success")


class TestReplay:
    """`POST …/replay`."""

    def test_what_was_missed_while_disabled_is_sent_again(self, streams, receiver):
        topic = streams.topic()
        subscription = streams.subscribe(topic, f"{receiver.url}/mine")
        streams.subscribe(topic, f"{receiver.url}/witness")
        start = ago(seconds=0)
        streams.publish(topic, 1)
        receiver.wait_for(is_streams, 2)
        streams.on(subscription, "disable")
        missed = [streams.publish(topic, n) for n in (2, 3, 4)]
        receiver.wait_for(lambda it: it.path == "/witness", 4)
        assert streams.on(subscription, "replay", json={"start": start}).status_code == 409
        streams.on(subscription, "enable")
        assert streams.on(subscription, "replay", json={"start": start}).status_code == 202
        arrivals = receiver.wait_for(lambda it: it.path == "/mine", 4)
        assert sorted(it.json() for it in arrivals) == [1, 2, 3, 4]
        assert {it.headers["x-axway-streams-event-id"] for it in arrivals[1:]} == set(missed)
        # Again: everything has arrived.
        assert streams.on(subscription, "replay", json={"start": start}).status_code == 202
        streams.publish(topic, 5)
        eventually(lambda: bodies(receiver, 5, "/mine"), lambda it: it[-1] == 5, "next event")
        assert len(receiver.matching(lambda it: it.path == "/mine")) == 5

    def test_what_was_given_up_is_sent_again(self, streams):
        with Receiver(answer=lambda _: Answer(500)) as receiver:
            topic = streams.topic()
            subscription = streams.subscribe(topic, receiver.url)
            start = ago(seconds=0)
            streams.publish(topic, {"n": 1})
            receiver.wait_for(is_streams, 4)
            receiver.answer = lambda _: Answer()
            time_range = {"start": start, "end": ago(seconds=0)}
            assert streams.on(subscription, "replay", json=time_range).status_code == 202
            arrivals = receiver.wait_for(is_streams, 5)
            assert len({it.headers["webhook-id"] for it in arrivals}) == 1

    def test_only_the_time_range_and_only_what_is_the_subscriptions(self, streams, receiver):
        topic = streams.topic()
        streams.subscribe(topic, f"{receiver.url}/witness")
        streams.publish(topic, "before the subscription")
        receiver.wait_for(is_streams)
        subscription = streams.subscribe(topic, f"{receiver.url}/mine")
        streams.on(subscription, "disable")
        streams.publish(topic, "early")
        receiver.wait_for(is_streams, 2)
        middle = ago(seconds=0)
        streams.publish(topic, "late")
        receiver.wait_for(is_streams, 3)
        streams.on(subscription, "enable")
        time_range = {"start": "2020-01-01T00:00:00Z", "end": middle}
        answer = streams.on(subscription, "replay", json=time_range)
        assert answer.json()["start"] >= subscription["createTimestamp"]
        assert bodies(receiver, 1, "/mine") == ["early"]

    @pytest.mark.parametrize(
        ("time_range", "status", "word"),
        [
            ({}, 400, "start"),
            ({"start": "2026-01-01T00:00:00"}, 400, "start"),
            ({"start": 5}, 400, "start"),
            ({"start": "2026-01-01T00:00:00Z", "end": "2025-01-01T00:00:00Z"}, 400, "start"),
            ({"start": "2026-01-01T00:00:00Z", "end": "x"}, 400, "end"),
            ({"start": "2026-01-01T00:00:00Z", "until": "x"}, 400, "until"),
            ([], 400, "body"),
        ],
    )
    def test_time_ranges_that_make_no_sense(self, streams, time_range, status, word):
        subscription = streams.subscribe(streams.topic(), "http://127.0.0.1:2/")
        answer = streams.on(subscription, "replay", json=time_range)
        assert answer.status_code == status
        assert word in answer.json()["message"]

    def test_what_is_not_kept_any_more_is_left_out(self, streams, stack):
        subscription = streams.subscribe(streams.topic(), "http://127.0.0.1:2/")
        # As of a subscription that is years old.
        stack.aws("dynamodb").update_item(
            TableName=stack.outputs["SubscriptionsTable"],
            Key={"subscription_id": {"S": subscription["id"]}},
            UpdateExpression="SET created_at = :then",
            ExpressionAttributeValues={":then": {"S": "2020-01-01T00:00:00.000000Z"}},
        )
        answer = streams.on(subscription, "replay", json={"start": "2021-01-01T00:00:00Z"})
        assert answer.status_code == 202
        # Events are kept for a week.
        assert ago(days=7, seconds=60) < answer.json()["start"] <= ago(days=7)

    def test_a_document_is_not_replayed(self, streams):
        subscription = streams.subscribe(streams.topic("snapshot"), "http://127.0.0.1:2/")
        answer = streams.on(subscription, "replay", json={"start": "2026-01-01T00:00:00Z"})
        assert answer.status_code == 409
