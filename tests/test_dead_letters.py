"""What could not be delivered: `bellwire dead-letters`, and retries that are due late."""

import json
import signal
import subprocess
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from build import CLI
from conftest import completion, dead_letters, dead_letters_lock, new_query
from entities import entity_event, new_key
from messages import delivery, event
from receiver import Answer, Receiver
from settings import environment
from streams import bodies, eventually, is_streams


def listed(stack, *options: str) -> list[dict]:
    done = stack.cli("dead-letters", "list", "--json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def dead_letters_of(stack, subscription: dict, count: int = 1) -> list[dict]:
    """The dead letters of a subscription, as soon as there are so many."""
    eventually(
        lambda: dead_letters(stack, "DeadDeliveriesQueueUrl", subscription["id"]),
        lambda it: len(it) >= count,
        "dead letters",
    )
    return eventually(
        lambda: listed(stack, "--subscription", subscription["id"]), lambda it: len(it) >= count, "dead letters"
    )


def exhausted(streams, receiver, payload: str = "event", count: int = 1) -> tuple[str, dict]:
    """A topic with a subscription at which so many deliveries have failed."""
    topic = streams.topic(payload)
    subscription = streams.subscribe(topic, receiver.url)
    for n in range(count):
        streams.publish(topic, {"n": n})
    return topic, subscription


def test_an_exhausted_delivery_is_a_dead_letter_with_its_reason(streams, stack):
    with Receiver(answer=lambda _: Answer(503)) as receiver:
        _topic, subscription = exhausted(streams, receiver)
        [dead_letter] = dead_letters_of(stack, subscription)
        assert dead_letter["reason"] == "503 SERVICE_UNAVAILABLE"
        assert dead_letter["queue"] == "deliveries"
        assert dead_letter["what"] == f"event {receiver.arrivals[0].headers['x-axway-streams-event-id']}"
        assert len(receiver.arrivals) == 4

        done = stack.cli("dead-letters", "show", dead_letter["id"], "--json")
        whole = json.loads(done.stdout)
        assert dead_letter.items() <= whole.items()
        assert json.loads(whole["body"])["subscription_id"] == subscription["id"]
        table = stack.cli("dead-letters", "list", "--subscription", subscription["id"]).stdout
        assert dead_letter["id"] in table and "503 SERVICE_UNAVAILABLE" in table
        assert subscription["id"] in stack.cli("dead-letters", "show", dead_letter["id"]).stdout

        receiver.answer = lambda _: Answer()
        redriven = stack.cli("dead-letters", "redrive", dead_letter["id"], "--json")
        assert json.loads(redriven.stdout) == {"redriven": 1}
        arrivals = receiver.wait_for(is_streams, 5)
        assert len({it.headers["webhook-id"] for it in arrivals}) == 1
        assert arrivals[-1].headers["x-bellwire-attempt"] == "1"
        assert listed(stack, "--subscription", subscription["id"]) == []


def test_redriving_twice_sends_nothing_twice(streams, stack):
    with Receiver(answer=lambda _: Answer(500)) as receiver:
        _topic, subscription = exhausted(streams, receiver)
        [dead_letter] = dead_letters_of(stack, subscription)
        body = json.loads(stack.cli("dead-letters", "show", dead_letter["id"], "--json").stdout)["body"]
        receiver.answer = lambda _: Answer()
        stack.cli("dead-letters", "redrive", "--subscription", subscription["id"])
        receiver.wait_for(is_streams, 5)
        streams.wait_for_exchanges(subscription, 5)
        # As if the first redrive had died before it removed the dead letter.
        sqs = stack.aws("sqs")
        sqs.send_message(QueueUrl=stack.outputs["DeadDeliveriesQueueUrl"], MessageBody=body)
        dead_letters_of(stack, subscription)
        stack.cli("dead-letters", "redrive", "--subscription", subscription["id"])
        streams.on(subscription, "test", json={"behind": "it"})
        receiver.wait_for(lambda it: b"behind" in it.body)
        assert len(receiver.arrivals) == 6


def test_a_document_goes_on_from_its_dead_letter(streams, stack):
    with Receiver(answer=lambda _: Answer(500)) as receiver:
        _topic, subscription = exhausted(streams, receiver, "snapshot", count=3)
        dead_letters_of(stack, subscription)
        receiver.answer = lambda _: Answer()
        stack.cli("dead-letters", "redrive", "--subscription", subscription["id"])
        eventually(lambda: receiver.arrivals[-1].json(), lambda it: it == {"n": 2}, "document")


def test_dead_letters_are_chosen_by_subscription_and_age(streams, stack):
    with Receiver(answer=lambda _: Answer(500)) as receiver:
        _topic, mine = exhausted(streams, receiver, count=2)
        _topic, other = exhausted(streams, receiver)
        dead_letters_of(stack, mine, 2), dead_letters_of(stack, other)
        ids = ["--subscription", mine["id"]]
        assert len(listed(stack, *ids, "--younger-than", "1h")) == 2
        assert listed(stack, *ids, "--older-than", "1h") == []
        dropped = stack.cli("dead-letters", "drop", *ids, "--older-than", "0s", "--json")
        assert json.loads(dropped.stdout) == {"dropped": 2}
        assert listed(stack, *ids) == []
        assert len(listed(stack, "--subscription", other["id"])) == 1
        attempts = len(receiver.arrivals)
        stack.cli("dead-letters", "drop", "--subscription", other["id"])
        assert len(receiver.arrivals) == attempts


def test_an_empty_list_is_said_in_words(stack):
    done = stack.cli("dead-letters", "list", "--subscription", "nobody's")
    assert (done.returncode, done.stdout) == (0, "There are no dead letters.\n")
    assert listed(stack, "--subscription", "nobody's") == []


@pytest.mark.parametrize(
    ("end", "code", "seconds"), [(signal.SIGINT, 1, 5), (signal.SIGTERM, 1, 5), (signal.SIGKILL, -9, 35)]
)
def test_whoever_is_cut_off_hides_nothing_for_long(stack, aws, end, code, seconds):
    mark = f'{{"looked at": "{uuid.uuid4()}"}}'
    queue = "DeadDeliveriesQueueUrl"
    stack.aws("sqs").send_message(QueueUrl=stack.outputs[queue], MessageBody=mark)
    assert eventually(lambda: dead_letters(stack, queue, mark), bool, "dead letter")
    # Each of the four queues is asked once; then the command, which has the dead letter, waits.
    aws.set("ReceiveMessage", "hang", after=4)
    env = environment(**stack.env | {"AWS_ENDPOINT_URL": aws.endpoint})
    command = [str(CLI), "dead-letters", "list", "--json"]
    with dead_letters_lock(), subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        # Only then has it the answer to the first call of this queue.
        url = stack.outputs[queue].encode()
        eventually(lambda: [it for it in aws.hung if url in it], bool, "second call")
        process.send_signal(end)
        assert process.wait(10) == code
    [dead_letter] = eventually(lambda: dead_letters(stack, queue, mark), bool, "dead letter", seconds)
    assert stack.cli("dead-letters", "drop", dead_letter["MessageId"]).returncode == 0


def test_dead_letters_stay_hidden_for_as_long_as_somebody_reads_them(stack, aws):
    mark = f'{{"looked at": "{uuid.uuid4()}"}}'
    queue = "DeadDeliveriesQueueUrl"
    stack.aws("sqs").send_message(QueueUrl=stack.outputs[queue], MessageBody=mark)
    assert eventually(lambda: dead_letters(stack, queue, mark), bool, "dead letter")
    aws.set("ReceiveMessage", "hang", after=4)
    env = environment(**stack.env | {"AWS_ENDPOINT_URL": aws.endpoint})
    with dead_letters_lock(), subprocess.Popen([str(CLI), "dead-letters", "list"], env=env) as process:
        eventually(lambda: aws.calls["ChangeMessageVisibilityBatch"], bool, "second hiding", 20)
        assert b'"VisibilityTimeout":30' in aws.last["ChangeMessageVisibilityBatch"]
        process.send_signal(signal.SIGINT)
    [dead_letter] = eventually(lambda: dead_letters(stack, queue, mark), bool, "dead letter", 5)
    assert stack.cli("dead-letters", "drop", dead_letter["MessageId"]).returncode == 0


@pytest.mark.parametrize("command", ["redrive", "drop"])
def test_to_mean_all_one_has_to_say_so(stack, command):
    done = stack.cli("dead-letters", command)
    assert done.returncode == 1
    assert "--all" in done.stderr


def test_what_is_no_dead_letter(stack):
    done = stack.cli("dead-letters", "show", "nothing")
    assert (done.returncode, done.stderr.strip()) == (1, "bellwire: there is no dead letter nothing")
    assert stack.cli("dead-letters", "list", "--older-than", "yesterday").returncode == 2


def test_a_malformed_message_is_dead_lettered_and_holds_nothing_up(streams, stack, receiver):
    topic = streams.topic()
    streams.subscribe(topic, receiver.url)
    sqs, marks = stack.aws("sqs"), {}
    for name in ("Deliveries", "FanOuts", "Publications"):
        marks[name] = f'{{"malformed": "{topic} {name}"}}'
        group = {"MessageGroupId": topic, "MessageDeduplicationId": topic} if name == "Publications" else {}
        sqs.send_message(QueueUrl=stack.outputs[f"{name}QueueUrl"], MessageBody=marks[name], **group)
    streams.publish(topic, "behind it")
    assert bodies(receiver, 1) == ["behind it"]

    ids = []
    for name, mark in marks.items():
        [found] = eventually(partial(dead_letters, stack, f"Dead{name}QueueUrl", mark), bool, f"dead letter of {name}")
        ids.append(found["MessageId"])
    by_queue = {it["queue"]: it for it in listed(stack) if it["id"] in ids}
    assert set(by_queue) == {"deliveries", "fan-outs", "publications"}
    for dead_letter in by_queue.values():
        assert dead_letter["what"] == "malformed" and dead_letter["reason"].startswith("malformed message: ")
    assert json.loads(stack.cli("dead-letters", "drop", *ids, "--json").stdout) == {"dropped": 3}


@pytest.mark.parametrize("payload", ["event", "snapshot"])
def test_a_late_retry_is_left_to_the_scheduler(streams, stack, payload):
    busy = [Answer(503, {"Retry-After": "7200"})]
    with Receiver(answer=lambda _: busy.pop() if busy else Answer()) as receiver:
        topic = streams.topic(payload)
        subscription = streams.subscribe(topic, receiver.url)
        before = datetime.now(UTC)
        streams.publish(topic, {"n": 1})
        scheduler, group = stack.aws("scheduler"), stack.outputs["ScheduleGroup"]

        def scheduled() -> list[dict]:
            names = [it["Name"] for it in scheduler.list_schedules(GroupName=group)["Schedules"]]
            found = [scheduler.get_schedule(GroupName=group, Name=name) for name in names]
            return [it for it in found if subscription["id"] in it["Target"]["Input"]]

        [schedule] = eventually(scheduled, bool, "schedule")
        at = datetime.fromisoformat(schedule["ScheduleExpression"].removeprefix("at(").removesuffix(")") + "+00:00")
        assert timedelta(minutes=119) < at - before < timedelta(minutes=121)
        assert schedule["ActionAfterCompletion"] == "DELETE"
        # By which SQS is fair between clients.
        assert json.loads(schedule["Target"]["Input"])["MessageGroupId"] == streams.subscriber.client_id
        # Two hours later.
        scheduler.update_schedule(
            GroupName=group,
            Name=schedule["Name"],
            ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow=schedule["FlexibleTimeWindow"],
            Target=schedule["Target"],
            ActionAfterCompletion="DELETE",
        )
        second = receiver.wait_for(is_streams, 2, seconds=60)[1]
        assert (second.json(), second.headers["x-bellwire-attempt"]) == ({"n": 1}, "2")
        eventually(scheduled, lambda it: not it, "removal")


def test_a_retry_that_scheduler_could_not_send_is_redriven(streams, stack, receiver):
    # As Scheduler puts it among the dead letters: the call that it would have made.
    subscription = streams.subscribe(streams.topic(), receiver.url)
    retry = delivery(subscription, event({"n": 1}), streams.subscriber.client_id)
    call = {
        "QueueUrl": stack.outputs["DeliveriesQueueUrl"].replace("Deliveries", "Retries"),
        "MessageBody": json.dumps(retry),
        "MessageGroupId": streams.subscriber.client_id,
    }
    stack.aws("sqs").send_message(QueueUrl=stack.outputs["DeadDeliveriesQueueUrl"], MessageBody=json.dumps(call))
    [dead_letter] = eventually(
        lambda: dead_letters(stack, "DeadDeliveriesQueueUrl", subscription["id"]), bool, "dead letter"
    )
    [entry] = [it for it in listed(stack) if it["id"] == dead_letter["MessageId"]]
    assert entry["subscription"] == subscription["id"]
    assert json.loads(stack.cli("dead-letters", "redrive", dead_letter["MessageId"], "--json").stdout) == {
        "redriven": 1
    }
    [arrival] = receiver.wait_for(is_streams)
    assert arrival.json() == {"n": 1}


def test_an_event_that_eventbridge_could_not_hand_over_is_redriven_as_the_rule_would_have_it(stack, entities, receiver):
    # As EventBridge puts it among the dead letters: the event itself, and not what the rule makes of it.
    key = new_key()
    entities.customer.create_subscription(key, f"{receiver.url}/hook")
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Entity Event",
        "source": "bellwire.entities",
        "account": "123456789012",
        "time": "2026-11-24T08:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": entity_event(key, entities.client),
    }
    stack.aws("sqs").send_message(QueueUrl=stack.outputs["DeadFanOutsQueueUrl"], MessageBody=json.dumps(event))
    [dead_letter] = eventually(lambda: dead_letters(stack, "DeadFanOutsQueueUrl", key), bool, "dead letter")
    [entry] = [it for it in listed(stack) if it["id"] == dead_letter["MessageId"]]
    assert entry["what"] == f"entity event {event['id']}"
    assert json.loads(stack.cli("dead-letters", "redrive", dead_letter["MessageId"], "--json").stdout) == {
        "redriven": 1
    }
    [arrival] = receiver.wait_for(lambda it: it.path == "/hook")
    assert arrival.json()["entity_key"] == key


def test_a_failed_completion_is_processed_again_by_its_function(stack, publisher, client):
    query = new_query()
    stack.register(publisher, query, client)
    event = completion(query, "SUCCEEDED")
    # As Lambda writes it of an invocation that failed.
    record = {"version": "1.0", "requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event}
    url = stack.outputs["FailedCompletionsQueueUrl"]
    message = stack.aws("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(record))["MessageId"]
    [shown] = eventually(lambda: [it for it in listed(stack) if it["id"] == message], bool, "dead letter")
    assert (shown["queue"], shown["what"]) == ("completions", f"end of {query}")
    assert stack.cli("dead-letters", "redrive", message).returncode == 0
    answer = eventually(
        lambda: stack.call("GET", f"/v1/queries/{query}", client).json(),
        lambda it: it["Status"]["State"] == "SUCCEEDED",
        "the end of the query",
    )
    assert answer["QueryExecutionId"] == query
    assert [it for it in listed(stack) if it["id"] == message] == []


@pytest.mark.parametrize(
    ("output", "queue", "reason"),
    [
        ("UndeliveredQueueUrl", "notifications", "SNS can't send a notification again"),
        ("FailedCountsQueueUrl", "counts", "it says where in the stream"),
    ],
)
def test_what_has_no_way_back_stays_until_it_is_dropped(stack, output, queue, reason):
    body = json.dumps({"status": "SUCCEEDED", "QueryExecutionId": str(uuid.uuid4())})
    message = stack.aws("sqs").send_message(QueueUrl=stack.outputs[output], MessageBody=body)["MessageId"]
    [shown] = eventually(lambda: [it for it in listed(stack) if it["id"] == message], bool, "dead letter")
    assert shown["queue"] == queue
    done = stack.cli("dead-letters", "redrive", message)
    assert (done.returncode, reason in done.stderr) == (1, True)
    assert [it["id"] for it in listed(stack) if it["id"] == message] == [message]
    assert stack.cli("dead-letters", "drop", message).returncode == 0
    assert [it for it in listed(stack) if it["id"] == message] == []
