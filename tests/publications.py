"""Publications as messages, for tests that hand them to `commit` themselves, and what was delivered of them."""

from messages import payload, publication
from receiver import Receiver
from runtime_api import Function, sqs_event
from streams import event_type, is_streams

FILLER = ["something that makes documents longer than their patches"] * 4
FAULTS = ["throttle", "refuse", "break off"]


def publish_to(commit: Function, topic: str, *works, **how):
    publications = [work if "work" in work else publication(topic, work) for work in works]
    return commit.invoke(sqs_event(*publications, group=topic, **how))


def document_update(n: int) -> dict:
    return {"document": {"payload": payload({"n": n, "filler": FILLER})}}


def new_event(n: int) -> dict:
    return {"event": {"payload": payload({"n": n}), "repeatable": False}}


def delivered(receiver: Receiver) -> list[int]:
    """What was delivered, in order: the `n` of events and snapshots, or that a patch sets."""
    found = []
    for arrival in receiver.matching(is_streams):
        body = arrival.json()
        found.append(body[0]["value"] if event_type(arrival) == "patch" else body["n"])
    return found
