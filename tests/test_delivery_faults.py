"""Messages that come twice, AWS that throttles, refuses or breaks off, functions that die:
what was accepted arrives, in order where that is promised, or is a dead letter.
"""

import json
import threading
import uuid

import pytest
from conftest import at_once, dead_letters
from messages import delivery, document, event, payload, publication
from receiver import Answer, Receiver
from runtime_api import Function, api_event, failures, sqs_event
from streams import bodies, event_type, eventually, is_streams
from test_dead_letters import of

FILLER = ["something that makes documents longer than their patches"] * 4


@pytest.fixture
def start(stack, aws):
    """Starts functions whose way to AWS is the proxy."""
    started = []

    def start(name: str, **variables: str) -> Function:
        started.append(Function(stack, f"{name}Function", aws.endpoint, None, **variables))
        return started[-1]

    yield start
    for function in started:
        function.__exit__()


def publish_to(commit: Function, topic: str, *works, **how):
    publications = [work if "work" in work else publication(topic, work) for work in works]
    return commit.invoke(sqs_event(*publications, group=topic, **how))


def news(n: int) -> dict:
    return {"document": {"payload": payload({"n": n, "filler": FILLER})}}


def occurrence(n: int) -> dict:
    return {"event": {"payload": payload({"n": n}), "repeatable": False}}


class TestTwice:
    """The same message twice, one after the other or at the same time."""

    @pytest.mark.parametrize("payload_type", ["snapshot", "event"])
    def test_commit(self, streams, receiver, start, payload_type):
        topic = streams.topic(payload_type)
        streams.subscribe(topic, receiver.url)
        work = news if payload_type == "snapshot" else occurrence
        first, second = publication(topic, work(1)), publication(topic, work(2))
        commit, other = start("Commit"), start("Commit")
        # Who has had nothing begins with whichever version asks first, and queues keep no order.
        assert failures(publish_to(commit, topic, work(0))) == []
        receiver.wait_for(is_streams)
        both = sqs_event(first, second, group=topic)
        for answer in at_once(lambda: commit.invoke(both), lambda: other.invoke(both)):
            assert failures(answer) == []
        receiver.wait_for(is_streams, 3)
        # Repeated later, when the topic has moved on.
        assert failures(publish_to(commit, topic, work(3))) == []
        receiver.wait_for(is_streams, 4)
        assert failures(commit.invoke(both)) == []
        assert failures(publish_to(commit, topic, work(4))) == []
        eventually(lambda: told(receiver), lambda it: 4 in it, "the last")
        if payload_type == "snapshot":
            assert told(receiver) == [0, 1, 2, 3, 4]
        else:
            assert sorted(set(told(receiver))) == [0, 1, 2, 3, 4]
            assert len({it.headers["webhook-id"] for it in receiver.arrivals}) == 5

    def test_fanout(self, streams, receiver, start, client):
        topic = streams.topic()
        streams.subscribe(topic, receiver.url)
        announcement = {"accepted_at": "2026-01-01T00:00:00.000000Z", "told": event({"n": 1})}
        message = sqs_event({"segment": {"audience_id": topic, "segment": 0, "announcement": announcement}})
        fanout, other = start("Fanout"), start("Fanout")
        for answer in at_once(lambda: fanout.invoke(message), lambda: other.invoke(message)):
            assert failures(answer) == []
        receiver.wait_for(is_streams)
        assert failures(fanout.invoke(message)) == []
        streams.publish(topic, {"n": 2})
        eventually(lambda: told(receiver), lambda it: 2 in it, "the last")
        assert len({it.headers["webhook-id"] for it in receiver.arrivals}) == 2

    def test_deliver_an_event(self, streams, receiver, start, client):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        message = sqs_event(delivery(subscription, event({"n": 1}), client.client_id))
        deliver, other = start("Deliver"), start("Deliver")
        for answer in at_once(lambda: deliver.invoke(message), lambda: other.invoke(message)):
            assert failures(answer) == []
        arrived = len(receiver.wait_for(is_streams))
        assert failures(deliver.invoke(message)) == []
        assert len(receiver.arrivals) == arrived
        assert len({it.headers["webhook-id"] for it in receiver.arrivals}) == 1

    def test_deliver_a_document(self, streams, receiver, start, client):
        topic = streams.topic("snapshot")
        streams.publish(topic, {"n": 1})
        subscription = streams.subscribe(topic, receiver.url)
        receiver.wait_for(is_streams)
        message = sqs_event(delivery(subscription, document(1), client.client_id))
        deliver, other = start("Deliver"), start("Deliver")
        for answer in at_once(*[lambda: deliver.invoke(message), lambda: other.invoke(message)]):
            assert failures(answer) == []
        assert len(receiver.arrivals) == 1


def told(receiver: Receiver) -> list[int]:
    """What was told, in order: the `n` of events and snapshots, or that a patch sets."""
    found = []
    for arrival in receiver.matching(is_streams):
        body = arrival.json()
        found.append(body[0]["value"] if event_type(arrival) == "patch" else body["n"])
    return found


FAULTS = ["throttle", "refuse", "break off"]


class TestCommit:
    """AWS fails in the middle of commit."""

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize(
        ("payload_type", "operation"),
        [
            ("snapshot", "Query"),
            ("snapshot", "TransactWriteItems"),
            ("snapshot", "GetItem"),
            ("snapshot", "SendMessageBatch"),
            ("event", "PutItem"),
            ("event", "GetItem"),
            ("event", "SendMessageBatch"),
        ],
    )
    def test_everything_comes_in_order_once_aws_is_well(
        self, streams, receiver, aws, start, payload_type, operation, fault
    ):
        topic = streams.topic(payload_type)
        streams.subscribe(topic, receiver.url)
        work = news if payload_type == "snapshot" else occurrence
        publications = [publication(topic, work(n)) for n in (1, 2, 3)]
        commit = start("Commit")
        message = sqs_event(*publications, group=topic)
        ids = [it["messageId"] for it in message["Records"]]
        # The first publication gets through.
        aws.set(operation, fault, after=1 if operation != "Query" else 2)
        failed = failures(commit.invoke(message))
        assert failed == ids[-len(failed) :], "those behind a failed one are held back"
        assert failed
        aws.heal()
        assert failures(commit.invoke(message)) == []
        eventually(lambda: set(told(receiver)), lambda it: it == {1, 2, 3}, "all of them")
        if payload_type == "snapshot":
            assert told(receiver) == [1, 2, 3]
        errors = [line for line in commit.log_lines() if line.get("level") == "ERROR"]
        assert (errors and "DynamoDB" in errors[0]["cause"]) or "SQS" in errors[0]["cause"]

    def test_a_redriven_document_does_not_replace_a_newer_one(self, streams, receiver, start):
        topic = streams.topic("snapshot")
        streams.subscribe(topic, receiver.url)
        old = publication(topic, news(1))
        commit = start("Commit")
        assert failures(publish_to(commit, topic, news(2))) == []
        receiver.wait_for(is_streams)
        assert failures(publish_to(commit, topic, old | {"redriven": True})) == []
        assert failures(publish_to(commit, topic, news(3))) == []
        receiver.wait_for(is_streams, 2)
        assert told(receiver) == [2, 3]

    def test_a_redriven_publication_is_older_than_one_that_changed_nothing(self, streams, receiver, start):
        topic = streams.topic("snapshot")
        streams.subscribe(topic, receiver.url)
        first, lost = publication(topic, news(1)), publication(topic, news(2))
        commit = start("Commit")
        assert failures(publish_to(commit, topic, first)) == []
        receiver.wait_for(is_streams)
        # What was lost is out of date: the publisher has gone back to the first since.
        assert failures(publish_to(commit, topic, publication(topic, news(1)))) == []
        for _ in range(2):
            assert failures(publish_to(commit, topic, lost | {"redriven": True})) == []
        assert failures(publish_to(commit, topic, news(3))) == []
        receiver.wait_for(is_streams, 2)
        assert told(receiver) == [1, 3]

    def test_a_document_that_the_bucket_has_lost_is_replaced_by_the_next(self, streams, receiver, start):
        topic = streams.topic("snapshot")
        streams.subscribe(topic, receiver.url)
        streams.publish(topic, {"n": 1, "text": [uuid.uuid4().hex for _ in range(10_000)]})
        receiver.wait_for(is_streams)
        s3, bucket = streams.stack.aws("s3"), streams.stack.outputs["PayloadsBucket"]
        dynamodb, table = streams.stack.aws("dynamodb"), streams.stack.outputs["EventsTable"]
        key = {"source": {"S": topic}, "key": {"S": f"version#{1:020}"}}
        version = dynamodb.get_item(TableName=table, Key=key)["Item"]
        s3.delete_object(Bucket=bucket, Key=version["snapshot"]["M"]["stored"]["S"])
        streams.publish(topic, {"n": 2})
        assert bodies(receiver, 2)[1] == {"n": 2}

    def test_one_topics_failure_is_not_anothers(self, streams, receiver, aws, start):
        broken, well = streams.topic("snapshot"), streams.topic("snapshot")
        for name, topic in [("broken", broken), ("well", well)]:
            streams.subscribe(topic, f"{receiver.url}/{name}")
        missing = {"document": {"payload": {"stored": f"documents/{uuid.uuid4()}"}}}
        batch = sqs_event(publication(broken, missing), group=broken)
        batch["Records"] += sqs_event(publication(well, news(1)), group=well)["Records"]
        failed = failures(start("Commit").invoke(batch))
        assert failed == [batch["Records"][0]["messageId"]]
        assert bodies(receiver, 1, "/well") == [{"n": 1, "filler": FILLER}]


class TestFanout:
    """AWS fails in the middle of fanout."""

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("operation", ["Query", "SendMessageBatch"])
    def test_all_are_told_once_aws_is_well(self, streams, receiver, aws, start, operation, fault):
        topic = streams.topic()
        for n in range(12):
            streams.subscribe(topic, f"{receiver.url}/{n}")
        announcement = {"accepted_at": "2026-01-01T00:00:00.000000Z", "told": event({"n": 1})}
        message = sqs_event({"segment": {"audience_id": topic, "segment": 0, "announcement": announcement}})
        fanout = start("Fanout")
        aws.set(operation, fault, after=1 if operation == "SendMessageBatch" else 0)
        assert len(failures(fanout.invoke(message))) == 1
        aws.heal()
        assert failures(fanout.invoke(message)) == []
        eventually(lambda: {it.path for it in receiver.arrivals}, lambda it: len(it) == 12, "all of them")
        assert len({it.headers["webhook-id"] for it in receiver.arrivals}) == 12

    def test_a_large_topic_is_told_by_segments(self, streams, stack, receiver):
        topic = streams.topic()
        streams.subscribe(topic, f"{receiver.url}/first")
        # As if 999 others had come and gone.
        stack.aws("dynamodb").update_item(
            TableName=stack.outputs["MembersTable"],
            Key={"audience_segment": {"S": f"{topic}#count"}, "subscription_id": {"S": "count"}},
            UpdateExpression="SET given = :given",
            ExpressionAttributeValues={":given": {"N": "1000"}},
        )
        streams.subscribe(topic, f"{receiver.url}/second")
        for n in range(3):
            streams.publish(topic, n)
        for path in ("/first", "/second"):
            assert sorted(bodies(receiver, 3, path)) == [0, 1, 2]
        assert len(receiver.arrivals) == 6

    def test_subscribing_and_leaving_while_a_fan_out_runs(self, streams, receiver):
        topic = streams.topic()
        stays = streams.subscribe(topic, f"{receiver.url}/stays")
        leaving = [streams.subscribe(topic, f"{receiver.url}/leaves-{n}") for n in range(10)]
        coming: list[dict] = []

        def come_and_go() -> None:
            for n, subscription in enumerate(leaving):
                assert streams.on(subscription, method="DELETE").status_code == 204
                coming.append(streams.subscribe(topic, f"{receiver.url}/comes-{n}"))

        moving = threading.Thread(target=come_and_go)
        moving.start()
        for n in range(20):
            streams.publish(topic, n)
        moving.join()
        streams.publish(topic, "the last")
        for n in range(len(coming)):
            eventually(
                lambda n=n: [it.json() for it in receiver.matching(lambda it: it.path == f"/comes-{n}")],
                lambda it: "the last" in it,
                "the last",
            )
        assert sorted(map(str, bodies(receiver, 21, "/stays"))) == sorted([*map(str, range(20)), "the last"])
        assert len({it.headers["webhook-id"] for it in receiver.arrivals}) == len(receiver.arrivals)
        assert streams.show(stays)["status"] == "active"


class TestPartly:
    """DynamoDB and SQS carry out a part of a batch, many times in a row."""

    def test_a_fan_out(self, streams, receiver, aws, start):
        topic = streams.topic()
        for n in range(9):
            streams.subscribe(topic, f"{receiver.url}/{n}")
        announcement = {"accepted_at": "2026-01-01T00:00:00.000000Z", "told": event({"n": 1})}
        aws.set("SendMessageBatch", "partial", times=5)
        fanout = start("Fanout")
        message = sqs_event({"segment": {"audience_id": topic, "segment": 0, "announcement": announcement}})
        assert failures(fanout.invoke(message)) == [], fanout.log()
        receiver.wait_for(is_streams, 9)
        assert aws.calls["SendMessageBatch"] == 6

    def test_a_batch_of_deliveries(self, streams, receiver, aws, start, client):
        topic = streams.topic()
        subscriptions = [streams.subscribe(topic, f"{receiver.url}/{n}") for n in range(5)]
        message = sqs_event(*(delivery(it, event({"n": 1}), client.client_id) for it in subscriptions))
        # Five subscriptions and five marks to look up; five attempts and five marks to write.
        aws.set("BatchGetItem", "partial", times=6)
        aws.set("BatchWriteItem", "partial", times=6)
        deliver = start("Deliver")
        assert failures(deliver.invoke(message)) == [], deliver.log()
        receiver.wait_for(is_streams, 5)
        for subscription in subscriptions:
            [exchange] = streams.wait_for_exchanges(subscription, 1)
            assert exchange["responseCode"] == 200
        aws.heal()
        assert failures(deliver.invoke(message)) == []
        assert len(receiver.arrivals) == 5

    def test_without_an_end_it_is_a_failure_before_the_function_s_time_is_over(
        self, streams, receiver, stack, aws, client
    ):
        topic = streams.topic()
        subscriptions = [streams.subscribe(topic, f"{receiver.url}/{n}") for n in range(2)]
        message = sqs_event(*(delivery(it, event({"n": 1}), client.client_id) for it in subscriptions))
        aws.set("BatchGetItem", "nothing")
        with Function(stack, "DeliverFunction", aws.endpoint, seconds=6) as deliver:
            assert len(failures(deliver.invoke(message))) == 2
            assert "keys were left out" in deliver.log()
        assert aws.calls["BatchGetItem"] > 3 and receiver.arrivals == []

    def test_an_attempt_that_can_not_be_recorded_leaves_a_trace_in_the_log(self, streams, receiver, stack, aws, client):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        message = sqs_event(delivery(subscription, event({"n": 1}), client.client_id))
        aws.set("BatchWriteItem", "refuse")
        with Function(stack, "DeliverFunction", aws.endpoint) as deliver:
            assert failures(deliver.invoke(message)) == []
            [arrival] = receiver.wait_for(is_streams)
            [line] = [it for it in deliver.log_lines() if it.get("message") == "attempt not recorded"]
        assert (line["delivery"], line["subscription"]) == (arrival.headers["webhook-id"], subscription["id"])
        assert (line["arrived"], line["code"]) == (True, 200)


class TestAgain:
    """What fails for a reason of ours comes again long before its visibility timeout is over."""

    @pytest.fixture
    def queue(self, stack):
        sqs = stack.aws("sqs")
        url = sqs.create_queue(QueueName=f"test-{uuid.uuid4()}", Attributes={"VisibilityTimeout": "360"})["QueueUrl"]
        yield url
        sqs.delete_queue(QueueUrl=url)

    def test_a_message_comes_again_soon_and_the_others_of_its_batch_are_left_alone(
        self, streams, receiver, stack, aws, client, queue
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


class TestMissing:
    """What is gone when deliver looks for it."""

    def test_a_subscription_that_ends_while_the_topics_end_is_told(self, streams, start, client):
        def answer(_) -> Answer:
            assert streams.on(subscription, method="DELETE").status_code == 204
            return Answer()

        with Receiver(answer=answer) as receiver:
            subscription = streams.subscribe(streams.topic(), receiver.url)
            told_end = {"topic_deleted": {"event_id": str(uuid.uuid4())}}
            message = sqs_event(delivery(subscription, told_end, client.client_id))
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
        dynamodb.update_item(
            TableName=stack.outputs["SubscriptionsTable"],
            Key={"subscription_id": {"S": subscription["id"]}},
            UpdateExpression="SET acknowledged = :none, wanted = :none",
            ExpressionAttributeValues={":none": {"N": "0"}},
        )
        deliver = start("Deliver")
        assert failures(deliver.invoke(sqs_event(delivery(subscription, document(1), client.client_id)))) == []
        third = receiver.wait_for(is_streams, 3)[2]
        assert (event_type(third), third.json()) == ("snapshot", {"n": 2})

    def test_a_payload_that_is_missing_is_a_dead_letter_at_once(self, streams, stack, receiver, start, client):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        missing = {"event": {"event_id": str(uuid.uuid4()), "payload": {"stored": f"events/{uuid.uuid4()}"}}}
        deliver = start("Deliver")
        message = sqs_event(delivery(subscription, missing, client.client_id))
        assert failures(deliver.invoke(message)) == [], deliver.log()
        [letter] = dead_letters(stack, "DeadDeliveriesQueueUrl", subscription["id"])
        reason = letter["MessageAttributes"]["reason"]["StringValue"]
        assert reason == "the payload is not kept any more"
        assert receiver.arrivals == []


class TestDeliver:
    """AWS fails in the middle of deliver, or deliver dies."""

    @pytest.mark.parametrize("fault", FAULTS)
    def test_subscriptions_that_cannot_be_read(self, streams, receiver, aws, start, client, fault):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        message = sqs_event(delivery(subscription, event({"n": 1}), client.client_id))
        deliver = start("Deliver")
        aws.set("BatchGetItem", fault)
        assert len(failures(deliver.invoke(message))) == 1
        assert receiver.arrivals == []
        aws.heal()
        assert failures(deliver.invoke(message)) == []
        assert bodies(receiver, 1) == [{"n": 1}]

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("payload_type", ["event", "snapshot"])
    def test_a_retry_that_cannot_be_arranged(self, streams, aws, start, client, payload_type, fault):
        with Receiver(answer=lambda _: Answer(500)) as receiver:
            subscription, message = failing(streams, receiver, client, payload_type)
            deliver = start("Deliver", RETRY_SCHEDULE="1s")
            before = len(receiver.arrivals)
            aws.set("SendMessage", fault)
            assert len(failures(deliver.invoke(message))) == 1
            assert len(receiver.arrivals) > before
            aws.heal()
            receiver.answer = lambda _: Answer()
            assert failures(deliver.invoke(message)) == []
            eventually(lambda: streams.show(subscription), lambda it: "failingSince" not in it, "success")
            assert told(receiver)[-1] == 1

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_dead_letter_that_cannot_be_buried(self, streams, stack, aws, start, client, fault):
        with Receiver(answer=lambda _: Answer(500)) as receiver:
            subscription = streams.subscribe(streams.topic(), receiver.url)
            message = sqs_event(delivery(subscription, event({"n": 1}), client.client_id, attempt=3))
            deliver = start("Deliver")
            aws.set("SendMessage", fault)
            assert len(failures(deliver.invoke(message))) == 1
            aws.heal()
            assert failures(deliver.invoke(message)) == []
            letters = of(stack, subscription)
            assert {it["reason"] for it in letters} == {"500 INTERNAL_SERVER_ERROR"}
            stack.cli("dead-letters", "drop", "--subscription", subscription["id"])

    @pytest.mark.parametrize("fault", FAULTS)
    def test_an_exchange_that_cannot_be_recorded_is_not_repeated(self, streams, receiver, aws, start, client, fault):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        message = sqs_event(delivery(subscription, event({"n": 1}), client.client_id))
        deliver = start("Deliver")
        aws.set("BatchWriteItem", fault)
        assert failures(deliver.invoke(message)) == []
        assert len(receiver.arrivals) == 1
        assert any(line.get("message") == "exchanges not recorded" for line in deliver.log_lines())

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("after", [0, 1])
    def test_a_turn_that_cannot_be_taken_or_given_back(self, streams, stack, aws, start, client, fault, after):
        with Receiver() as receiver:
            topic, subscription, message = lagging(streams, receiver, client)
            deliver = start("Deliver")
            aws.set("UpdateItem", fault, after=after)
            assert len(failures(deliver.invoke(message))) == 1
            aws.heal()
            answer = deliver.invoke(message)
            if failures(answer):
                # The turn was taken, and nobody knows what came of it: later.
                end_turn(stack, subscription)
                answer = deliver.invoke(message)
            assert failures(answer) == []
            assert told(receiver)[-1] == 2
            streams.publish(topic, {"n": 3, "filler": FILLER})
            eventually(lambda: told(receiver), lambda it: it[-1] == 3, "next change")
            assert event_type(receiver.arrivals[-1]) == "patch"

    @pytest.mark.parametrize("arrives", [True, False])
    @pytest.mark.parametrize("after", [0, 1])
    def test_an_answer_that_gets_lost_once(self, streams, stack, aws, start, client, after, arrives):
        """The SDK asks again by itself, and finds its own change."""
        with Receiver() as receiver:
            _topic, subscription, message = lagging(streams, receiver, client)
            receiver.answer = lambda _: Answer() if arrives else Answer(500)
            deliver = start("Deliver", RETRY_SCHEDULE="1s 1s")
            aws.set("UpdateItem", "break off", times=1, after=after)
            failed = failures(deliver.invoke(message))
            receiver.answer = lambda _: Answer()
            # What has failed comes again, and sees to what is left to do.
            assert not failed or failures(deliver.invoke(message)) == []
            eventually(lambda: told(receiver)[-1], lambda it: it == 2, "the newest")
            eventually(lambda: streams.in_state(subscription), lambda it: it["acknowledged"] == {"N": "2"}, "end")
            assert streams.in_state(subscription)["failures"] == {"N": "0"}

    def test_copies_in_one_batch_are_sent_once_and_spoil_no_record(self, streams, receiver, start, client):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        same, other = (delivery(subscription, event({"n": n}), client.client_id) for n in (1, 2))
        deliver = start("Deliver")
        assert failures(deliver.invoke(sqs_event(same, same, other, same))) == []
        assert sorted(told(receiver)) == [1, 2]
        assert len(streams.exchanges(subscription)) == 2
        assert failures(deliver.invoke(sqs_event(same, other))) == []
        assert len(receiver.arrivals) == 2

    @pytest.mark.parametrize("payload_type", ["event", "snapshot"])
    def test_a_function_that_is_killed_in_the_middle_of_a_batch(self, streams, stack, start, client, payload_type):
        with Receiver(answer=lambda it: Answer(fault="stall") if it.path == "/stalls" else Answer()) as receiver:
            topic = streams.topic(payload_type)
            good, stalls = (streams.subscribe(topic, f"{receiver.url}/{name}") for name in ("good", "stalls"))
            for subscription in (good, stalls):
                streams.on(subscription, "disable")
            what = event({"n": 1})
            if payload_type == "snapshot":
                what = document(1)
                streams.publish(topic, {"n": 1})
                wait_for_version(stack, topic, 1)
            for subscription in (good, stalls):
                set_enabled(stack, subscription)
            message = sqs_event(*(delivery(it, what, client.client_id) for it in (good, stalls)))
            deliver = start("Deliver")
            deliver.send(message)
            receiver.wait_for(is_streams, 2)
            deliver.kill()
            receiver.answer = lambda _: Answer()
            for subscription in (good, stalls):
                end_turn(stack, subscription)
            assert failures(start("Deliver").invoke(message)) == []
            for path in ("/good", "/stalls"):
                arrivals = receiver.matching(lambda it, path=path: it.path == path)
                assert {it.json()["n"] for it in arrivals} == {1}
                assert len({it.headers["webhook-id"] for it in arrivals}) == 1
            assert len(receiver.matching(lambda it: it.path == "/stalls")) == 2

    @pytest.mark.parametrize("payload_type", ["event", "snapshot"])
    def test_down_for_the_whole_schedule_and_then_up(self, streams, stack, payload_type):
        with Receiver(answer=lambda _: Answer(fault="reset")) as receiver:
            topic = streams.topic(payload_type)
            subscription = streams.subscribe(topic, receiver.url)
            streams.publish(topic, {"n": 1})
            [letter] = of(stack, subscription)
            assert "connection" in letter["reason"]
            receiver.answer = lambda _: Answer()
            stack.cli("dead-letters", "redrive", letter["id"])
            receiver.wait_for(is_streams, 5)
            assert told(receiver)[-1] == 1
            eventually(lambda: streams.show(subscription), lambda it: "failingSince" not in it, "success")


def failing(streams, receiver, client, payload_type: str) -> tuple[dict, dict]:
    """A subscription, and a message for it that no other function has."""
    if payload_type == "event":
        subscription = streams.subscribe(streams.topic(), receiver.url)
        return subscription, sqs_event(delivery(subscription, event({"n": 1}), client.client_id))
    topic = streams.topic("snapshot")
    subscription = streams.subscribe(topic, receiver.url)
    streams.on(subscription, "disable")
    streams.publish(topic, {"n": 1})
    wait_for_version(streams.stack, topic, 1)
    set_enabled(streams.stack, subscription)
    return subscription, sqs_event(delivery(subscription, document(1), client.client_id))


def lagging(streams, receiver, client) -> tuple[str, dict, dict]:
    """A topic, a subscription that lacks its second version, and a message that says so."""
    topic = streams.topic("snapshot")
    subscription = streams.subscribe(topic, receiver.url)
    streams.publish(topic, {"n": 1, "filler": FILLER})
    receiver.wait_for(is_streams)
    eventually(lambda: "turn" not in streams.in_state(subscription), bool, "end of the turn")
    streams.on(subscription, "disable")
    streams.publish(topic, {"n": 2, "filler": FILLER})
    wait_for_version(streams.stack, topic, 2)
    set_enabled(streams.stack, subscription)
    return topic, subscription, sqs_event(delivery(subscription, document(2), client.client_id))


def wait_for_version(stack, topic: str, version: int) -> None:
    """Waits until the version is committed, and what was told of it has been worked off."""
    dynamodb, sqs = stack.aws("dynamodb"), stack.aws("sqs")
    key = {"source": {"S": topic}, "key": {"S": f"version#{version:020}"}}
    table = stack.outputs["EventsTable"]
    eventually(lambda: dynamodb.get_item(TableName=table, Key=key).get("Item"), bool, "version")
    for name in ("Publications", "Deliveries"):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = stack.outputs[f"{name}QueueUrl"]
        eventually(
            lambda url=url, names=names: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"],
            lambda it: set(it.values()) == {"0"},
            "empty queue",
        )


def set_enabled(stack, subscription: dict) -> None:
    """Enables a subscription behind the API's back, which would send at once."""
    stack.aws("dynamodb").update_item(
        TableName=stack.outputs["SubscriptionsTable"],
        Key={"subscription_id": {"S": subscription["id"]}},
        UpdateExpression="REMOVE disabled",
    )


def end_turn(stack, subscription: dict) -> None:
    """As of a minute later: a turn that was taken has ended."""
    dynamodb = stack.aws("dynamodb")
    key = {"subscription_id": {"S": subscription["id"]}}
    table = stack.outputs["SubscriptionsTable"]
    if "turn" in dynamodb.get_item(TableName=table, Key=key)["Item"]:
        dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET turn_until = :past",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )


class TestApi:
    """AWS fails behind a call of the API."""

    @pytest.mark.parametrize("fault", FAULTS)
    def test_what_is_not_accepted_may_be_published_again(self, streams, receiver, aws, start, publisher, fault):
        topic = streams.topic()
        streams.subscribe(topic, receiver.url)
        path = f"/publishers/http-post/topics/{topic}"
        call = api_event("POST", path, publisher, {"n": 1}, topicId=topic)
        for headers in (call["headers"], call["multiValueHeaders"]):
            value = "key-1"
            headers["Idempotency-Key"] = value if headers is call["headers"] else [value]
        publish = start("Publish")
        aws.set("SendMessage", fault)
        refused = publish.invoke(call)
        assert (refused.status, set(refused.body)) == (500, {"message", "request_id"})
        aws.heal()
        assert publish.invoke(call).status == 202
        streams.publish(topic, {"n": 2})
        assert sorted(it["n"] for it in bodies(receiver, 2)) == [1, 2]
        assert len(receiver.arrivals) == 2

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("operation", ["SendMessage", "UpdateItem"])
    def test_a_deletion_that_is_not_announced_is_announced_by_the_next(
        self, streams, receiver, aws, start, publisher, operation, fault
    ):
        topic = streams.topic()
        streams.subscribe(topic, receiver.url)
        call = api_event("DELETE", f"/topics/{topic}", publisher, topicId=topic)
        topics = start("Topics")
        aws.set(operation, fault)
        assert topics.invoke(call).status == 500
        aws.heal()
        again = topics.invoke(call)
        # If only the note of the announcement was not heard of, it is done.
        assert again.status == (404 if (operation, fault) == ("UpdateItem", "break off") else 204)
        [arrival] = receiver.wait_for(is_streams)
        assert arrival.json()["code"] == 40404
        assert topics.invoke(call).status == 404

    @pytest.mark.parametrize("path", ["/topics/{}", "/subscribers/webhook/subscriptions/{}"])
    def test_an_id_that_is_longer_than_a_key_may_be(self, stack, client, path):
        assert stack.call("GET", path.format("x" * 3000), client).status_code == 404

    @pytest.mark.parametrize("fault", ["throttle", "refuse"])
    def test_a_subscription_that_would_miss_its_first_document_is_not_made(
        self, streams, stack, aws, start, client, fault
    ):
        topic = streams.topic("snapshot")
        streams.publish(topic, {"n": 1})
        wait_for_version(stack, topic, 1)
        path = f"/subscribers/webhook/topics/{topic}/subscriptions"
        call = api_event("POST", path, client, {"webhookUrl": "http://127.0.0.1:9/"}, topicId=topic)
        subscriptions = start("WebhookSubscriptions")
        aws.set("SendMessage", fault)
        assert subscriptions.invoke(call).status == 500
        assert stack.call("GET", path, client).json()["items"] == []
        aws.heal()
        assert subscriptions.invoke(call).status == 201


class TestUntrusted:
    """Addresses that a stack doesn't allow, whatever leads to them."""

    @pytest.fixture
    def strict(self, stack):
        """A deliver of a stack that opens no networks."""
        with Function(stack, "DeliverFunction", OPEN_NETWORKS="") as function:
            yield function

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]"])
    @pytest.mark.parametrize("attempt", [0, 1])
    def test_deliveries_and_retries(self, streams, receiver, strict, client, host, attempt):
        port = receiver.url.rsplit(":", 1)[1]
        subscription = streams.subscribe(streams.topic(), f"http://{host}:{port}/")
        told = event({"n": 1})
        assert failures(strict.invoke(sqs_event(delivery(subscription, told, client.client_id, attempt)))) == []
        refused = streams.wait_for_exchanges(subscription, 1)[0]
        assert "address" in refused["errorMessage"]
        assert "responseCode" not in refused

    def test_tests(self, streams, receiver, strict, client):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        test = {"test": {"event_id": str(uuid.uuid4()), "payload": payload({})}}
        assert failures(strict.invoke(sqs_event(delivery(subscription, test, client.client_id)))) == []
        [refused] = streams.wait_for_exchanges(subscription, 1)
        assert "address" in refused["errorMessage"]
        assert receiver.arrivals == []

    def test_requests_for_tokens(self, streams, receiver, strict, client):
        authorization = {"type": "oauth2", "clientId": "a", "clientSecret": "b", "provider": f"{receiver.url}/token"}
        subscription = streams.subscribe(streams.topic(), "http://192.0.43.8/", authorization=authorization)
        test = {"test": {"event_id": str(uuid.uuid4()), "payload": payload({})}}
        assert failures(strict.invoke(sqs_event(delivery(subscription, test, client.client_id)))) == []
        [refused] = streams.wait_for_exchanges(subscription, 1)
        assert refused["errorMessage"].startswith("no access token: ") and "address" in refused["errorMessage"]
        assert receiver.arrivals == []
