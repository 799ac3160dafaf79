"""Deliveries of what is gone: the current version is sent in its place, or it is a dead letter at once."""

import uuid

from conftest import dead_letters
from messages import delivery, document
from receiver import Answer, Receiver
from runtime_api import failures, sqs_event
from streams import bodies, event_type, is_streams


class TestMissing:
    """What is gone when deliver reads it."""

    def test_a_subscription_that_ends_while_the_topics_end_is_delivered(self, streams, start, client):
        def answer(_) -> Answer:
            assert streams.on(subscription, method="DELETE").status_code == 204
            return Answer()

        with Receiver(answer=answer) as receiver:
            subscription = streams.subscribe(streams.topic(), receiver.url)
            topic_deleted = {"topic_deleted": {"event_id": str(uuid.uuid4())}}
            message = sqs_event(delivery(subscription, topic_deleted, client.client_id))
            deliver = start("Deliver")
            assert failures(deliver.invoke(message)) == [], deliver.log()
            assert [event_type(it) for it in receiver.arrivals] == ["error"]
        assert streams.on(subscription, method="GET").status_code == 404

    def test_a_version_that_has_expired_is_replaced_by_the_current_one(self, streams, stack, receiver, start, client):
        topic = streams.topic("snapshot")
        subscription = streams.subscribe(topic, receiver.url)
        for n in (1, 2):
            streams.publish(topic, {"n": n})
            receiver.wait_for(is_streams, n)
        dynamodb = stack.aws("dynamodb")
        key = {"source": {"S": topic}, "key": {"S": f"version#{1:020}"}}
        dynamodb.delete_item(TableName=stack.outputs["EventsTable"], Key=key)
        # As one that has had nothing yet.
        set_progress(stack, subscription, 0)
        deliver = start("Deliver")
        assert failures(deliver.invoke(sqs_event(delivery(subscription, document(1), client.client_id)))) == []
        third = receiver.wait_for(is_streams, 3)[2]
        assert (event_type(third), third.json()) == ("snapshot", {"n": 2})

    def test_a_version_whose_payload_is_gone_is_replaced_by_the_current_one(
        self, streams, stack, receiver, start, client
    ):
        topic = streams.topic("snapshot")
        subscription = streams.subscribe(topic, receiver.url, subscriptionMode="snapshot-only")
        for n in (1, 2, 3):
            streams.publish(topic, {"n": n})
            receiver.wait_for(is_streams, n)
        lose_payload(stack, topic, 2)
        set_progress(stack, subscription, 1)
        deliver = start("Deliver")
        assert failures(deliver.invoke(sqs_event(delivery(subscription, document(3), client.client_id)))) == []
        assert bodies(receiver, 4)[3] == {"n": 3}
        # Without that one there is nothing to send.
        lose_payload(stack, topic, 3)
        set_progress(stack, subscription, 2)
        # Another instance, which remembers nothing.
        deliver = start("Deliver")
        assert failures(deliver.invoke(sqs_event(delivery(subscription, document(3), client.client_id)))) == []
        [dead_letter] = dead_letters(stack, "DeadDeliveriesQueueUrl", subscription["id"])
        assert dead_letter["MessageAttributes"]["reason"]["StringValue"] == "the payload is not kept any more"
        assert len(receiver.arrivals) == 4

    def test_a_payload_that_is_missing_is_a_dead_letter_at_once(self, streams, stack, receiver, start, client):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        missing = {"event": {"event_id": str(uuid.uuid4()), "payload": {"stored": f"events/{uuid.uuid4()}"}}}
        deliver = start("Deliver")
        message = sqs_event(delivery(subscription, missing, client.client_id))
        assert failures(deliver.invoke(message)) == [], deliver.log()
        [dead_letter] = dead_letters(stack, "DeadDeliveriesQueueUrl", subscription["id"])
        reason = dead_letter["MessageAttributes"]["reason"]["StringValue"]
        assert reason == "the payload is not kept any more"
        assert receiver.arrivals == []


def set_progress(stack, subscription: dict, version: int) -> None:
    """Makes a subscription one that has come as far as this."""
    stack.aws("dynamodb").update_item(
        TableName=stack.outputs["SubscriptionsTable"],
        Key={"subscription_id": {"S": subscription["id"]}},
        UpdateExpression="SET acknowledged = :version, wanted = :version",
        ExpressionAttributeValues={":version": {"N": str(version)}},
    )


def lose_payload(stack, topic: str, version: int) -> None:
    stack.aws("dynamodb").update_item(
        TableName=stack.outputs["EventsTable"],
        Key={"source": {"S": topic}, "key": {"S": f"version#{version:020}"}},
        UpdateExpression="SET #snapshot = :none",
        ExpressionAttributeNames={"#snapshot": "snapshot"},
        ExpressionAttributeValues={":none": {"M": {"stored": {"S": f"documents/{uuid.uuid4()}"}}}},
    )
