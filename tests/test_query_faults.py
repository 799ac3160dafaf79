"""AWS throttles, refuses or breaks off while a query is registered or its end is announced: its owner is notified,
once where that can be promised, by the same call or event again.
"""

import pytest
from conftest import completion, dead_letter, is_notification, new_query
from faults import FAULTS, denied, is_internal_error
from runtime_api import Function, api_event


@pytest.fixture
def queries(stack, aws):
    with Function(stack, "QueriesFunction", aws.endpoint) as function:
        yield function


@pytest.fixture
def query_completion(stack, aws):
    with Function(stack, "QueryCompletionFunction", aws.endpoint) as function:
        yield function


@pytest.mark.parametrize("fault", FAULTS)
def test_registering_a_query_when_dynamodb_fails(stack, client, publisher, receiver, aws, queries, fault):
    stack.confirmed(client, receiver)
    query = new_query()
    body = {"QueryExecutionId": query, "client_id": client.client_id}
    request = api_event("POST", "/v1/queries", publisher, body)
    aws.set("UpdateItem", fault)
    assert is_internal_error(queries.invoke(request), queries)
    aws.heal()
    assert queries.invoke(request).status == 200
    stack.complete(query)
    assert len(receiver.wait_for(is_notification)) == 1


@pytest.mark.parametrize("fault", ["throttle", "refuse"])
def test_a_late_owner_whose_notification_fails_is_notified_on_repetition(
    stack, client, publisher, receiver, aws, queries, fault
):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.complete(query)
    request = api_event("POST", "/v1/queries", publisher, {"QueryExecutionId": query, "client_id": client.client_id})
    aws.set("Publish", fault)
    assert is_internal_error(queries.invoke(request), queries)
    assert receiver.matching(is_notification) == []
    aws.heal()
    assert queries.invoke(request).status == 200
    [notification] = receiver.wait_for(is_notification)
    assert notification.json()["QueryExecutionId"] == query
    assert queries.invoke(request).status == 200
    assert len(receiver.matching(is_notification)) == 1


@pytest.mark.parametrize("operation", ["UpdateItem", "Publish"])
@pytest.mark.parametrize("fault", ["throttle", "refuse"])
def test_a_completion_that_fails_is_an_error_of_the_function_and_made_good_by_its_repetition(
    stack, client, publisher, receiver, aws, query_completion, operation, fault
):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    event = completion(query, "SUCCEEDED")
    aws.set(operation, fault)
    assert query_completion.invoke(event).failed
    assert any(line["level"] == "ERROR" for line in query_completion.log_lines())
    assert receiver.matching(is_notification) == []
    aws.heal()
    for _ in range(3):
        assert not query_completion.invoke(event).failed
    assert len(receiver.wait_for(is_notification)) == 1


def test_short_throttling_is_not_noticed(stack, client, publisher, receiver, aws, query_completion):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    for operation in ("UpdateItem", "Publish"):
        aws.set(operation, "throttle", times=1)
    assert not query_completion.invoke(completion(query, "SUCCEEDED")).failed
    assert len(receiver.wait_for(is_notification)) == 1
    assert aws.calls["Publish"] == 2


def test_a_publication_whose_answer_is_lost_is_sent_again(stack, client, publisher, receiver, aws, query_completion):
    # The one case in which an owner is notified twice: SNS accepted, and the answer was lost.
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    aws.set("Publish", "break off", times=1)
    assert not query_completion.invoke(completion(query, "SUCCEEDED")).failed
    assert aws.calls["Publish"] == 2
    assert len(receiver.wait_for(is_notification, 2)) == 2


def test_a_function_that_dies_while_it_publishes_keeps_its_lease(
    stack, client, publisher, receiver, aws, query_completion
):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    event = completion(query, "SUCCEEDED")
    # The first update is the fact; on the second, the mark, the function hangs, and is killed.
    aws.set("UpdateItem", "hang", after=1)
    query_completion.send(event)
    receiver.wait_for(is_notification)
    query_completion.kill()
    # While the lease lasts, nobody publishes in the place of the function that died.
    error = stack.play(event)
    assert error is not None and "holds the lease" in error
    assert len(receiver.matching(is_notification)) == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mark_that_can_not_be_set_is_no_second_notification(
    stack, client, publisher, receiver, aws, query_completion, fault
):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    aws.set("UpdateItem", fault, after=1)
    # To fail would be to have it published again by Lambda's repetition.
    assert not query_completion.invoke(completion(query, "SUCCEEDED")).failed
    [error] = [line for line in query_completion.log_lines() if line["level"] == "ERROR"]
    assert "could not be marked" in error["message"] and error["query"] == query
    assert len(receiver.wait_for(is_notification)) == 1


def test_a_publication_that_is_refused_ends_in_the_dead_letter_queue(stack, client, publisher, receiver):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    event = completion(query, "SUCCEEDED")
    with denied(stack, "QueryCompletionRole", "sns:Publish", client):
        stack.play(event, "Event")
        dead = dead_letter(stack, event["id"])
    assert "SNS" in dead["responsePayload"]["errorMessage"]
    # When it is played again, the owner is notified.
    assert stack.play(dead["requestPayload"]) is None
    assert len(receiver.wait_for(is_notification)) == 1
