"""Requests that create something, repeated under the same `Idempotency-Key`."""

import uuid

import pytest
from conftest import at_once
from entities import new_key
from fault_proxy import FaultProxy
from runtime_api import Function, api_event
from streams import bodies, definition, event_type, is_streams


def keyed(key: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid.uuid4())}


def subscribe(streams, topic: str, url: str, headers: dict[str, str], client=None):
    path = f"/subscribers/webhook/topics/{topic}/subscriptions"
    answer = streams.stack.call(
        "POST", path, client or streams.subscriber, json={"webhookUrl": url}, headers=dict(headers)
    )
    if answer.status_code == 201:
        streams.stack.subscriptions_made.append((client or streams.subscriber, answer.json()["id"]))
    return answer


def listed(streams, topic: str) -> list[dict]:
    path = f"/subscribers/webhook/topics/{topic}/subscriptions"
    return streams.stack.call("GET", path, streams.subscriber).json()["items"]


def test_a_subscription_is_made_once_and_its_secret_returned_again(streams, receiver):
    topic, headers = streams.topic(), keyed()
    first, again = (subscribe(streams, topic, receiver.url, headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["secret"].startswith("whsec_")
    assert again.json() == first.json()
    assert again.headers["content-type"] == "application/json"
    assert [it["id"] for it in listed(streams, topic)] == [first.json()["id"]]
    # Without a key, or with another one, it is another subscription.
    others = [subscribe(streams, topic, receiver.url, how).json()["id"] for how in ({}, {}, keyed())]
    assert len({first.json()["id"], *others}) == 4


def test_another_request_with_the_same_key_is_a_conflict(streams, stack, receiver):
    topic, headers = streams.topic(), keyed()
    made = subscribe(streams, topic, receiver.url, headers).json()
    # Another body, another path.
    for other_topic, url in [(topic, f"{receiver.url}/other"), (streams.topic(), receiver.url)]:
        answer = subscribe(streams, other_topic, url, headers)
        assert answer.status_code == 409
        assert answer.json()["field"] == "Idempotency-Key"
    assert [it["id"] for it in listed(streams, topic)] == [made["id"]]
    # Keys are each client's own.
    assert subscribe(streams, topic, receiver.url, headers, stack.new_client()).status_code == 201


def test_a_request_that_failed_may_be_put_right_under_its_key(streams, receiver):
    topic, headers = streams.topic(), keyed()
    assert subscribe(streams, topic, "no URL", headers).status_code == 400
    assert subscribe(streams, topic, receiver.url, headers).status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256, "ü"])
def test_a_key_that_is_none(streams, receiver, key):
    answer = subscribe(streams, streams.topic(), receiver.url, {"Idempotency-Key": key.encode()})
    assert answer.status_code == 400
    assert answer.json()["field"] == "Idempotency-Key"


def test_the_same_request_many_times_at_once_makes_one(streams, receiver):
    topic, headers = streams.topic(), keyed()
    answers = at_once(*[lambda: subscribe(streams, topic, receiver.url, headers)] * 6)
    assert {it.status_code for it in answers} == {201}
    assert len({it.text for it in answers}) == 1
    assert len(listed(streams, topic)) == 1


def test_what_was_cut_off_after_the_subscription_was_made_is_made_good(streams, stack, aws, receiver):
    topic = streams.topic("snapshot")
    streams.publish(topic, {"n": 1})
    first = streams.subscribe(topic, f"{receiver.url}/first")
    receiver.wait_for(is_streams)
    body = {"webhookUrl": f"{receiver.url}/second"}
    path = f"/subscribers/webhook/topics/{topic}/subscriptions"
    request = api_event("POST", path, streams.subscriber, body, topicId=topic)
    request["headers"] |= keyed()
    request["multiValueHeaders"] = {name: [value] for name, value in request["headers"].items()}
    with Function(stack, "WebhookSubscriptionsFunction", aws.endpoint) as function:
        aws.set("SendMessage", "refuse")
        assert function.invoke(request).status == 500
        aws.heal()
        answer = function.invoke(request)
    assert answer.status == 201
    ids = {it["id"] for it in listed(streams, topic)}
    assert ids == {first["id"], answer.body["id"]}
    streams.stack.subscriptions_made.append((streams.subscriber, answer.body["id"]))
    assert bodies(receiver, 1, "/second") == [{"n": 1}]


def test_a_subscription_to_a_topic_that_is_deleted_meanwhile_is_not_made(streams, stack, receiver):
    topic = streams.topic("snapshot")
    body = {"webhookUrl": receiver.url}
    path = f"/subscribers/webhook/topics/{topic}/subscriptions"
    request = api_event("POST", path, streams.subscriber, body, topicId=topic)
    deleted: list[int] = []

    class Between(FaultProxy):
        def _fault(self, operation: str) -> str | None:
            # After the topic was read.
            if operation == "TransactWriteItems" and not deleted:
                deleted.append(stack.call("DELETE", f"/topics/{topic}", streams.publisher).status_code)
            return super()._fault(operation)

    with (
        Between(stack.env["AWS_ENDPOINT_URL"]) as aws,
        Function(stack, "WebhookSubscriptionsFunction", aws.endpoint) as function,
    ):
        answer = function.invoke(request)
    assert deleted == [204]
    assert (answer.status, answer.body["message"]) == (404, "there is no such topic")


def test_a_topic_is_made_once(streams, stack):
    headers, body = keyed(), definition()
    answers = [stack.call("POST", "/topics", streams.publisher, json=body, headers=dict(headers)) for _ in range(2)]
    stack.topics.append(answers[0].json()["id"])
    assert [it.status_code for it in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    # Its name is taken for everybody else.
    assert stack.call("POST", "/topics", streams.publisher, json=body, headers=keyed()).status_code == 409
    changed = body | {"name": f"{body['name']}-2"}
    refused = stack.call("POST", "/topics", streams.publisher, json=changed, headers=dict(headers))
    assert (refused.status_code, refused.json()["field"]) == (409, "Idempotency-Key")


def test_a_secret_is_rotated_once(streams, receiver):
    subscription, headers = streams.subscribe(streams.topic(), receiver.url), keyed()
    first, again = (streams.on(subscription, "secret/rotate", headers=dict(headers)) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json() and first.json()["secret"] != subscription["secret"]
    secrets = streams.stored_item(subscription)["secrets"]["M"]
    assert secrets["current"]["S"] == first.json()["secret"]
    assert secrets["previous"]["M"]["secret"]["S"] == subscription["secret"] and "earlier" not in secrets


def test_a_test_is_sent_once(streams, receiver):
    subscription, headers = streams.subscribe(streams.topic(), receiver.url), keyed()
    how = {"json": {"hello": "world"}}
    first, again = (streams.on(subscription, "test", headers=dict(headers), **how) for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    streams.on(subscription, "test", json={"hello": "again"})
    arrived = receiver.wait_for(is_streams, 2)
    assert sorted(str(it.json()) for it in arrived) == ["{'hello': 'again'}", "{'hello': 'world'}"]
    assert [event_type(it) for it in arrived] == ["event", "event"]


def test_a_replay_is_begun_once(streams, receiver):
    subscription, headers = streams.subscribe(streams.topic(), receiver.url), keyed()
    how = {"json": {"start": "2026-01-01T00:00:00Z"}}
    first, again = (streams.on(subscription, "replay", headers=dict(headers), **how) for _ in range(2))
    assert first.status_code == again.status_code == 202
    # Without an end it would be a moment later.
    assert first.json() == again.json()


def test_an_entity_subscription_returns_its_secret_again(entities, stack):
    request, headers = entities.create_request(), keyed()
    answers = [stack.call("POST", "/subscriptions", json=request, headers=dict(headers)) for _ in range(2)]
    assert [it.status_code for it in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    made = answers[0].json()["data"]["subscription"]
    assert made["secret"].startswith("whsec_")
    other = request | {"subscription": request["subscription"] | {"entity_key": new_key()}}
    refused = stack.call("POST", "/subscriptions", json=other, headers=dict(headers))
    assert refused.status_code == refused.json()["status"]["status_code"] == 409
    rotated = [
        stack.call(
            "POST",
            f"/subscriptions/{made['key']}/secret/rotate",
            json=entities.customer.credentials,
            headers=dict(rotation),
        )
        for rotation in [keyed("rotate")] * 2
    ]
    assert [it.status_code for it in rotated] == [200, 200]
    assert rotated[0].json() == rotated[1].json()
    assert rotated[0].json()["data"]["subscription"]["secret"] != made["secret"]


def test_a_query_runs_once(running):
    headers, sql = keyed(), "SELECT 1"
    how = {"json": {"QueryString": sql}}
    first, again = (
        running.stack.call("POST", "/v1/queries", running.client, headers=dict(headers), **how) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    other = {"json": {"QueryString": "SELECT 2"}}
    refused = running.stack.call("POST", "/v1/queries", running.client, headers=dict(headers), **other)
    assert (refused.status_code, refused.json()["field"]) == (409, "Idempotency-Key")
