"""Hourly counts of attempts, as they come from the stream of the attempts' table."""

import uuid

import pytest
from receiver import Answer
from streams import ago, eventually, is_streams


def stats(stack, path: str, client, **parameters: str) -> dict:
    answer = stack.call("GET", path, client, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def counted(found: dict) -> tuple[int, int, int]:
    return found["delivered"], found["failed"], found["retried"]


def test_attempts_are_counted_by_subscription_and_in_all(stack, streams, client, receiver):
    topic = streams.topic("event")
    first = streams.subscribe(topic, f"{receiver.url}/first", client)
    receiver.answer = lambda arrival: Answer(
        503 if arrival.path == "/second" and arrival.headers["x-bellwire-attempt"] == "1" else 200
    )
    second = streams.subscribe(topic, f"{receiver.url}/second", client)
    streams.publish(topic, {"n": 1})
    eventually(lambda: receiver.matching(is_streams), lambda got: len(got) == 3, "three attempts", 60)
    path = "/subscribers/webhook/subscriptions"
    of_second = eventually(
        lambda: stats(stack, f"{path}/{second['id']}/stats", client), lambda it: counted(it) == (1, 1, 1), "counts", 60
    )
    assert sum(bucket["count"] for bucket in of_second["latency"]["buckets"]) == 2
    assert counted(of_second["hours"][-1])[0] == 1
    of_first = eventually(
        lambda: stats(stack, f"/streams{path.replace('/webhook/', '/webhook/api/v1/')}/{first['id']}/stats", client),
        lambda it: counted(it) == (1, 0, 0),
        "counts",
        60,
    )
    assert of_first["latency"]["p50"] is not None
    in_all = stats(stack, "/v1/stats", client)
    assert counted(in_all) == (2, 1, 1)
    assert {it["id"]: counted(it) for it in in_all["subscriptions"]} == {
        first["id"]: (1, 0, 0),
        second["id"]: (1, 1, 1),
    }
    # Before there was anything, and for somebody else.
    before = stats(stack, f"{path}/{first['id']}/stats", client, start=ago(days=3), end=ago(days=2))
    assert (counted(before), before["hours"], before["latency"]["p99"]) == ((0, 0, 0), [], None)
    stranger = stack.new_client()
    assert stack.call("GET", f"{path}/{first['id']}/stats", stranger).status_code == 404
    assert stats(stack, "/v1/stats", stranger)["subscriptions"] == []


def test_callbacks_of_entities_are_counted_too(stack, entities, publisher, client, receiver):
    key = f"counted-{uuid.uuid4()}"
    subscription = entities.customer.create_subscription(key, f"{receiver.url}/entity")
    body = {
        "client_ids": [client.client_id],
        "entity_key": key,
        "entity_type": "Document",
        "callback_event": "entity_updated",
    }
    assert stack.call("POST", "/entities/events", publisher, json=body).status_code == 202

    def found() -> dict:
        answer = entities.call("GET", f"/subscriptions/{subscription['key']}/stats")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["stats"]

    counts = eventually(found, lambda it: counted(it) == (1, 0, 0), "counts", 60)
    assert counts["hours"]
    later = entities.call("GET", f"/v1/webhooks/{subscription['key']}/stats")
    assert (later.status_code, later.json()["data"]["stats"]["hours"]) == (200, counts["hours"])


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"start": "yesterday"}, "start"),
        ({"end": "2026-01-01"}, "end"),
        ({"end": "2026-01-01T00:00:00"}, "end"),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "start"),
        ({"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}, "start"),
    ],
)
def test_periods_that_are_none_are_refused(stack, client, parameters, field):
    answer = stack.call("GET", "/v1/stats", client, params=parameters)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
