"""From Athena's event to the customer's endpoint."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Receiver, completion, dead_letter, is_notification, new_query


def settled(stack, client, publisher, receiver: Receiver) -> list[dict]:
    """The notifications so far, after a last one of a query that was made for it has arrived."""
    query = new_query()
    stack.register(publisher, query, client)
    stack.complete(query)
    receiver.wait_for(lambda it: is_notification(it) and query in it.body.decode())
    bodies = [it.json() for it in receiver.matching(is_notification)]
    return [body for body in bodies if body["QueryExecutionId"] != query]


def test_the_owner_of_a_finished_query_is_notified(stack, client, publisher, receiver):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    stack.complete(query, at="2020-01-17T22:04:24Z")
    [notification] = receiver.wait_for(is_notification)
    # The body is the notification, and nothing around it.
    expected = f'{{"status":"SUCCEEDED","QueryExecutionId":"{query}","time_completed":"2020-01-17 22:04:24.000000"}}'
    assert notification.body.decode() == expected
    assert notification.path == "/callback"


def test_every_confirmed_url_of_the_owner_is_notified_and_nobody_else(stack, client, other_client, publisher, receiver):
    stack.confirmed(client, receiver, "/one")
    stack.confirmed(client, receiver, "/two")
    stack.confirmed(other_client, receiver, "/other")
    stack.subscribe(client, f"{receiver.url}/pending")
    query = new_query()
    stack.register(publisher, query, client)
    stack.complete(query)
    receiver.wait_for(is_notification, 2)
    theirs = new_query()
    stack.register(publisher, theirs, other_client)
    stack.complete(theirs)
    receiver.wait_for(is_notification, 3)
    notified = {(it.path, it.json()["QueryExecutionId"]) for it in receiver.matching(is_notification)}
    assert notified == {("/one", query), ("/two", query), ("/other", theirs)}


def test_an_event_before_the_owner_is_on_record_is_not_lost(stack, client, publisher, receiver):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.complete(query)
    assert settled(stack, client, publisher, receiver) == []
    stack.register(publisher, query, client)
    [body] = [it.json() for it in receiver.wait_for(lambda it: query in it.body.decode())]
    assert body["status"] == "SUCCEEDED"


def test_duplicate_events_are_notified_once(stack, client, publisher, receiver):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    event = completion(query, "SUCCEEDED")
    with ThreadPoolExecutor(8) as pool:
        errors = set(pool.map(stack.play, [event] * 16))
    # One that comes while another is publishing is sent back, to come again.
    assert all(error is None or "holds the lease" in error for error in errors)
    assert stack.play(event) is None
    assert [it["QueryExecutionId"] for it in settled(stack, client, publisher, receiver)] == [query]


def test_the_owner_and_the_end_at_once_are_notified_once(stack, client, publisher, receiver):
    stack.confirmed(client, receiver)
    queries = [new_query() for _ in range(12)]
    with ThreadPoolExecutor(4) as pool:
        for query in queries:
            pool.submit(stack.register, publisher, query, client)
            pool.submit(stack.play, completion(query, "SUCCEEDED"), "Event")
    receiver.wait_for(is_notification, len(queries))
    notified = [it["QueryExecutionId"] for it in settled(stack, client, publisher, receiver)]
    assert sorted(notified) == sorted(queries)


def test_events_out_of_order_change_nothing(stack, client, publisher, receiver):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    stack.complete(query, "SUCCEEDED", sequence="3")
    stack.complete(query, "RUNNING", sequence="2")
    stack.complete(query, "QUEUED", sequence="1")
    assert len(settled(stack, client, publisher, receiver)) == 1
    view = stack.call("GET", f"/v1/queries/{query}", client).json()
    assert view["Status"]["State"] == "SUCCEEDED"


def test_progress_is_not_notified(stack, client, publisher, receiver):
    stack.confirmed(client, receiver, statuses=["SUCCEEDED", "FAILED", "CANCELLED"])
    query = new_query()
    stack.register(publisher, query, client)
    stack.complete(query, "QUEUED", sequence="1")
    stack.complete(query, "RUNNING", sequence="2")
    assert settled(stack, client, publisher, receiver) == []


def test_each_url_is_notified_of_the_outcomes_it_asked_for(stack, client, publisher, receiver):
    stack.confirmed(client, receiver, "/default")
    stack.confirmed(client, receiver, "/failures", statuses=["FAILED", "CANCELLED"])
    outcomes = {"SUCCEEDED": new_query(), "FAILED": new_query(), "CANCELLED": new_query()}
    for state, query in outcomes.items():
        stack.register(publisher, query, client)
        stack.complete(query, state, reason="no such table" if state == "FAILED" else None)
    arrived = receiver.wait_for(is_notification, 3)
    assert sorted((it.path, it.json()["status"]) for it in arrived) == [
        ("/default", "SUCCEEDED"),
        ("/failures", "CANCELLED"),
        ("/failures", "FAILED"),
    ]
    [failed] = [it.json() for it in arrived if it.json()["status"] == "FAILED"]
    assert failed == {
        "status": "FAILED",
        "QueryExecutionId": outcomes["FAILED"],
        "time_completed": "2020-01-17 22:04:24.000000",
        "state_change_reason": "no such table",
    }
    # Recorded for all, notified or not.
    for state, query in outcomes.items():
        assert stack.call("GET", f"/v1/queries/{query}", client).json()["Status"]["State"] == state


def test_an_envelope_holds_the_notification(stack, client, publisher, receiver):
    stack.confirmed(client, receiver, format="envelope")
    query = new_query()
    stack.register(publisher, query, client)
    stack.complete(query)
    [arrival] = receiver.wait_for(is_notification)
    envelope = arrival.json()
    assert envelope["Type"] == "Notification"
    assert json.loads(envelope["Message"])["QueryExecutionId"] == query
    assert {"Signature", "SigningCertURL", "MessageId", "TopicArn"} <= set(envelope)


def test_an_owner_who_never_subscribed_is_no_failure(stack, client, publisher):
    query = new_query()
    stack.register(publisher, query, client)
    stack.complete(query)
    assert stack.call("GET", f"/v1/queries/{query}", client).json()["Status"]["State"] == "SUCCEEDED"


@pytest.mark.parametrize(
    "path", [["time"], ["detail"], ["detail", "queryExecutionId"], ["detail", "currentState"], ["source"]]
)
def test_an_event_with_a_missing_field_is_an_error(stack, path):
    event = completion(new_query(), "SUCCEEDED")
    *parents, last = path
    inner = event
    for key in parents:
        inner = inner[key]
    del inner[last]
    error = stack.play(event)
    assert error is not None and last in error


def test_an_event_that_can_not_be_processed_ends_in_the_dead_letter_queue(stack):
    event = completion(new_query(), "SUCCEEDED")
    del event["detail"]["currentState"]
    stack.play(event, "Event")
    dead = dead_letter(stack, event["id"])
    assert dead["requestPayload"] == event
    assert "currentState" in dead["responsePayload"]["errorMessage"]
