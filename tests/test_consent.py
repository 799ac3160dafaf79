"""Endpoints that have to allow deliveries before they get any, where the stack wants that.

https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md
"""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from entities import new_key
from receiver import Arrival, Receiver
from runtime_api import Function, api_event
from streams import event_type, is_streams

WEBHOOKS = "/subscribers/webhook/topics/{topicId}/subscriptions"
# The API's name in the events of api_event.
ORIGIN = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"


@pytest.fixture
def endpoints():
    """Starts endpoints that answer OPTIONS with a status and headers; asked is what they were asked, and by whom."""
    started = []

    def start(status: int, origin: str | None):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_OPTIONS(self):
                headers = {name.lower(): value for name, value in self.headers.items()}
                Receiver.watch(Arrival(self.command, self.path, headers, b"", time.time()))
                asked.append((self.path, self.headers["WebHook-Request-Origin"], self.headers["User-Agent"]))
                self.send_response(status)
                if origin is not None:
                    self.send_header("WebHook-Allowed-Origin", origin)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        started.append(server)
        return f"http://127.0.0.1:{server.server_port}/hook", asked

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def subscribe(stack, streams, client):
    """Subscribes to a topic where endpoints have to consent."""
    topic = streams.topic("snapshot")
    with Function(stack, "WebhookSubscriptionsFunction", ENDPOINT_CONSENT="options") as function:
        yield lambda url: function.invoke(api_event("POST", WEBHOOKS, client, {"webhookUrl": url}, topicId=topic))


@pytest.fixture
def subscribe_to_entity(stack, client):
    """Subscribes to an entity where endpoints have to consent."""
    with Function(stack, "EntitySubscriptionsFunction", ENDPOINT_CONSENT="options") as function:

        def subscribe_to_entity(url: str, key: str | None = None):
            subscription = {"entity_key": key or new_key(), "callback": url}
            body = {"client_id": client.client_id, "client_secret": client.client_secret, "subscription": subscription}
            return function.invoke(api_event("POST", "/subscriptions", client, body))

        yield subscribe_to_entity


@pytest.mark.parametrize("allowed", [ORIGIN, "*"])
def test_an_endpoint_that_allows_it_is_subscribed(subscribe, subscribe_to_entity, endpoints, allowed):
    url, asked = endpoints(200, allowed)
    assert subscribe(url).status == 201
    key = new_key()
    assert subscribe_to_entity(url, key).status == 200
    assert asked == [("/hook", ORIGIN, "Bellwire")] * 2
    # What is subscribed already is not asked again.
    assert subscribe_to_entity(url, key).status == 200
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("status", "allowed"), [(200, None), (405, None), (405, "*"), (200, "example.com"), (302, "*"), (500, None)]
)
def test_an_endpoint_that_does_not_is_not(
    subscribe, subscribe_to_entity, endpoints, streams, stack, client, status, allowed
):
    url, asked = endpoints(status, allowed)
    refused = subscribe(url)
    assert (refused.status, refused.body["field"]) == (400, "webhookUrl")
    assert f"OPTIONS with WebHook-Request-Origin: {ORIGIN} it answered {status}" in refused.body["message"]
    refused = subscribe_to_entity(url)
    assert refused.status == 400
    assert "subscription.callback: the endpoint must allow deliveries" in str(refused.body)
    assert len(asked) == 2


def test_an_endpoint_that_is_not_there_is_not_subscribed(subscribe):
    refused = subscribe("http://127.0.0.1:2/")
    assert (refused.status, refused.body["field"]) == (400, "webhookUrl")
    assert "there was no answer" in refused.body["message"]


def test_deliveries_name_whom_the_endpoint_has_allowed(stack, streams, receiver, endpoints, client):
    topic = streams.topic("snapshot")
    streams.publish(topic, {"n": 1})
    url, _ = endpoints(204, "*")
    with Function(stack, "WebhookSubscriptionsFunction", ENDPOINT_CONSENT="options") as function:
        made = function.invoke(api_event("POST", WEBHOOKS, client, {"webhookUrl": url}, topicId=topic))
    assert made.status == 201
    # It doesn't know POST, and is retried.
    for exchange in streams.wait_for_exchanges(made.body, 1):
        assert exchange["requestHeaders"]["origin"] == ORIGIN
    # Nobody is asked where the stack doesn't want it, and nothing is named.
    streams.subscribe(topic, receiver.url)
    [arrival] = receiver.wait_for(is_streams)
    assert event_type(arrival) == "snapshot"
    assert "origin" not in {name.lower() for name in arrival.headers}
    assert {it.method for it in receiver.arrivals} == {"POST"}


def test_a_subscriber_can_not_name_somebody_else(streams):
    answer = streams.request_subscription(
        streams.topic(), webhookUrl="https://example.com/", webhookHeaders={"Origin": "example.com"}
    )
    assert answer.status_code == 400
    assert "can't be set by a subscription" in answer.json()["message"]
