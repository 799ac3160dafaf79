"""Several events in one request: each is accepted or refused by itself."""

import uuid

import pytest
from entities import new_key
from streams import bodies
from test_entities import is_callback

PATHS = ["/publishers/http-post/topics", "/streams/publishers/http-post/api/v1/topics"]


def entity_event(key: str, client_id: str, event: str = "entity_updated") -> dict:
    return {"client_ids": [client_id], "entity_key": key, "entity_type": "Document", "callback_event": event}


@pytest.mark.parametrize("path", PATHS)
def test_the_events_of_a_topic_reach_its_subscribers_as_they_were_published(streams, stack, publisher, receiver, path):
    topic = streams.topic()
    for n in range(2):
        streams.subscribe(topic, f"{receiver.url}/{n}")
    events = ", ".join(f'{{"payload": {{"n":  {n}.0}}}}' for n in range(12))
    body = f'{{"events": [{events}, {{"payload": 1, "more": 2}}]}}'
    headers = {"Content-Type": "application/json"}
    answer = stack.call("POST", f"{path}/{topic}/batch", publisher, data=body, headers=headers)
    assert answer.status_code == 207
    *accepted, refused = answer.json()["events"]
    assert [it["status"] for it in accepted] == [202] * 12
    assert len({it["id"] for it in accepted}) == 12
    assert (refused["status"], refused["field"]) == (400, "events[12].more")
    assert sorted(it["n"] for it in bodies(receiver, 24)) == sorted(2 * list(range(12)))
    assert {arrival.body.decode() for arrival in receiver.arrivals} == {f'{{"n":  {n}.0}}' for n in range(12)}
    ids = {arrival.headers["x-axway-streams-event-id"] for arrival in receiver.arrivals}
    assert ids == {it["id"] for it in accepted}


def test_a_batch_that_is_sent_twice_is_delivered_once(streams, stack, publisher, receiver):
    topic = streams.topic()
    streams.subscribe(topic, receiver.url)
    events = [{"payload": n, "idempotencyKey": uuid.uuid4().hex} for n in range(3)]
    path = f"/publishers/http-post/topics/{topic}/batch"
    first, second = (stack.call("POST", path, publisher, json={"events": events}).json() for _ in range(2))
    assert first == second
    streams.publish(topic, 3)
    assert sorted(bodies(receiver, 4)) == [0, 1, 2, 3]
    assert len(receiver.arrivals) == 4


def test_documents_are_published_one_by_one(streams, stack, publisher):
    path = f"/publishers/http-post/topics/{streams.topic('snapshot')}/batch"
    answer = stack.call("POST", path, publisher, json={"events": [{"payload": 1}]})
    assert (answer.status_code, set(answer.json())) == (409, {"message", "request_id"})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"events": {}}', 400),
        (b'{"events": []}', 400),
        (b'{"events": [' + b",".join([b"{}"] * 101) + b"]}", 400),
        (b'{"events": [{"payload": "' + b"x" * 1024 * 1024 + b'"}]}', 413),
        (b'{"events": [{"payload": 1}], "more": 1}', 400),
    ],
)
@pytest.mark.parametrize("of", ["topic", "entities"])
def test_what_is_no_batch_is_refused_as_a_whole(streams, stack, publisher, of, body, status):
    path = "/entities/events/batch" if of == "entities" else f"/publishers/http-post/topics/{streams.topic()}/batch"
    headers = {"Content-Type": "application/json"}
    assert stack.call("POST", path, publisher, data=body, headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/publishers/http-post/topics/x/batch", "/entities/events/batch"])
def test_batches_are_for_publishers(stack, client, path):
    assert stack.call("POST", path, client, json={"events": []}).status_code == 403
    assert stack.call("POST", path, json={"events": []}).status_code == 401


def test_the_events_of_entities_reach_the_clients_that_they_name(entities, stack, publisher, receiver):
    keys = [new_key() for _ in range(3)]
    for key in keys:
        entities.customer.create_subscription(key, receiver.url)
    events = [{"event": entity_event(key, entities.client.client_id)} for key in keys]
    events.append({"event": entity_event(keys[0], "nobody")})
    answer = stack.call("POST", "/entities/events/batch", publisher, json={"events": events})
    assert (answer.status_code, answer.json()["status"]) == (207, {"status_code": 207})
    *accepted, refused = answer.json()["data"]["events"]
    assert [it["status_code"] for it in accepted] == [202] * 3
    assert (refused["status_code"], refused["field"]) == (400, "events[3].event.client_ids[0]")
    callbacks = receiver.wait_for(is_callback, 3)
    assert {callback.json()["entity_key"] for callback in callbacks} == set(keys)
