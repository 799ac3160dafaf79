"""Messages that come twice, AWS that throttles, refuses or breaks off, functions that die:
what was accepted arrives, in order where that is promised, or is a dead letter.
"""

import uuid

import pytest
from conftest import dead_letters
from messages import delivery, document, event, payload
from publications import FAULTS, FILLER, delivered
from receiver import Answer, Receiver
from runtime_api import Function, api_event, failures, sqs_event
from streams import bodies, event_type, eventually, is_streams
from test_dead_letters import dead_letters_of


def test_an_attempt_is_not_begun_that_might_be_cut_off(streams, stack, receiver, aws, client):
    # Six seconds for an attempt and its access token, and ten for the end, are sixteen.
    subscription = streams.subscribe(streams.topic(), receiver.url)
    message = sqs_event(delivery(subscription, event({"n": 1}), client.client_id))
    with Function(stack, "DeliverFunction", aws.endpoint, seconds=12) as deliver:
        assert len(failures(deliver.invoke(message))) == 1
        assert receiver.arrivals == [] and "no time is left" in deliver.log()
    with Function(stack, "DeliverFunction", aws.endpoint) as deliver:
        assert failures(deliver.invoke(message)) == []
        assert len(receiver.arrivals) == 1


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
            assert delivered(receiver)[-1] == 1

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_delivery_that_cannot_be_dead_lettered(self, streams, stack, aws, start, client, fault):
        with Receiver(answer=lambda _: Answer(500)) as receiver:
            subscription = streams.subscribe(streams.topic(), receiver.url)
            message = sqs_event(delivery(subscription, event({"n": 1}), client.client_id, attempt=3))
            deliver = start("Deliver")
            aws.set("SendMessage", fault)
            assert len(failures(deliver.invoke(message))) == 1
            aws.heal()
            assert failures(deliver.invoke(message)) == []
            found = dead_letters_of(stack, subscription)
            assert {it["reason"] for it in found} == {"500 INTERNAL_SERVER_ERROR"}
            stack.cli("dead-letters", "drop", "--subscription", subscription["id"])

    @pytest.mark.parametrize("fault", FAULTS)
    def test_an_exchange_that_cannot_be_recorded_is_not_repeated(
        self, streams, stack, receiver, aws, start, client, fault
    ):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        message = sqs_event(delivery(subscription, event({"n": 1}), client.client_id))
        deliver = start("Deliver")
        aws.set("BatchWriteItem", fault)
        assert failures(deliver.invoke(message)) == []
        assert len(receiver.arrivals) == 1
        assert any(line.get("message") == "attempt not recorded" for line in deliver.log_lines())
        aws.heal()
        # A message has it recorded that the delivery has arrived.
        exchanges = {
            "TableName": stack.outputs["ExchangesTable"],
            "KeyConditionExpression": "subscription_id = :id",
            "ExpressionAttributeValues": {":id": {"S": subscription["id"]}},
        }
        dynamodb = stack.aws("dynamodb")
        eventually(
            lambda: dynamodb.query(**exchanges)["Items"], lambda it: any("arrived" in item for item in it), "mark"
        )
        assert failures(deliver.invoke(message)) == []
        assert len(receiver.arrivals) == 1

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("after", [0, 1])
    def test_a_lease_that_cannot_be_acquired_or_released(self, streams, stack, aws, start, client, fault, after):
        with Receiver() as receiver:
            topic, subscription, message = lagging(streams, receiver, client)
            deliver = start("Deliver")
            aws.set("UpdateItem", fault, after=after)
            assert len(failures(deliver.invoke(message))) == 1
            aws.heal()
            answer = deliver.invoke(message)
            if failures(answer):
                # The lease was acquired, and the answer was lost: the message comes again when it has expired.
                expire_lease(stack, subscription)
                answer = deliver.invoke(message)
            assert failures(answer) == []
            assert delivered(receiver)[-1] == 2
            streams.publish(topic, {"n": 3, "filler": FILLER})
            eventually(lambda: delivered(receiver), lambda it: it[-1] == 3, "next change")
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
            # What has failed comes again, and completes what is left to do.
            assert not failed or failures(deliver.invoke(message)) == []
            eventually(lambda: delivered(receiver)[-1], lambda it: it == 2, "the newest")
            eventually(lambda: streams.stored_item(subscription), lambda it: it["acknowledged"] == {"N": "2"}, "end")
            assert streams.stored_item(subscription)["failures"] == {"N": "0"}

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
                expire_lease(stack, subscription)
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
            [dead_letter] = dead_letters_of(stack, subscription)
            assert "connection" in dead_letter["reason"]
            receiver.answer = lambda _: Answer()
            stack.cli("dead-letters", "redrive", dead_letter["id"])
            receiver.wait_for(is_streams, 5)
            assert delivered(receiver)[-1] == 1
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
    eventually(lambda: "turn" not in streams.stored_item(subscription), bool, "end of the lease")
    streams.on(subscription, "disable")
    streams.publish(topic, {"n": 2, "filler": FILLER})
    wait_for_version(streams.stack, topic, 2)
    set_enabled(streams.stack, subscription)
    return topic, subscription, sqs_event(delivery(subscription, document(2), client.client_id))


def wait_for_version(stack, topic: str, version: int) -> None:
    """Waits until the version is committed, and its deliveries have been processed."""
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


def set_enabled(stack, subscription: dict) -> None:
    """Enables a subscription without the API, which would send at once."""
    stack.aws("dynamodb").update_item(
        TableName=stack.outputs["SubscriptionsTable"],
        Key={"subscription_id": {"S": subscription["id"]}},
        UpdateExpression="REMOVE disabled",
    )


def expire_lease(stack, subscription: dict) -> None:
    """As of a minute later: a lease that was acquired has expired."""
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
        # It is on record, and can neither be fanned out nor left to another function.
        for operation in ("SendMessage", "SendMessageBatch"):
            aws.set(operation, fault)
        refused = publish.invoke(call)
        assert (refused.status, set(refused.body)) == (500, {"message", "request_id"})
        aws.heal()
        assert publish.invoke(call).status == 202
        bodies(receiver, 1)
        streams.publish(topic, {"n": 2})
        assert {it["n"] for it in bodies(receiver, 2)} == {1, 2}

    @pytest.mark.parametrize("fault", FAULTS)
    def test_an_event_that_cannot_be_fanned_out_now_is_accepted_and_delivered(
        self, streams, receiver, aws, start, publisher, fault
    ):
        topic = streams.topic()
        streams.subscribe(topic, receiver.url)
        call = api_event("POST", f"/publishers/http-post/topics/{topic}", publisher, {"n": 1}, topicId=topic)
        publish = start("Publish")
        aws.set("SendMessageBatch", fault)
        assert publish.invoke(call).status == 202
        assert {it["n"] for it in bodies(receiver, 1)} == {1}

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("operation", ["SendMessage", "UpdateItem"])
    def test_a_deletion_that_is_not_queued_is_queued_by_the_next(
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
        # If only the answer to the last write, that the deletion is queued, was lost, it is done.
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
        call = api_event("POST", path, client, {"webhookUrl": "http://127.0.0.1:2/"}, topicId=topic)
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
        kind = event({"n": 1})
        assert failures(strict.invoke(sqs_event(delivery(subscription, kind, client.client_id, attempt)))) == []
        refused = streams.wait_for_exchanges(subscription, 1)[0]
        assert "address" in refused["errorMessage"]
        assert "responseCode" not in refused

    def test_ports_of_other_protocols(self, streams, stack, strict, client):
        # Registered before they were refused.
        subscription = streams.subscribe(streams.topic(), "https://example.com/")
        stack.aws("dynamodb").update_item(
            TableName=stack.outputs["SubscriptionsTable"],
            Key={"subscription_id": {"S": subscription["id"]}},
            UpdateExpression="SET webhook_url = :url",
            ExpressionAttributeValues={":url": {"S": "https://example.com:25/"}},
        )
        assert failures(strict.invoke(sqs_event(delivery(subscription, event({"n": 1}), client.client_id)))) == []
        refused = streams.wait_for_exchanges(subscription, 1)[0]
        assert "port 25" in refused["errorMessage"]

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
