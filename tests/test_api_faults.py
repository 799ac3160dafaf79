"""AWS throttles, refuses or breaks off behind a call about topics, publications or subscriptions to them: what was
accepted is delivered, and what was refused may be asked for again.
"""

import pytest
from conftest import new_query
from faults import FAULTS, is_internal_error
from publications import wait_for_version
from runtime_api import Function, api_event
from streams import bodies, is_streams


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


@pytest.mark.parametrize("fault", ["throttle", "refuse"])
def test_a_topic_that_can_not_be_written_is_not_there_and_its_name_is_free(stack, publisher, aws, fault):
    body = {
        "name": f"test-{new_query()}",
        "publisher": {"type": "http-post", "payload": {"type": "event"}},
    }
    with Function(stack, "TopicsFunction", aws.endpoint) as topics:
        aws.set("TransactWriteItems", fault)
        assert is_internal_error(topics.invoke(api_event("POST", "/topics", publisher, body)), topics)
        aws.heal()
        listed = stack.call("GET", "/topics", publisher, params={"search": f"name:{body['name']}"})
        assert listed.json()["items"] == []
        made = topics.invoke(api_event("POST", "/topics", publisher, body))
    assert made.status == 201
    stack.topics.append(made.body["id"])
