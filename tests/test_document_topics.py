"""Documents: every subscriber ends at the publisher's, whatever happens on the way."""

import json
import random
import re
import threading
import uuid
from functools import cache
from typing import Any

import jsonpatch
import pytest
from conftest import at_once
from receiver import Answer, Receiver
from settings import ROOT
from streams import bodies, event_type, eventually, is_streams
from test_event_topics import MEGABYTE, uuid_text

DOCUMENTS = [{"id": n, "title": f"news {n}", "text": "all the news that is fit to print"} for n in range(5)]


@cache
def documented_receive():
    """The function of docs/streams.md."""
    [program] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "streams.md").read_text(), re.DOTALL)
    names: dict = {"json": json, "jsonpatch": jsonpatch}
    exec(compile(program, "docs/streams.md", "exec"), names)
    return names["receive"]


class Follower:
    """A subscriber that applies what it gets, in the order in which it acknowledges it."""

    def __init__(self):
        self.document: Any = None
        self.types: list[str] = []
        self.version = 0

    def receive(self, arrival) -> int:
        """As docs/streams.md advises: drops what is not newer than what it has, and refuses a patch of what it has not.
        Returns the status of the answer."""
        before = self.version
        (self.version, self.document), status = documented_receive()(
            arrival.headers, arrival.body, (self.version, self.document)
        )
        if self.version != before:
            self.types.append(event_type(arrival))
        return status

    def take(self, arrival) -> None:
        self.version = int(arrival.headers["x-bellwire-version"])
        body = json.loads(arrival.body)
        self.types.append(event_type(arrival))
        if self.types[-1] == "patch":
            assert all(operation["op"] in ("add", "replace", "remove") for operation in body)
            body = jsonpatch.apply_patch(self.document, body)
        self.document = body


@pytest.mark.parametrize("mode", ["snapshot-only", "snapshot-patch"])
def test_each_change_is_delivered_in_order(streams, receiver, mode):
    topic = streams.topic("snapshot")
    subscription = streams.subscribe(topic, receiver.url, subscriptionMode=mode)
    versions = [DOCUMENTS[:n] for n in range(1, 6)] + [DOCUMENTS[1:], {"other": DOCUMENTS}, None, 1, "x", []]
    streams.publish(topic, versions[0])
    # Who has had nothing begins with whichever version asks first, and queues keep no order.
    receiver.wait_for(is_streams)
    for version in versions[1:]:
        streams.publish(topic, version)
    # Versions may be delivered in fewer steps only after a doubt; here is none.
    arrivals = receiver.wait_for(is_streams, len(versions))
    follower, seen = Follower(), []
    for arrival in arrivals:
        follower.take(arrival)
        seen.append(follower.document)
    assert seen == versions
    assert follower.types[0] == "snapshot"
    assert ("patch" in follower.types) == (mode == "snapshot-patch")
    if mode == "snapshot-patch":
        assert follower.types[1:5] == ["patch"] * 4
        assert bodies(receiver, 2)[1] == [{"op": "add", "path": "/1", "value": DOCUMENTS[1]}]
    assert len({it.headers["x-axway-streams-event-id"] for it in arrivals}) == len(versions)
    exchanges = streams.wait_for_exchanges(subscription, len(versions))
    assert [it["eventType"] for it in exchanges] == follower.types


def test_the_current_document_again_sends_nothing(streams, receiver):
    topic = streams.topic("snapshot")
    streams.subscribe(topic, receiver.url)
    text = "x" * 100
    for body in [
        f'{{"a": [1, 2.50, "{text}"], "b": null}}',
        f'{{"b":null,"a":[1,2.5,"{text}"]}}',
        f'{{"a":  [1, 2.5, "{text}"], "b": null}}',
    ]:
        assert streams.try_to_publish(topic, body).status_code == 202
    streams.publish(topic, {"a": [1, 2.5, text], "b": 3})
    assert bodies(receiver, 2) == [{"a": [1, 2.5, text], "b": None}, [{"op": "replace", "path": "/b", "value": 3}]]


def test_numbers_are_what_they_were_published_as(streams, receiver):
    topic = streams.topic("snapshot")
    streams.subscribe(topic, receiver.url)
    texts = [f'{{"id": 1234567890123456789012{n}, "filler": "{"x" * 100}"}}' for n in range(3)]
    for text in texts:
        assert streams.try_to_publish(topic, text).status_code == 202
    arrivals = receiver.wait_for(is_streams, 3)
    assert [it.body.decode() for it in arrivals] == texts
    assert {event_type(it) for it in arrivals} == {"snapshot"}


def test_a_new_subscription_gets_the_current_document_first(streams, receiver):
    topic = streams.topic("snapshot")
    streams.subscribe(topic, f"{receiver.url}/witness")
    streams.publish(topic, {"n": 1})
    streams.publish(topic, {"n": 2, "more": DOCUMENTS})
    receiver.wait_for(is_streams, 2)
    streams.subscribe(topic, f"{receiver.url}/new")
    receiver.wait_for(lambda it: it.path == "/new")
    streams.publish(topic, {"n": 3, "more": DOCUMENTS})
    first, second = receiver.wait_for(lambda it: it.path == "/new", 2)
    assert first.json() == {"n": 2, "more": DOCUMENTS}
    assert (event_type(first), event_type(second)) == ("snapshot", "patch")
    follower = Follower()
    for arrival in (first, second):
        follower.take(arrival)
    assert follower.document == {"n": 3, "more": DOCUMENTS}


def test_a_subscription_made_while_documents_come_in_misses_none(streams, receiver):
    topic = streams.topic("snapshot")
    stop = threading.Event()
    last = []

    def publish() -> None:
        n = 0
        while not stop.is_set() or n < 5:
            n += 1
            last.append(streams.publish(topic, {"n": n, "filler": DOCUMENTS}) and n)

    publishing = threading.Thread(target=publish)
    publishing.start()
    subscriptions = [streams.subscribe(topic, f"{receiver.url}/{n}") for n in range(8)]
    stop.set()
    publishing.join()
    for n in range(len(subscriptions)):
        wanted = {"n": last[-1], "filler": DOCUMENTS}
        eventually(lambda n=n: followed(receiver, f"/{n}").document, lambda it, wanted=wanted: it == wanted, "document")


def followed(receiver: Receiver, path: str) -> Follower:
    follower = Follower()
    for arrival in receiver.matching(lambda it: it.path == path):
        follower.take(arrival)
    return follower


def test_many_publishers_at_once_make_one_order(streams, receiver):
    topic = streams.topic("snapshot")
    streams.subscribe(topic, f"{receiver.url}/a", subscriptionMode="snapshot-only")
    streams.subscribe(topic, f"{receiver.url}/b", subscriptionMode="snapshot-patch")
    documents = [{"by": n, "filler": DOCUMENTS} for n in range(20)]
    # Who has nothing yet gets the newest document first, which would be one of several.
    first, *others = documents
    streams.publish(topic, first)
    receiver.wait_for(is_streams, 2)
    at_once(*[lambda document=document: streams.publish(topic, document) for document in others])
    arrivals = receiver.wait_for(is_streams, 40)
    orders = {}
    for path in ("/a", "/b"):
        follower, order = Follower(), []
        for arrival in arrivals:
            if arrival.path == path:
                follower.take(arrival)
                order.append(follower.document["by"])
        orders[path] = order
    assert sorted(orders["/a"]) == list(range(20))
    assert orders["/a"] == orders["/b"]


def test_a_publication_repeated_with_its_idempotency_key_changes_nothing(streams, receiver):
    topic = streams.topic("snapshot")
    streams.subscribe(topic, receiver.url)
    key = {"Idempotency-Key": uuid.uuid4().hex}
    ids = {streams.publish(topic, {"n": 1}, **key), streams.publish(topic, {"n": 1}, **key)}
    assert len(ids) == 1
    streams.publish(topic, {"n": 2})
    streams.publish(topic, {"n": 1}, **key)
    streams.publish(topic, {"n": 3})
    arrivals = receiver.wait_for(is_streams, 3)
    follower, seen = Follower(), []
    for arrival in arrivals:
        follower.take(arrival)
        seen.append(follower.document["n"])
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("compressible", [True, False])
def test_documents_of_up_to_a_megabyte(streams, receiver, compressible):
    topic = streams.topic("snapshot")
    streams.subscribe(topic, receiver.url)
    text = "x" * (MEGABYTE - 20) if compressible else uuid_text(MEGABYTE - 20)
    first, second = {"n": 1, "t": text}, {"n": 2, "t": text}
    other = {"t": [uuid_text(1000) for _ in range(500)]}
    for document in (first, second, other, first):
        streams.publish(topic, document)
    arrivals = receiver.wait_for(is_streams, 4)
    assert [it.json() for it in arrivals[:2]] == [first, [{"op": "replace", "path": "/n", "value": 2}]]
    follower = Follower()
    for arrival in arrivals:
        follower.take(arrival)
    assert follower.document == first


def test_after_a_failure_the_newest_document_comes_whole(streams):
    broken, follower = threading.Event(), Follower()

    def answer(arrival) -> Answer:
        if broken.is_set():
            return Answer(500)
        follower.take(arrival)
        return Answer()

    with Receiver(answer=answer) as receiver:
        topic = streams.topic("snapshot")
        subscription = streams.subscribe(topic, receiver.url)
        streams.publish(topic, {"n": 1, "filler": DOCUMENTS})
        eventually(lambda: follower.document, bool, "document")
        broken.set()
        for n in range(2, 6):
            streams.publish(topic, {"n": n, "filler": DOCUMENTS})
        failed = receiver.wait_for(is_streams, 2)[1]
        broken.clear()
        wanted = {"n": 5, "filler": DOCUMENTS}
        eventually(lambda: follower.document, lambda it: it == wanted, "document")
        assert (event_type(failed), failed.headers["x-bellwire-attempt"]) == ("patch", "1")
        assert follower.types[:2] == ["snapshot", "snapshot"]
        streams.publish(topic, {"n": 6, "filler": DOCUMENTS})
        eventually(lambda: follower.document["n"], lambda it: it == 6, "document")
        assert follower.types[-1] == "patch"
        eventually(lambda: streams.show(subscription), lambda it: "failingSince" not in it, "success")


def test_a_dead_endpoint_piles_up_nothing(streams, stack):
    with Receiver(answer=lambda _: Answer(500)) as receiver:
        topic = streams.topic("snapshot")
        subscription = streams.subscribe(topic, receiver.url)
        for n in range(40):
            streams.publish(topic, {"n": n})
        eventually(lambda: len(receiver.arrivals), lambda it: it >= 4, "whole schedule")
        follower = Follower()
        receiver.answer = lambda it: Answer(follower.receive(it))
        streams.publish(topic, "the end")
        # Whole, or as a change of what a last retry has brought.
        eventually(lambda: follower.document, lambda it: it == "the end", "document")
        # A few rounds of the schedule at most, and not an attempt for each version.
        assert len(receiver.arrivals) < 20
        assert streams.show(subscription)["status"] == "active"


def test_each_delivery_says_its_version_and_a_patch_what_it_changes(streams, receiver):
    topic = streams.topic("snapshot")
    subscription = streams.subscribe(topic, receiver.url)
    for n in range(3):
        streams.publish(topic, {"n": n, "filler": DOCUMENTS})
        receiver.wait_for(is_streams, n + 1)
    versions = [
        (event_type(it), it.headers["x-bellwire-version"], it.headers.get("x-bellwire-base-version"))
        for it in receiver.arrivals
    ]
    assert versions == [("snapshot", "1", None), ("patch", "2", "1"), ("patch", "3", "2")]
    sent = [it["requestHeaders"] for it in streams.wait_for_exchanges(subscription, 3)]
    recorded = [(it["x-bellwire-version"], it.get("x-bellwire-base-version")) for it in sent]
    assert sorted(recorded, key=str) == [("1", None), ("2", "1"), ("3", "2")]


def test_a_request_that_takes_effect_after_its_time_out_changes_nothing_later(streams):
    # The endpoint doesn't answer the patch to version 2 until the attempt has timed out and version 3 has
    # been acknowledged. Then it applies it after all.
    follower, third = Follower(), threading.Event()
    late: list = []

    def answer(arrival) -> Answer:
        if event_type(arrival) == "patch" and not late:
            late.append(arrival)
            return Answer(fault="stall")
        status = follower.receive(arrival)
        if follower.version == 3:
            third.set()
        return Answer(status)

    with Receiver(answer=answer) as receiver:
        topic = streams.topic("snapshot")
        streams.subscribe(topic, receiver.url)
        streams.publish(topic, {"n": 1, "filler": DOCUMENTS})
        receiver.wait_for(is_streams)
        streams.publish(topic, {"n": 2, "filler": DOCUMENTS})
        eventually(lambda: late, bool, "patch")
        streams.publish(topic, {"n": 3, "filler": DOCUMENTS})
        assert third.wait(30)
        assert follower.receive(late[0]) == 200
        assert follower.document == {"n": 3, "filler": DOCUMENTS}
        # And it goes on from there.
        streams.publish(topic, {"n": 4, "filler": DOCUMENTS})
        eventually(lambda: follower.document["n"], lambda it: it == 4, "document")
        assert event_type(receiver.arrivals[-1]) == "patch"


def test_a_receiver_that_has_lost_its_document_gets_a_snapshot(streams):
    follower = Follower()
    with Receiver(answer=lambda it: Answer(follower.receive(it))) as receiver:
        topic = streams.topic("snapshot")
        streams.subscribe(topic, receiver.url)
        streams.publish(topic, {"n": 1, "filler": DOCUMENTS})
        receiver.wait_for(is_streams)
        follower.version, follower.document = 0, None
        streams.publish(topic, {"n": 2, "filler": DOCUMENTS})
        eventually(lambda: follower.document, lambda it: it == {"n": 2, "filler": DOCUMENTS}, "document")
        assert follower.types == ["snapshot", "snapshot"]


@pytest.mark.parametrize("during", [2, 4])
def test_what_comes_during_a_schedule_has_one_of_its_own(streams, during):
    attempts = []

    def answer(arrival) -> Answer:
        attempts.append(arrival)
        if len(attempts) == during:
            # After the last attempt no retry of the schedule is left to send this version; after an earlier one there is.
            streams.publish(topic, {"n": 2})
            eventually(lambda: streams.stored_item(subscription)["wanted"]["N"], lambda it: it == "2", "second version")
        return Answer(500) if len(attempts) <= 4 else Answer()

    with Receiver(answer=answer) as receiver:
        topic = streams.topic("snapshot")
        subscription = streams.subscribe(topic, receiver.url)
        streams.publish(topic, {"n": 1})
        fifth = receiver.wait_for(is_streams, 5)[4]
        assert (fifth.json(), event_type(fifth), fifth.headers["x-bellwire-attempt"]) == ({"n": 2}, "snapshot", "1")


@pytest.mark.parametrize("seed", range(2))
def test_what_was_acknowledged_in_order_is_the_publishers_document(streams, seed):
    """An endpoint that fails, stalls and dies at random, in the middle of many publications."""
    chance = random.Random(seed)
    lock = threading.Lock()
    follower = Follower()
    calm = threading.Event()

    def answer(arrival) -> Answer:
        fault = None if calm.is_set() else chance.choice([None] * 14 + ["500", "reset", "cut", "late"] * 2 + ["stall"])
        if fault == "500":
            return Answer(500)
        if fault in ("reset", "stall"):
            return Answer(fault=fault)
        # From here on the endpoint has applied it, whether or not the sender receives the answer.
        with lock:
            follower.take(arrival)
        if fault == "cut":
            return Answer(body=b"x" * 100, fault="cut")
        return Answer(500) if fault == "late" else Answer()

    with Receiver(answer=answer) as receiver:
        topic = streams.topic("snapshot")
        streams.subscribe(topic, receiver.url)
        document: dict = {"list": [], "map": {}}
        for n in range(40):
            change_a_little(document, n, chance)
            # Before the publication, which brings an arrival whatever was before: a last retry that
            # fails just now is one, and none follows it.
            arrived = len(receiver.arrivals)
            streams.publish(topic, document)
            if n % 2:
                # Now and then something arrives before the next publication.
                eventually(lambda: len(receiver.arrivals), lambda it, seen=arrived: it > seen, "arrival")
        calm.set()
        # Should the schedule have been exhausted just now, this brings the rest along.
        document["last"] = True
        streams.publish(topic, document)
        eventually(lambda: follower.document, lambda it: it == document, "document", seconds=60)
        assert {"snapshot", "patch"} == set(follower.types)


def change_a_little(document: dict, n: int, chance: random.Random) -> None:
    what = chance.randrange(4)
    if what == 0 or not document["list"]:
        document["list"].insert(chance.randint(0, len(document["list"])), {"n": n, "text": "some text " * 5})
    elif what == 1:
        document["list"].pop(chance.randrange(len(document["list"])))
    elif what == 2:
        document["map"][f"key-{n % 7}/~"] = n
    else:
        chance.choice(document["list"])["n"] = -n
