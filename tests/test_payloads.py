"""What was sent, and a topic's current document, as subscribers can look at it."""

import gzip
import random
import uuid
from operator import itemgetter

import pytest
from streams import bodies, eventually

SPELLINGS = ["/subscribers/webhook", "/streams/subscribers/webhook/api/v1"]


@pytest.mark.parametrize("prefix", SPELLINGS)
def test_what_was_sent_is_kept_for_its_owner(streams, stack, client, other_client, receiver, prefix):
    subscription = streams.subscribe(streams.topic(), receiver.url)
    # So large, also when it is compressed, that it is in the bucket.
    event = {"order": 1, "text": "ü" * 10, "large": random.Random(1).randbytes(200_000).hex()}
    streams.publish(subscription["topicId"], event)
    assert bodies(receiver, 1) == [event]
    [exchange] = streams.wait_for_exchanges(subscription, 1)
    path = f"{prefix}/subscriptions/{subscription['id']}/deliveries/{exchange['pipelineId']}/payload"
    answer = stack.call("GET", path, client)
    assert (answer.status_code, answer.json()) == (200, event)
    assert stack.call("GET", path, other_client).status_code == 404
    assert stack.call("GET", path.replace(exchange["pipelineId"], "nothing"), client).status_code == 404
    # Of a test nothing is kept.
    pipeline = streams.on(subscription, "test", json={"a": 1}).json()["pipelineId"]
    streams.wait_for_exchanges(subscription, 2)
    assert stack.call("GET", path.replace(exchange["pipelineId"], pipeline), client).status_code == 404


def test_a_payload_that_the_bucket_has_lost_is_not_kept_any_more(streams, stack, client, receiver):
    subscription = streams.subscribe(streams.topic(), receiver.url)
    mark = uuid.uuid4().hex
    streams.publish(subscription["topicId"], {"mark": mark, "large": random.Random(mark).randbytes(200_000).hex()})
    [exchange] = streams.wait_for_exchanges(subscription, 1)
    path = f"/subscribers/webhook/subscriptions/{subscription['id']}/deliveries/{exchange['pipelineId']}/payload"
    assert stack.call("GET", path, client).status_code == 200
    s3, bucket = stack.aws("s3"), stack.outputs["PayloadsBucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    listed = sorted((it for page in pages for it in page["Contents"]), key=itemgetter("LastModified"), reverse=True)
    stored = ((it["Key"], s3.get_object(Bucket=bucket, Key=it["Key"])["Body"].read()) for it in listed)
    key = next(key for key, body in stored if mark.encode() in gzip.decompress(body))
    s3.delete_object(Bucket=bucket, Key=key)
    answer = stack.call("GET", path, client)
    assert (answer.status_code, answer.json()["message"]) == (404, "the payload is not kept any more")


@pytest.mark.parametrize("prefix", SPELLINGS)
def test_the_current_document_is_for_whoever_may_see_the_topic(streams, stack, client, other_client, prefix):
    topic = streams.topic("snapshot", name=f"orders-{uuid.uuid4()}", access={"clients": [client.client_id]})
    path = f"{prefix}/topics/{topic}/document"
    assert stack.call("GET", path, client).status_code == 404
    for n in (1, 2):
        streams.publish(topic, {"version": n})
    answer = eventually(
        lambda: stack.call("GET", path, client),
        lambda it: it.status_code == 200 and it.json() == {"version": 2},
        "the current document",
    )
    again = stack.call("GET", path, client, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert stack.call("GET", path, other_client).status_code == 404
    assert stack.call("GET", f"{prefix}/topics/{uuid.uuid4()}/document", client).status_code == 404


def test_endpoints_of_all_clients_that_do_not_work(streams, stack, client):
    operator = stack.new_client(operator=True)
    disabled = streams.subscribe(streams.topic(), "http://127.0.0.1:2/disabled")
    streams.on(disabled, "disable")
    answer = stack.call("GET", "/v1/failing-endpoints", operator, params={"search": f"client_id:{client.client_id}"})
    assert answer.status_code == 200, answer.text
    [found] = answer.json()["items"]
    assert (found["subscription_id"], found["disabled_reason"]) == (disabled["id"], "requested")
    assert found["url"] == "http://127.0.0.1:2/disabled"
    assert "failing_since" not in found
    assert stack.call("GET", "/v1/failing-endpoints", client).status_code == 403
    assert stack.call("GET", "/v1/failing-endpoints").status_code == 401
    bad = stack.call("GET", "/v1/failing-endpoints", operator, params={"sort": "name"})
    assert bad.status_code == 400
