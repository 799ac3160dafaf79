"""AWS that throttles, refuses or breaks off in the middle of deliver, and a deliver that dies: what was accepted
arrives, in order where that is promised, or is a dead letter.
"""

import pytest
from faults import FAULTS
from messages import delivery, document, event
from publications import FILLER, delivered, wait_for_version
from receiver import Answer, Receiver
from runtime_api import Function, failures, sqs_event
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
