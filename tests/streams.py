"""Topics, subscriptions and publications, as their users have them."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit

import requests
from conftest import Client, Stack
from receiver import Arrival, Receiver


def definition(name: str | None = None, payload: str = "snapshot", **more) -> dict:
    publisher = {"type": "http-post", "config": {}, "payload": {"type": payload}}
    return {"name": name or f"test-{uuid.uuid4()}", "publisher": publisher, **more}


def for_customers(topic: dict) -> dict:
    """A topic as those see it who may not change it."""
    seen = {name: value for name, value in topic.items() if name not in ("access", "publishers")}
    return seen | {"publisher": {name: value for name, value in topic["publisher"].items() if name != "config"}}


def called(stack: Stack, path: str) -> str:
    """The URL of a path that the API has returned: as it was called, with the stage."""
    assert path.startswith(urlsplit(stack.url).path + "/"), path
    return urljoin(stack.url, path)


class Streams:
    """What a publisher and a subscriber do."""

    def __init__(self, stack: Stack, publisher: Client, subscriber: Client):
        self.stack = stack
        self.publisher = publisher
        self.subscriber = subscriber

    def topic(self, payload: str = "event", **more) -> str:
        answer = self.stack.call("POST", "/topics", self.publisher, json=definition(payload=payload, **more))
        assert answer.status_code == 201, answer.text
        self.stack.topics.append(answer.json()["id"])
        return answer.json()["id"]

    def request_subscription(self, topic: str, client: Client | None = None, **options) -> requests.Response:
        path = f"/subscribers/webhook/topics/{topic}/subscriptions"
        return self.stack.call("POST", path, client or self.subscriber, json=options)

    def subscribe(self, topic: str, url: str, client: Client | None = None, **options) -> dict:
        answer = self.request_subscription(topic, client, webhookUrl=url, **options)
        assert answer.status_code == 201, answer.text
        self.stack.subscriptions_made.append((client or self.subscriber, answer.json()["id"]))
        return answer.json()

    def publish(self, topic: str, document, **headers: str) -> str:
        answer = self.try_to_publish(topic, json.dumps(document), **headers)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def try_to_publish(self, topic: str, body: str | bytes, **headers: str) -> requests.Response:
        headers = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return self.stack.call(
            "POST", f"/publishers/http-post/topics/{topic}", self.publisher, data=body, headers=headers
        )

    def on(self, subscription: dict, action: str = "", method: str = "POST", **how) -> requests.Response:
        """Calls what there is under a subscription."""
        client = how.pop("client", self.subscriber)
        path = f"/subscribers/webhook/subscriptions/{subscription['id']}{'/' if action else ''}{action}"
        return self.stack.call(method, path, client, **how)

    def show(self, subscription: dict) -> dict:
        answer = self.on(subscription, method="GET")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def exchanges(self, subscription: dict, **parameters: str) -> list[dict]:
        answer = self.on(subscription, "exchanges", "GET", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_for_exchanges(self, subscription: dict, count: int, seconds: float = 30) -> list[dict]:
        """The exchanges, as soon as there are `count` of them."""
        return eventually(
            lambda: self.exchanges(subscription), lambda found: len(found) >= count, f"{count} exchanges", seconds
        )

    def wait_for_view(self, subscription: dict, seconds: float = 30, **fields) -> dict:
        return eventually(
            lambda: self.show(subscription), lambda view: fields.items() <= view.items(), str(fields), seconds
        )

    def stored_item(self, subscription: dict) -> dict:
        """The item of a subscription: what a test can't see from outside in reasonable time."""
        dynamodb = self.stack.aws("dynamodb")
        key = {"subscription_id": {"S": subscription["id"]}}
        return dynamodb.get_item(TableName=self.stack.outputs["SubscriptionsTable"], Key=key)["Item"]


def eventually(look: Callable, enough: Callable, what: str, seconds: float = 30):
    """What is seen, as soon as it is enough."""
    deadline = time.monotonic() + seconds
    while not enough(seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} in {seconds} s; there is {str(seen)[:2000]}")
        time.sleep(0.1)
    return seen


def event_type(arrival: Arrival) -> str:
    return arrival.headers["x-axway-streams-event-type"]


def is_streams(arrival: Arrival) -> bool:
    return "x-axway-streams-event-id" in arrival.headers


def bodies(receiver: Receiver, count: int, path: str | None = None) -> list:
    """The bodies of `count` deliveries, in the order of their arrival."""
    arrivals = receiver.wait_for(lambda it: is_streams(it) and path in (None, it.path), count)
    return [arrival.json() for arrival in arrivals]


def ago(**time_ago) -> str:
    return (datetime.now(UTC) - timedelta(**time_ago)).isoformat().replace("+00:00", "Z")
