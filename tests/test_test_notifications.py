"""`/v1/publish`, a test notification to the URLs that are confirmed, and `/v1/hello`."""

import json
import re
import uuid

import pytest
from conftest import is_notification, new_query, role_credentials
from running import Running

TIME_COMPLETED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")


def publish(stack, client, **how):
    return stack.call("POST", "/v1/publish", client, **({"json": {}} | how))


def of_path(path: str):
    return lambda it: is_notification(it) and it.path == path


@pytest.mark.parametrize("statuses", [["SUCCEEDED"], ["FAILED"], ["CANCELLED"], ["FAILED", "CANCELLED"]])
def test_it_arrives_whatever_the_url_is_notified_of(stack, client, receiver, statuses):
    stack.confirmed(client, receiver, statuses=statuses)
    answer = publish(stack, client)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.pop("message") and body == {"published": 1}
    [arrival] = receiver.wait_for(is_notification)
    notification = arrival.json()
    assert notification.pop("status") == "TEST"
    assert TIME_COMPLETED.fullmatch(notification.pop("time_completed"))
    query = notification.pop("QueryExecutionId")
    assert str(uuid.UUID(query)) == query
    assert notification == {}
    # It is of no query, and leaves none on record.
    assert Running(stack, client).listed()["query_executions"] == []
    assert stack.call("GET", f"/v1/queries/{query}", client).status_code == 404


def test_it_comes_in_the_format_of_the_url(stack, client, receiver):
    stack.confirmed(client, receiver, "/raw")
    stack.confirmed(client, receiver, "/envelope", format="envelope")
    assert publish(stack, client).json()["published"] == 2
    [raw] = receiver.wait_for(of_path("/raw"))
    [envelope] = receiver.wait_for(of_path("/envelope"))
    assert json.loads(envelope.json()["Message"]) == raw.json()


def test_urls_that_wait_and_those_of_others_get_nothing(stack, client, other_client, publisher, receiver):
    stack.confirmed(client, receiver, "/confirmed")
    stack.subscribe(client, f"{receiver.url}/pending")
    stack.confirmed(other_client, receiver, "/other")
    assert publish(stack, client).json()["published"] == 1
    receiver.wait_for(of_path("/confirmed"))
    # Something later arrives there, and there is nothing in between.
    query = new_query()
    stack.register(publisher, query, other_client)
    stack.complete(query)
    [arrival] = receiver.wait_for(of_path("/other"))
    assert arrival.json()["QueryExecutionId"] == query
    assert not receiver.matching(of_path("/pending"))


def test_each_request_sends_one(stack, client, receiver):
    stack.confirmed(client, receiver)
    bodies: list[dict] = [{"json": {}}, {"json": None}, {"data": b""}]
    for body in bodies:
        assert publish(stack, client, **body).status_code == 200
    arrivals = receiver.wait_for(is_notification, 3)
    assert len({it.json()["QueryExecutionId"] for it in arrivals}) == 3


def test_without_a_confirmed_url_it_is_a_conflict(stack, client, receiver):
    for prepare in (
        lambda: None,
        lambda: stack.subscribe(client, f"{receiver.url}/pending"),
        lambda: stack.unsubscribe(client, stack.confirmed(client, receiver, "/ended")),
    ):
        prepare()
        refused = publish(stack, client)
        assert refused.status_code == 409
        assert "confirmed" in refused.json()["message"]
    assert not receiver.matching(is_notification)


def test_the_function_can_publish_to_topics_of_clients_alone(stack):
    sns = stack.aws("sns", role_credentials(stack, "SubscribeRole"))
    other = stack.aws("sns").create_topic(Name=f"other-{uuid.uuid4()}")["TopicArn"]
    try:
        with pytest.raises(sns.exceptions.AuthorizationErrorException):
            sns.publish(TopicArn=other, Message="{}")
    finally:
        stack.aws("sns").delete_topic(TopicArn=other)


def test_a_key_is_greeted_with_its_client(stack, client, publisher):
    for it in (client, publisher):
        answer = stack.call("GET", "/v1/hello", it)
        assert (answer.status_code, answer.json()) == (200, {"message": "hello", "client_id": it.client_id})
