"""A topic whose events are spread over several partitions is for its subscribers like any other."""

import json

import pytest
from receiver import Answer, Receiver
from streams import ago, bodies, eventually


@pytest.fixture
def publish_batch(stack, publisher):
    def publish(topic: str, numbers: range) -> None:
        events = [{"payload": {"n": n}, "idempotencyKey": f"{topic}-{n}"} for n in numbers]
        path = f"/publishers/http-post/topics/{topic}/batch"
        answer = stack.call("POST", path, publisher, json={"events": events})
        assert [it["status"] for it in answer.json()["events"]] == [202] * len(events)

    return publish


def spread(stack, topic: str, shards: int) -> dict:
    done = stack.cli("topics", "spread", topic, "--shards", str(shards), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def numbers(receiver, count: int) -> list[int]:
    return sorted(it["n"] for it in bodies(receiver, count))


def test_events_arrive_once_and_are_listed_in_order_before_and_after(streams, stack, receiver, publish_batch):
    topic = streams.topic()
    subscription = streams.subscribe(topic, receiver.url)
    publish_batch(topic, range(10))
    assert spread(stack, topic, 16) == {"topic_id": topic, "shards": 16}
    publish_batch(topic, range(10, 60))
    # What was published before is recognised, wherever it is.
    publish_batch(topic, range(60))
    streams.publish(topic, {"n": 60})
    assert numbers(receiver, 61) == list(range(61))
    exchanges = streams.wait_for_exchanges(subscription, 61)
    assert len(exchanges) == len({it["pipelineId"] for it in exchanges}) == 61
    times = [it["requestDatetime"] for it in exchanges]
    assert times == sorted(times)
    assert {it["pipelineId"] for it in exchanges} == {it.headers["webhook-id"] for it in receiver.arrivals}


def test_what_has_not_arrived_is_replayed_from_all_of_them(streams, stack, publish_batch):
    status = [410]
    with Receiver(answer=lambda _: Answer(status[0])) as receiver:
        topic = streams.topic()
        subscription = streams.subscribe(topic, receiver.url)
        spread(stack, topic, 8)
        streams.publish(topic, {"n": 0})
        streams.wait_for_view(subscription, status="disabled")
        publish_batch(topic, range(1, 40))
        status[0] = 200
        streams.on(subscription, "enable")
        before = len(receiver.arrivals)
        assert streams.on(subscription, "replay", json={"start": ago(minutes=5)}).status_code == 202
        arrived = lambda: {it.json()["n"] for it in receiver.arrivals[before:]}  # noqa: E731
        eventually(arrived, lambda found: found == set(range(40)), "all events")
        # Nothing is replayed twice.
        again = lambda: streams.on(subscription, "replay", json={"start": ago(minutes=5)}).status_code  # noqa: E731
        eventually(again, lambda code: code == 202, "the end of the first replay")
        streams.publish(topic, {"n": 40})
        eventually(arrived, lambda found: 40 in found, "the last event")
        assert len(receiver.arrivals) == before + 41


def test_a_topic_never_has_fewer(streams, stack):
    topic = streams.topic()
    assert spread(stack, topic, 4)["shards"] == 4
    assert spread(stack, topic, 2)["shards"] == 4
    done = stack.cli("topics", "spread", topic, "--shards", "8")
    assert done.stdout.split() == ["topic", "id", topic, "shards", "8"]


@pytest.mark.parametrize("shards", ["0", "3", "128", "-1", "many", ""])
def test_a_number_that_no_topic_has(stack, shards):
    done = stack.cli("topics", "spread", "t", f"--shards={shards}")
    assert done.returncode == 2 and "must be" in done.stderr


def test_a_topic_that_is_none(stack):
    done = stack.cli("topics", "spread", "no-such-topic", "--shards", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "bellwire: there is no topic no-such-topic\n"


def test_a_document_has_no_shards(streams, stack):
    done = stack.cli("topics", "spread", streams.topic("snapshot"), "--shards", "2")
    assert (done.returncode, done.stdout) == (1, "") and "has a document" in done.stderr
