"""`/v1/queries`: put on record by a publisher, shown to the owner."""

import re

import pytest
from conftest import at_once, is_notification, new_query

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def show(stack, client, query):
    return stack.call("GET", f"/v1/queries/{query}", client)


def test_a_publisher_puts_a_query_on_record_and_its_owner_sees_it(stack, client, publisher):
    query = new_query()
    answer = stack.register(publisher, query, client)
    assert (answer.status_code, answer.json()) == (200, {"QueryExecutionId": query})
    response = show(stack, client, query)
    assert response.status_code == 200
    body = response.json()
    assert TIMESTAMP.fullmatch(body["Status"].pop("SubmissionDateTime"))
    assert body == {"QueryExecutionId": query, "Status": {"State": "QUEUED"}}


def test_again_for_the_same_client_is_the_same_answer(stack, client, publisher):
    query = new_query()
    first, again = stack.register(publisher, query, client), stack.register(publisher, query, client)
    assert (first.status_code, first.json()) == (again.status_code, again.json())


def test_on_record_for_another_client_is_a_conflict(stack, client, other_client, publisher):
    query = new_query()
    stack.register(publisher, query, client)
    refused = stack.register(publisher, query, other_client)
    assert refused.status_code == 409
    assert "another client" in refused.json()["message"]
    assert show(stack, client, query).status_code == 200
    assert show(stack, other_client, query).status_code == 404


def test_somebody_elses_query_and_none_at_all_are_the_same_404(stack, client, other_client, publisher):
    query = new_query()
    stack.register(publisher, query, client)
    for stranger in (other_client, publisher):
        foreign, unknown = show(stack, stranger, query), show(stack, stranger, new_query())
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json()["message"] == unknown.json()["message"]


def test_a_subscriber_can_not_put_queries_on_record(stack, client):
    query = new_query()
    assert stack.register(client, query, client).status_code == 403
    assert show(stack, client, query).status_code == 404


def test_an_end_without_an_owner_is_nobodys_query(stack, client):
    query = new_query()
    stack.complete(query)
    assert show(stack, client, query).status_code == 404


def test_states_and_times_are_in_the_view(stack, client, publisher):
    query = new_query()
    stack.register(publisher, query, client)
    stack.complete(query, "RUNNING", sequence="2")
    assert show(stack, client, query).json()["Status"]["State"] == "RUNNING"
    stack.complete(query, "FAILED", at="2100-01-02T03:04:05Z", reason="no such table")
    status = show(stack, client, query).json()["Status"]
    del status["SubmissionDateTime"]
    assert status == {
        "State": "FAILED",
        "CompletionDateTime": "2100-01-02T03:04:05.000000Z",
        "StateChangeReason": "no such table",
        "Message": "no such table",
    }


def test_no_end_is_before_the_submission(stack, client, publisher):
    """A query that the provider puts on record only when it has ended."""
    query = new_query()
    stack.complete(query, at="2020-01-17T22:04:24Z")
    stack.register(publisher, query, client)
    status = show(stack, client, query).json()["Status"]
    assert status["State"] == "SUCCEEDED" and "Message" not in status
    assert status["CompletionDateTime"] == status["SubmissionDateTime"] > "2020-01-17T22:04:25"


def test_a_disabled_or_unknown_owner_is_refused(stack, client, publisher):
    assert stack.cli("clients", "disable", client.client_id).returncode == 0
    refused = stack.register(publisher, new_query(), client)
    assert (refused.status_code, refused.json()["field"]) == (400, "client_id")


@pytest.mark.parametrize("owner", ["", "nobody", "cl_bbbbbbbbbbbbbbbbbbbbbbbb", "x" * 3000])
def test_a_client_id_that_is_none(stack, publisher, owner):
    request = {"QueryExecutionId": new_query(), "client_id": owner}
    refused = stack.call("POST", "/v1/queries", publisher, json=request)
    assert (refused.status_code, refused.json()["field"]) == (400, "client_id")


@pytest.mark.parametrize("query", ["", "x" * 200, "a b", "a/b", "é"])
def test_an_id_that_is_none(stack, client, publisher, query):
    request = {"QueryExecutionId": query, "client_id": client.client_id}
    refused = stack.call("POST", "/v1/queries", publisher, json=request)
    assert (refused.status_code, refused.json()["field"]) == (400, "QueryExecutionId")


@pytest.mark.parametrize(("path", "status"), [("x" * 200, 400), ("a%20b", 400), ("a/b", 404)])
def test_a_path_that_names_no_query(stack, client, path, status):
    assert show(stack, client, path).status_code == status


def test_registering_at_once_for_two_clients_gives_it_to_one(stack, client, other_client, publisher, receiver):
    for it, path in ((client, "/a"), (other_client, "/b")):
        stack.confirmed(it, receiver, path)
    query = new_query()
    stack.complete(query)
    answers = at_once(
        *[lambda: stack.register(publisher, query, client)] * 3,
        *[lambda: stack.register(publisher, query, other_client)] * 3,
    )
    assert {it.status_code for it in answers} <= {200, 409, 503}
    receiver.wait_for(is_notification)
    owners = [it for it in (client, other_client) if show(stack, it, query).status_code == 200]
    assert len(owners) == 1
    assert len(receiver.matching(is_notification)) == 1
