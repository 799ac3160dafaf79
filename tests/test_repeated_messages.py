"""Messages of queues that come again, and that come twice."""

import json
import uuid

import pytest
from conftest import dead_letters
from messages import delivery, event
from publications import delivered
from receiver import Answer, Receiver
from runtime_api import Function, failures, sqs_event
from streams import eventually


@pytest.fixture
def queue(stack):
    sqs = stack.aws("sqs")
    url = sqs.create_queue(QueueName=f"test-{uuid.uuid4()}", Attributes={"VisibilityTimeout": "360"})["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


def test_a_message_comes_again_soon_and_the_others_of_its_batch_are_left_alone(
    streams, receiver, stack, aws, client, queue
):
    sqs, subscription = stack.aws("sqs"), streams.subscribe(streams.topic(), receiver.url)
    good = delivery(subscription, event({"n": 1}), client.client_id)
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(good))
    sqs.send_message(QueueUrl=queue, MessageBody="malformed, which is worked off")
    received = eventually(lambda: take(sqs, queue), lambda it: len(it) == 2, "messages")
    # Its role knows nothing of this queue.
    own = {"RETRIES_QUEUE_URL": queue} | {name: value for name, value in stack.env.items() if "ACCESS_KEY" in name}
    with Function(stack, "DeliverFunction", aws.endpoint, None, **own, AWS_SESSION_TOKEN="") as deliver:
        aws.set("BatchGetItem", "refuse")
        failed = failures(deliver.invoke(as_lambda_hands_them(received, queue)))
    assert failed == [it["MessageId"] for it in received.values() if it["Body"].startswith("{")]
    again = eventually(lambda: take(sqs, queue), bool, "message again", 30)
    assert list(again) == failed


def take(sqs, queue: str) -> dict[str, dict]:
    """The messages of a queue that are visible, by their ids."""
    answer = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageSystemAttributeNames=["ApproximateReceiveCount"]
    )
    return {it["MessageId"]: it for it in answer.get("Messages", [])}


def as_lambda_hands_them(messages: dict[str, dict], queue: str) -> dict:
    handed = sqs_event(*(it["Body"] for it in messages.values()), ids=list(messages))
    for record, message in zip(handed["Records"], messages.values(), strict=True):
        record["receiptHandle"] = message["ReceiptHandle"]
        record["eventSourceARN"] = f"arn:aws:sqs:us-east-1:000000000000:{queue.rsplit('/', 1)[1]}"
    return handed


def test_copies_in_one_batch_are_sent_once_and_spoil_no_record(streams, receiver, start, client):
    subscription = streams.subscribe(streams.topic(), receiver.url)
    same, other = (delivery(subscription, event({"n": n}), client.client_id) for n in (1, 2))
    deliver = start("Deliver")
    assert failures(deliver.invoke(sqs_event(same, same, other, same))) == []
    assert sorted(delivered(receiver)) == [1, 2]
    assert len(streams.exchanges(subscription)) == 2
    assert failures(deliver.invoke(sqs_event(same, other))) == []
    assert len(receiver.arrivals) == 2


def test_copies_in_one_batch_share_what_becomes_of_the_delivery(streams, aws, start, client):
    with Receiver(answer=lambda _: Answer(503, {"Retry-After": "60"})) as receiver:
        subscription = streams.subscribe(streams.topic(), receiver.url)
        first = delivery(subscription, event({"n": 1}), client.client_id)
        retry = first | {"attempt": 2}
        message = sqs_event(first, retry, first, ids=["a", "b", "c"])
        deliver = start("Deliver")
        aws.set("SendMessage", "refuse")
        # The other copies come again as well: the retry is not arranged.
        assert sorted(failures(deliver.invoke(message))) == ["a", "b", "c"], deliver.log()
        [arrival] = receiver.arrivals
        assert arrival.headers["x-bellwire-attempt"] == "3"


@pytest.mark.parametrize("gone", [True, False])
def test_a_delivery_whose_endpoint_is_disabled_with_it_is_a_dead_letter_though_the_owner_can_not_be_notified(
    streams, stack, aws, client, gone
):
    with Receiver(answer=lambda _: Answer(410 if gone else 500)) as receiver:
        subscription = streams.subscribe(streams.topic(), receiver.url)
        message = sqs_event(delivery(subscription, event({"n": 1}), client.client_id))
        # Without a retry, and disabled at once.
        with Function(stack, "DeliverFunction", aws.endpoint, RETRY_SCHEDULE="", DISABLED_AFTER_DAYS="0") as deliver:
            aws.set("PutEvents", "refuse", times=1)
            assert len(failures(deliver.invoke(message))) == 1
            assert failures(deliver.invoke(message)) == [], deliver.log()
        assert len(receiver.arrivals) == 1
        assert streams.show(subscription)["disabledReason"] == ("gone" if gone else "failing")
        [dead_letter] = dead_letters(stack, "DeadDeliveriesQueueUrl", subscription["id"])
        assert dead_letter["MessageAttributes"]["reason"]["StringValue"][:3] == ("410" if gone else "500")


def test_a_410_to_what_was_sent_before_does_not_undo_an_enable(streams, start, client):
    def answer(_) -> Answer:
        assert streams.on(subscription, "enable").json()["status"] == "active"
        return Answer(410)

    with Receiver(answer=answer) as receiver:
        subscription = streams.subscribe(streams.topic(), receiver.url)
        message = sqs_event(delivery(subscription, event({"n": 1}), client.client_id))
        assert failures(start("Deliver").invoke(message)) == []
        assert len(receiver.arrivals) == 1
        assert streams.show(subscription)["status"] == "active"
