"""Publications whose messages come twice, or in whose middle AWS throttles, refuses, breaks off or
carries out a part: what was accepted is delivered, in order where that is promised."""

import threading
import uuid

import jsonpatch
import pytest
from conftest import at_once, dead_letters
from faults import FAULTS
from messages import delivery, document, event, publication
from publications import FILLER, delivered, document_update, new_event, publish_to
from runtime_api import Function, api_event, failures, sqs_event
from streams import bodies, event_type, eventually, is_streams


class TestTwice:
    """The same message twice, one after the other or at the same time."""

    @pytest.mark.parametrize("payload_type", ["snapshot", "event"])
    def test_commit(self, streams, receiver, start, payload_type):
        topic = streams.topic(payload_type)
        streams.subscribe(topic, receiver.url)
        work = document_update if payload_type == "snapshot" else new_event
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
        eventually(lambda: delivered(receiver), lambda it: 4 in it, "the last")
        if payload_type == "snapshot":
            assert delivered(receiver) == [0, 1, 2, 3, 4]
        else:
            assert sorted(set(delivered(receiver))) == [0, 1, 2, 3, 4]
            assert len({it.headers["webhook-id"] for it in receiver.arrivals}) == 5

    def test_fanout(self, streams, receiver, start, client):
        topic = streams.topic()
        streams.subscribe(topic, receiver.url)
        audience_event = {"accepted_at": "2026-01-01T00:00:00.000000Z", "told": event({"n": 1})}
        message = sqs_event({"segment": {"audience_id": topic, "segment": 0, "announcement": audience_event}})
        fanout, other = start("Fanout"), start("Fanout")
        for answer in at_once(lambda: fanout.invoke(message), lambda: other.invoke(message)):
            assert failures(answer) == []
        receiver.wait_for(is_streams)
        assert failures(fanout.invoke(message)) == []
        streams.publish(topic, {"n": 2})
        eventually(lambda: delivered(receiver), lambda it: 2 in it, "the last")
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
        work = document_update if payload_type == "snapshot" else new_event
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
        eventually(lambda: set(delivered(receiver)), lambda it: it == {1, 2, 3}, "all of them")
        if payload_type == "snapshot":
            assert delivered(receiver) == [1, 2, 3]
        errors = [line for line in commit.log_lines() if line.get("level") == "ERROR"]
        assert (errors and "DynamoDB" in errors[0]["cause"]) or "SQS" in errors[0]["cause"]

    def test_a_redriven_document_does_not_replace_a_newer_one(self, streams, receiver, start):
        topic = streams.topic("snapshot")
        streams.subscribe(topic, receiver.url)
        old = publication(topic, document_update(1))
        commit = start("Commit")
        assert failures(publish_to(commit, topic, document_update(2))) == []
        receiver.wait_for(is_streams)
        assert failures(publish_to(commit, topic, old | {"redriven": True})) == []
        assert failures(publish_to(commit, topic, document_update(3))) == []
        receiver.wait_for(is_streams, 2)
        assert delivered(receiver) == [2, 3]

    def test_a_redriven_publication_is_older_than_one_that_changed_nothing(self, streams, receiver, start):
        topic = streams.topic("snapshot")
        streams.subscribe(topic, receiver.url)
        first, lost = publication(topic, document_update(1)), publication(topic, document_update(2))
        commit = start("Commit")
        assert failures(publish_to(commit, topic, first)) == []
        receiver.wait_for(is_streams)
        # What was lost is out of date: the publisher has gone back to the first since.
        assert failures(publish_to(commit, topic, publication(topic, document_update(1)))) == []
        for _ in range(2):
            assert failures(publish_to(commit, topic, lost | {"redriven": True})) == []
        assert failures(publish_to(commit, topic, document_update(3))) == []
        receiver.wait_for(is_streams, 2)
        assert delivered(receiver) == [1, 3]

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
        first, second = receiver.wait_for(is_streams, 2)
        if event_type(second) == "patch":
            assert jsonpatch.apply_patch(first.json(), second.json()) == {"n": 2}
        else:
            assert second.json() == {"n": 2}

    def test_a_publication_whose_payload_is_missing_is_a_dead_letter_and_holds_nobody_up(
        self, streams, stack, receiver, start
    ):
        topic = streams.topic("snapshot")
        streams.subscribe(topic, receiver.url)
        missing = {"document": {"payload": {"stored": f"events-45/{uuid.uuid4()}"}}}
        assert failures(publish_to(start("Commit"), topic, missing, document_update(1))) == []
        assert bodies(receiver, 1) == [{"n": 1, "filler": FILLER}]
        [dead_letter] = dead_letters(stack, "DeadPublicationsQueueUrl", topic)
        assert dead_letter["MessageAttributes"]["reason"]["StringValue"] == "the payload is not kept any more"

    def test_what_is_published_while_its_topic_is_deleted_leaves_nothing_behind(self, streams, stack, start):
        topic = streams.topic("snapshot")
        streams.publish(topic, {"n": 0})
        assert stack.call("DELETE", f"/topics/{topic}", streams.publisher).status_code == 204
        names = eventually(lambda: kept(stack, topic), lambda it: "version#~" in it, "end of the document")
        commit, late = start("Commit"), publication(topic, document_update(1))
        assert failures(publish_to(commit, topic, late)) == []
        assert "the topic is deleted" in commit.log()
        assert kept(stack, topic) == names
        # Nor does the end itself, once more.
        assert failures(publish_to(commit, topic, "topic_deleted")) == []
        found = kept(stack, topic)
        assert found == names and all(found.values()), "everything expires"

    def test_a_publication_that_is_never_committed_leaves_nothing_behind(self, streams, stack, aws, publisher):
        # SQS leaves out a repetition within five minutes: its payload is never read.
        topic = streams.topic("snapshot")
        large = {"text": [uuid.uuid4().hex for _ in range(10_000)]}
        request = api_event("POST", f"/publishers/http-post/topics/{topic}", publisher, large, topicId=topic)
        with Function(stack, "PublishFunction", aws.endpoint) as publish:
            assert publish.invoke(request).status == 202
        bucket = stack.outputs["PayloadsBucket"]
        assert aws.paths["PutObject"].startswith(f"/{bucket}/events-45/")
        # Once committed it stays as long as it is current.
        key = {"source": {"S": topic}, "key": {"S": f"version#{1:020}"}}
        table, dynamodb = stack.outputs["EventsTable"], stack.aws("dynamodb")
        found = eventually(lambda: dynamodb.get_item(TableName=table, Key=key).get("Item"), bool, "version")
        assert found["snapshot"]["M"]["stored"]["S"].startswith("documents/")

    def test_one_topics_failure_is_not_anothers(self, streams, receiver, aws, start):
        broken, well = streams.topic("snapshot"), streams.topic("snapshot")
        for name, topic in [("broken", broken), ("well", well)]:
            streams.subscribe(topic, f"{receiver.url}/{name}")
        damaged = {"document": {"payload": {"inline": "bm8gZ3ppcA=="}}}
        batch = sqs_event(publication(broken, damaged), group=broken)
        batch["Records"] += sqs_event(publication(well, document_update(1)), group=well)["Records"]
        failed = failures(start("Commit").invoke(batch))
        assert failed == [batch["Records"][0]["messageId"]]
        assert bodies(receiver, 1, "/well") == [{"n": 1, "filler": FILLER}]


class TestFanout:
    """AWS fails in the middle of fanout."""

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("operation", ["Query", "SendMessageBatch"])
    def test_all_deliveries_are_created_once_aws_is_well(self, streams, receiver, aws, start, operation, fault):
        topic = streams.topic()
        for n in range(12):
            streams.subscribe(topic, f"{receiver.url}/{n}")
        audience_event = {"accepted_at": "2026-01-01T00:00:00.000000Z", "told": event({"n": 1})}
        message = sqs_event({"segment": {"audience_id": topic, "segment": 0, "announcement": audience_event}})
        fanout = start("Fanout")
        aws.set(operation, fault, after=1 if operation == "SendMessageBatch" else 0)
        assert len(failures(fanout.invoke(message))) == 1
        aws.heal()
        assert failures(fanout.invoke(message)) == []
        eventually(lambda: {it.path for it in receiver.arrivals}, lambda it: len(it) == 12, "all of them")
        assert len({it.headers["webhook-id"] for it in receiver.arrivals}) == 12

    def test_a_large_topic_is_fanned_out_by_segments(self, streams, stack, receiver):
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
        audience_event = {"accepted_at": "2026-01-01T00:00:00.000000Z", "told": event({"n": 1})}
        aws.set("SendMessageBatch", "partial", times=5)
        fanout = start("Fanout")
        message = sqs_event({"segment": {"audience_id": topic, "segment": 0, "announcement": audience_event}})
        assert failures(fanout.invoke(message)) == [], fanout.log()
        receiver.wait_for(is_streams, 9)
        assert aws.calls["SendMessageBatch"] == 6

    def test_messages_that_sqs_refuses_for_good_are_not_sent_again(self, streams, receiver, aws, start):
        topic = streams.topic()
        streams.subscribe(topic, receiver.url)
        audience_event = {"accepted_at": "2026-01-01T00:00:00.000000Z", "told": event({"n": 1})}
        aws.set("SendMessageBatch", "wrong")
        fanout = start("Fanout")
        message = sqs_event({"segment": {"audience_id": topic, "segment": 0, "announcement": audience_event}})
        assert len(failures(fanout.invoke(message))) == 1
        assert aws.calls["SendMessageBatch"] == 1 and "InvalidMessageContents" in fanout.log()

    def test_a_batch_of_deliveries(self, streams, receiver, aws, start, client):
        topic = streams.topic()
        subscriptions = [streams.subscribe(topic, f"{receiver.url}/{n}") for n in range(5)]
        message = sqs_event(*(delivery(it, event({"n": 1}), client.client_id) for it in subscriptions))
        # Five subscriptions and five marks to prefetch; five attempts and five marks to write.
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
        with Function(stack, "DeliverFunction", aws.endpoint, seconds=13) as deliver:
            assert len(failures(deliver.invoke(message))) == 2
            assert "a part of the batch was left out" in deliver.log()
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


def kept(stack, topic: str) -> dict[str, str | None]:
    """When what is kept of a topic expires, by its keys."""
    found = stack.aws("dynamodb").query(
        TableName=stack.outputs["EventsTable"],
        KeyConditionExpression="#source = :topic",
        ExpressionAttributeNames={"#source": "source"},
        ExpressionAttributeValues={":topic": {"S": topic}},
    )
    return {it["key"]["S"]: it.get("expires_at", {}).get("N") for it in found["Items"]}
