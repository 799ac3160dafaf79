"""Standard Webhooks: every delivery is signed, verified here with the official library."""

import json
import time

import pytest
from receiver import Answer, Receiver
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from streams import eventually, is_streams


def verified(arrival, secret: str):
    return Webhook(secret).verify(arrival.body, arrival.headers)


@pytest.mark.parametrize("payload", ["event", "snapshot"])
def test_every_attempt_is_signed(streams, payload):
    answers = iter([Answer(500)])
    with Receiver(answer=lambda _: next(answers, Answer())) as receiver:
        topic = streams.topic(payload)
        subscription = streams.subscribe(topic, receiver.url)
        streams.publish(topic, {"é": "ü"})
        for arrival in receiver.wait_for(is_streams, 2):
            assert verified(arrival, subscription["secret"]) == {"é": "ü"}
        streams.on(subscription, "test", json={"n": 1})
        assert verified(receiver.wait_for(is_streams, 3)[2], subscription["secret"]) == {"n": 1}


def test_a_changed_body_or_another_secret_is_noticed(streams, receiver):
    topic = streams.topic()
    first, second = (streams.subscribe(topic, f"{receiver.url}/{n}") for n in range(2))
    assert first["secret"] != second["secret"]
    streams.publish(topic, {"n": 1})
    [arrival] = receiver.wait_for(lambda it: it.path == "/0")
    with pytest.raises(WebhookVerificationError):
        verified(arrival, second["secret"])
    with pytest.raises(WebhookVerificationError):
        Webhook(first["secret"]).verify(arrival.body + b" ", arrival.headers)


def test_during_a_rotation_both_secrets_are_good(streams, receiver):
    topic = streams.topic()
    subscription = streams.subscribe(topic, receiver.url)
    answer = streams.on(subscription, "secret/rotate")
    assert answer.status_code == 200
    rotated = answer.json()
    assert rotated["id"] == subscription["id"] and rotated["previousSecretValidUntil"]
    assert rotated["secret"].startswith("whsec_") and rotated["secret"] != subscription["secret"]
    streams.publish(topic, {"n": 1})
    [arrival] = receiver.wait_for(is_streams)
    for secret in (subscription["secret"], rotated["secret"]):
        assert verified(arrival, secret) == {"n": 1}
    assert len(arrival.headers["webhook-signature"].split(" ")) == 2
    # Rotated again, each of them is good until its own time; of more than five the oldest is void.
    secrets = [subscription["secret"], rotated["secret"]]
    for n in range(2, 6):
        secrets.append(streams.on(subscription, "secret/rotate").json()["secret"])
        streams.publish(topic, {"n": n})
        arrival = receiver.wait_for(is_streams, n)[-1]
        for secret in secrets[-5:]:
            assert verified(arrival, secret) == {"n": n}
        assert len(arrival.headers["webhook-signature"].split(" ")) == min(len(secrets), 5)
    with pytest.raises(WebhookVerificationError):
        verified(arrival, subscription["secret"])


def test_after_a_day_the_old_secret_is_void(streams, stack, receiver):
    topic = streams.topic()
    subscription = streams.subscribe(topic, receiver.url)
    rotated = streams.on(subscription, "secret/rotate").json()
    # As of a day later: the end of the old secret is put into the past.
    stack.aws("dynamodb").update_item(
        TableName=stack.outputs["SubscriptionsTable"],
        Key={"subscription_id": {"S": subscription["id"]}},
        UpdateExpression="SET secrets.previous.valid_until = :past",
        ExpressionAttributeValues={":past": {"S": "2020-01-01T00:00:00.000000Z"}},
    )
    streams.publish(topic, {"n": 1})
    [arrival] = receiver.wait_for(is_streams)
    assert verified(arrival, rotated["secret"]) == {"n": 1}
    with pytest.raises(WebhookVerificationError):
        verified(arrival, subscription["secret"])


def test_secrets_are_in_no_log(streams, stack, receiver):
    began, topic = int(time.time() * 1000), streams.topic()
    subscription = streams.subscribe(topic, receiver.url, webhookHeaders={"X-Key": "a-header-value-of-this-test"})
    rotated = streams.on(subscription, "secret/rotate").json()
    streams.publish(topic, {"body": "a-payload-of-this-test"})
    receiver.wait_for(is_streams)
    streams.wait_for_exchanges(subscription, 1)
    logs = stack.aws("logs")

    def read() -> str:
        found = ""
        for name in ("publish", "commit", "deliver", "webhook-subscriptions"):
            group = f"/aws/lambda/{stack.name}-{name}"
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=began)
            found += "".join(json.dumps(event["message"]) for page in pages for event in page["events"])
        return found

    # A function's lines are there when its invocation has ended.
    found = eventually(read, lambda it: subscription["id"] in it, "log of the subscription")
    for secret in (subscription["secret"], rotated["secret"], "a-header-value-of-this-test", "a-payload-of-this-test"):
        assert secret not in found
