"""Patches of documents: when a change is sent as one, and what is in it."""

import pytest
from streams import bodies, event_type, is_streams


@pytest.mark.parametrize(
    ("patch_bytes", "kept", "expected"),
    [(40, 0, "patch"), (4096, 0, "patch"), (4097, 0, "snapshot"), (4097, 5000, "patch")],
)
def test_a_patch_is_not_sent_that_is_longer_than_the_document_and_than_four_kilobytes(
    streams, receiver, patch_bytes, kept, expected
):
    topic = streams.topic("snapshot")
    streams.subscribe(topic, receiver.url)
    key = "k" * (patch_bytes - len('[{"op":"remove","path":"/"}]'))
    rest = {"kept": "x" * kept} if kept else {}
    streams.publish(topic, rest | {key: 1})
    receiver.wait_for(is_streams)
    streams.publish(topic, rest)
    _first, second = receiver.wait_for(is_streams, 2)
    assert event_type(second) == expected
    if expected == "patch":
        assert (second.json(), len(second.body)) == ([{"op": "remove", "path": f"/{key}"}], patch_bytes)
    else:
        assert second.json() == rest


def test_a_document_that_becomes_another_one_is_replaced_at_its_root(streams, receiver):
    topic = streams.topic("snapshot")
    streams.subscribe(topic, receiver.url)
    versions: list = [{"n": 1}, None, 1, "x", []]
    for n, version in enumerate(versions, 1):
        streams.publish(topic, version)
        receiver.wait_for(is_streams, n)
    replaced = [[{"op": "replace", "path": "", "value": version}] for version in versions[1:]]
    assert bodies(receiver, len(versions)) == [versions[0], *replaced]
