"""Publications as messages, for tests that hand them to `commit` themselves, and what has become of them."""

from messages import payload, publication
from receiver import Receiver
from runtime_api import Function, sqs_event
from streams import event_type, eventually, is_streams

FILLER = ["something that makes documents longer than their patches"] * 4


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


def wait_for_version(stack, topic: str, version: int) -> None:
    """Waits until the version is committed, and its deliveries have been processed."""
    dynamodb, sqs = stack.aws("dynamodb"), stack.aws("sqs")
    key = {"source": {"S": topic}, "key": {"S": f"version#{version:020}"}}
    table = stack.outputs["EventsTable"]
    eventually(lambda: dynamodb.get_item(TableName=table, Key=key).get("Item"), bool, "version")
    for name in ("Publications", "Deliveries"):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = stack.outputs[f"{name}QueueUrl"]
        eventually(
            lambda url=url, names=names: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"],
            lambda it: set(it.values()) == {"0"},
            "empty queue",
        )
