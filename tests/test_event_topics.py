"""Events: published, and told to every subscription."""

import json
import re
import uuid

import pytest
from conftest import at_once
from receiver import Answer, Receiver
from streams import bodies, event_type


def test_an_event_reaches_its_subscriber_as_it_was_published(streams, receiver):
    topic = streams.topic()
    subscription = streams.subscribe(topic, f"{receiver.url}/hook", webhookHeaders={"Authorization": "Bearer AbC", "X-A": "1"})
    body = '{"b":1,  "a":[1.50, 123456789012345678901], "é": "\\u00e9"}'
    accepted = streams.try_to_publish(topic, body.encode())
    assert accepted.status_code == 202
    [arrival] = receiver.wait_for(lambda it: it.path == "/hook")
    assert arrival.body.decode() == body
    headers = arrival.headers
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer AbC" and headers["x-a"] == "1"
    assert headers["x-axway-streams-subscription-id"] == subscription["id"]
    assert headers["x-axway-streams-topic-id"] == topic
    assert headers["x-axway-streams-event-id"] == accepted.json()["id"]
    assert headers["x-axway-streams-event-type"] == "event"
    assert headers["x-bellwire-attempt"] == "1"
    assert uuid.UUID(headers["webhook-id"])
