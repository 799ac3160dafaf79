"""Entity subscriptions when AWS throttles, refuses or breaks off in the middle, and when a
step is repeated: nothing is lost, and nothing is delivered twice."""

import pytest
from conftest import Client
from entities import entity_event, new_key
from faults import FAULTS
from messages import now
from receiver import Answer, Receiver
from runtime_api import Function, api_event, failures, sqs_event
from streams import eventually
from test_entities import is_callback, log_of


@pytest.fixture
def function(stack, aws):
    with Function(stack, "EntitySubscriptionsFunction", aws.endpoint) as function:
        yield function


@pytest.fixture
def fanout(stack, aws):
    with Function(stack, "FanoutFunction", aws.endpoint) as function:
        yield function


def query(entities, method: str, path: str, **parameters: str) -> dict:
    event = api_event(method, path, entities.client)
    parameters = entities.customer.credentials | parameters
    event["queryStringParameters"] = parameters
    event["multiValueQueryStringParameters"] = {name: [value] for name, value in parameters.items()}
    return event


def is_internal_error(invocation) -> bool:
    status = invocation.body["status"]
    return invocation.status == status["status_code"] == 500 and bool(status["request_id"])


@pytest.mark.parametrize("fault", FAULTS)
def test_subscribing_that_fails_is_made_good_by_the_same_request(entities, function, aws, fault):
    request = entities.create_request()
    event = api_event("POST", "/subscriptions", entities.client, request)
    aws.set("TransactWriteItems", fault)
    answer = function.invoke(event)
    # What was written is found when the write's answer is lost.
    assert answer.status == 200 if fault == "break off" else is_internal_error(answer)
    aws.heal()
    again = function.invoke(event)
    assert again.status == 200
    key = again.body["data"]["subscription"]["key"]
    assert [it["key"] for it in entities.customer.get_subscriptions()] == [key]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", ["GetItem", "Query"])
def test_a_read_that_fails_is_an_error_of_ours(entities, function, aws, operation, fault):
    made = entities.customer.create_subscription(new_key(), "https://example.com/")
    aws.set(operation, fault)
    assert is_internal_error(function.invoke(query(entities, "GET", "/subscriptions")))
    aws.heal()
    answer = function.invoke(query(entities, "GET", "/subscriptions"))
    assert [it["key"] for it in answer.body["data"]["subscriptions"]] == [made["key"]]


def test_unsubscribing_an_entity_that_breaks_off_half_way_is_made_good(entities, function, aws):
    key = new_key()
    for n in range(6):
        entities.customer.create_subscription(key, f"https://example.com/{n}")
    aws.set("TransactWriteItems", "refuse", after=3)
    event = query(entities, "DELETE", "/subscriptions", entity_key=key)
    assert is_internal_error(function.invoke(event))
    assert 0 < len(entities.customer.get_subscriptions(key)) < 6
    aws.heal()
    assert function.invoke(event).status == 200
    assert entities.customer.get_subscriptions(key) == []
    assert function.invoke(event).status == 404


@pytest.mark.parametrize("fault", FAULTS)
def test_an_event_that_was_not_accepted_is_a_5xx(entities, stack, publisher, aws, receiver, fault):
    key = new_key()
    made = entities.customer.create_subscription(key, receiver.url)
    with Function(stack, "EntityEventsFunction", aws.endpoint) as entity_events:
        event = api_event("POST", "/entities/events", publisher, entity_event(key, entities.client))
        event["headers"]["Idempotency-Key"] = "k1"
        event["multiValueHeaders"]["Idempotency-Key"] = ["k1"]
        # It is on record, and can neither be fanned out nor left to another function.
        for operation in ("SendMessage", "SendMessageBatch"):
            aws.set(operation, fault)
        assert is_internal_error(entity_events.invoke(event))
        aws.heal()
        if fault == "break off":
            receiver.wait_for(is_callback)
            log_of(entities, made, 1)
        assert entity_events.invoke(event).status == 202
    receiver.wait_for(is_callback)
    entities.publish(key, event="final_document_generated")
    receiver.wait_for(lambda it: b"final" in it.body)
    # What was sent twice by functions that ran at once has the same id.
    assert len({it.headers["webhook-id"] for it in receiver.arrivals}) == 2


def message(entity_key: str, *clients: Client, event_id: str) -> dict:
    event = entity_event(entity_key, *clients)
    return {"entity": {"event_id": event_id, "accepted_at": now(), "event": event}}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fan_out_that_fails_half_way_is_repeated_and_delivers_nothing_twice(
    entities, other_client, fanout, aws, receiver, fault
):
    key = new_key()
    made = [
        entities.of(client).create_subscription(key, f"{receiver.url}/{n}")
        for n, client in enumerate((entities.client, other_client))
    ]
    message_of_both = sqs_event(message(key, entities.client, other_client, event_id=new_key()))
    [message_id] = [record["messageId"] for record in message_of_both["Records"]]
    aws.set("SendMessageBatch", fault, after=1)
    assert failures(fanout.invoke(message_of_both)) == [message_id]
    receiver.wait_for(is_callback)
    aws.heal()
    # Each subscription that received the event has it on record before the repetition.
    deliveries = 2 if fault == "break off" else 1
    eventually(
        lambda: sum(
            len(entities.of(client).callback_log(it["key"]))
            for it, client in zip(made, (entities.client, other_client), strict=True)
        ),
        lambda count: count == deliveries,
        "record",
    )
    assert failures(fanout.invoke(message_of_both)) == []
    receiver.wait_for(is_callback, 2)
    log_of(entities, made[0], 1)
    assert sorted(it.path for it in receiver.arrivals) == ["/0", "/1"]


def test_an_event_that_comes_twice_is_delivered_once(entities, fanout, receiver):
    key = new_key()
    made = entities.customer.create_subscription(key, receiver.url)
    it = sqs_event(message(key, entities.client, event_id=new_key()))
    assert failures(fanout.invoke(it)) == []
    log_of(entities, made, 1)
    assert failures(fanout.invoke(it)) == []
    entities.publish(key, event="final_document_generated")
    receiver.wait_for(lambda arrival: b"final" in arrival.body)
    log_of(entities, made, 2)
    assert len(receiver.arrivals) == 2


def test_a_retry_finds_a_subscription_that_is_gone(entities):
    with Receiver(answer=lambda _: Answer(500)) as receiver:
        key = new_key()
        made = entities.customer.create_subscription(key, receiver.url)
        entities.publish(key)
        receiver.wait_for(is_callback)
        entities.customer.unsubscribe(made["key"])
        other = entities.customer.create_subscription(key, f"{receiver.url}/other")
        receiver.answer = lambda _: Answer()
        entities.publish(key)
        log_of(entities, other, 1)
        assert entities.call("GET", f"/subscriptions/{made['key']}/callbacks").status_code == 404


@pytest.mark.parametrize("client_id", ["an existing one", "cl_bbbbbbbbbbbbbbbbbbbbbbbb", "nobody", "", "x" * 3000])
def test_a_refusal_costs_the_same_whether_or_not_the_client_exists(entities, function, aws, client_id):
    """The same calls of AWS: one read of the table."""
    wrong = {"client_secret": "wrong"} | ({} if client_id == "an existing one" else {"client_id": client_id})
    assert function.invoke(query(entities, "GET", "/subscriptions", **wrong)).status == 401
    assert dict(aws.calls) == {"GetItem": 1}
