"""Requests to addresses that a stack doesn't allow, which are never sent."""

import uuid

import pytest
from messages import delivery, event, payload
from runtime_api import Function, failures, sqs_event


class TestUntrusted:
    """Addresses that a stack doesn't allow, whatever leads to them."""

    @pytest.fixture
    def strict(self, stack):
        """A deliver of a stack that opens no networks."""
        with Function(stack, "DeliverFunction", OPEN_NETWORKS="") as function:
            yield function

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]"])
    @pytest.mark.parametrize("attempt", [0, 1])
    def test_deliveries_and_retries(self, streams, receiver, strict, client, host, attempt):
        port = receiver.url.rsplit(":", 1)[1]
        subscription = streams.subscribe(streams.topic(), f"http://{host}:{port}/")
        kind = event({"n": 1})
        assert failures(strict.invoke(sqs_event(delivery(subscription, kind, client.client_id, attempt)))) == []
        refused = streams.wait_for_exchanges(subscription, 1)[0]
        assert "address" in refused["errorMessage"]
        assert "responseCode" not in refused

    def test_ports_of_other_protocols(self, streams, stack, strict, client):
        # Registered before they were refused.
        subscription = streams.subscribe(streams.topic(), "https://example.com/")
        stack.aws("dynamodb").update_item(
            TableName=stack.outputs["SubscriptionsTable"],
            Key={"subscription_id": {"S": subscription["id"]}},
            UpdateExpression="SET webhook_url = :url",
            ExpressionAttributeValues={":url": {"S": "https://example.com:25/"}},
        )
        assert failures(strict.invoke(sqs_event(delivery(subscription, event({"n": 1}), client.client_id)))) == []
        refused = streams.wait_for_exchanges(subscription, 1)[0]
        assert "port 25" in refused["errorMessage"]

    def test_tests(self, streams, receiver, strict, client):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        test = {"test": {"event_id": str(uuid.uuid4()), "payload": payload({})}}
        assert failures(strict.invoke(sqs_event(delivery(subscription, test, client.client_id)))) == []
        [refused] = streams.wait_for_exchanges(subscription, 1)
        assert "address" in refused["errorMessage"]
        assert receiver.arrivals == []

    def test_requests_for_tokens(self, streams, receiver, strict, client):
        authorization = {"type": "oauth2", "clientId": "a", "clientSecret": "b", "provider": f"{receiver.url}/token"}
        subscription = streams.subscribe(streams.topic(), "http://192.0.43.8/", authorization=authorization)
        test = {"test": {"event_id": str(uuid.uuid4()), "payload": payload({})}}
        assert failures(strict.invoke(sqs_event(delivery(subscription, test, client.client_id)))) == []
        [refused] = streams.wait_for_exchanges(subscription, 1)
        assert refused["errorMessage"].startswith("no access token: ") and "address" in refused["errorMessage"]
        assert receiver.arrivals == []
