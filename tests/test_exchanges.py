"""The history of a subscription's exchanges, and the test endpoint that writes into it."""

import json
import re
import uuid
from urllib.parse import urljoin

import pytest
import requests
from receiver import Answer, Receiver
from streams import ago, event_type, is_streams

DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_an_exchange_says_what_was_sent_and_answered(streams):
    answer = Answer(200, {"Content-Type": "application/json; charset=utf-8"}, b'{ "success": "ok" }')
    with Receiver(answer=lambda _: answer) as receiver:
        topic = streams.topic("snapshot")
        secrets = {"Authorization": "Bearer AbC", "X-Key": "hush"}
        subscription = streams.subscribe(topic, f"{receiver.url}/hook?a=b", webhookHeaders=secrets)
        streams.publish(topic, {"n": 1})
        [arrival] = receiver.wait_for(is_streams)
        [exchange] = streams.wait_for_exchanges(subscription, 1)
    assert exchange["subscriptionId"] == subscription["id"]
    assert exchange["pipelineId"] == arrival.headers["webhook-id"]
    assert exchange["eventType"] == "snapshot"
    assert DATETIME.fullmatch(exchange["requestDatetime"])
    assert re.fullmatch(r"PT\d+\.\d{3}S", exchange["requestDuration"])
    assert exchange["requestUrl"] == f"{receiver.url}/hook?a=b"
    sent = exchange["requestHeaders"]
    assert sent["Authorization"] == sent["X-Key"] == "[redacted]"
    assert sent["webhook-id"] == arrival.headers["webhook-id"]
    assert sent["x-axway-streams-topic-id"] == topic
    assert exchange["responseCode"] == 200
    assert exchange["responseHeaders"]["content-type"] == "application/json; charset=utf-8"
    assert (exchange["responseBody"], exchange["responseSize"]) == ('{ "success": "ok" }', "19B")
    absent = {"requestRetryAttempts", "requestRetryMaxAttempts", "errorMessage"}
    assert not absent & set(exchange)
    assert "hush" not in json.dumps(exchange)


def test_a_failed_exchange_says_why(streams):
    with Receiver(answer=lambda _: Answer(404)) as receiver:
        topic = streams.topic()
        subscription = streams.subscribe(topic, f"{receiver.url}/wrong/path")
        streams.publish(topic, 1)
        exchanges = streams.wait_for_exchanges(subscription, 4)
    assert [it["errorMessage"] for it in exchanges] == ["404 NOT_FOUND"] * 4
    assert [it.get("requestRetryAttempts") for it in exchanges] == [None, 1, 2, 3]
    assert [it.get("requestRetryMaxAttempts") for it in exchanges] == [None, 3, 3, 3]


def test_nobody_listens(streams):
    subscription = streams.subscribe(streams.topic(), "http://127.0.0.1:2/")
    assert streams.on(subscription, "test", json={}).status_code == 202
    [exchange] = streams.wait_for_exchanges(subscription, 1)
    assert "refused" in exchange["errorMessage"].lower()
    assert "responseCode" not in exchange and "responseHeaders" not in exchange


class TestTests:
    """`POST …/test`."""

    def test_an_object_too_large_for_a_message(self, streams, receiver):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        thing = {"text": [uuid.uuid4().hex for _ in range(10_000)]}
        assert streams.on(subscription, "test", json=thing).status_code == 202
        [arrival] = receiver.wait_for(is_streams)
        assert arrival.json() == thing

    def test_the_object_is_sent_as_it_is_once(self, streams):
        with Receiver(answer=lambda _: Answer(500)) as receiver:
            subscription = streams.subscribe(streams.topic("snapshot"), f"{receiver.url}/hook")
            body = '{"any":  [1.50, {"thing": null}]}'
            answer = streams.on(subscription, "test", data=body)
            assert answer.status_code == 202
            [arrival] = receiver.wait_for(is_streams)
            assert (arrival.path, arrival.body.decode(), event_type(arrival)) == ("/hook", body, "event")
            [exchange] = streams.wait_for_exchanges(subscription, 1)
            assert exchange["pipelineId"] == answer.json()["pipelineId"] == arrival.headers["webhook-id"]
            # A failed test is no failure of the endpoint, and not repeated: the next one is
            # there before a retry would be.
            assert "failingSince" not in streams.show(subscription)
            for _ in range(2):
                streams.on(subscription, "test", json={})
            streams.wait_for_exchanges(subscription, 3)
            assert len(receiver.arrivals) == 3

    def test_a_disabled_endpoint_can_be_tested(self, streams, receiver):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        streams.on(subscription, "disable")
        assert streams.on(subscription, "test", json={"n": 1}).status_code == 202
        receiver.wait_for(is_streams)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"[]", 400),
            (b"1", 400),
            (b"null", 400),
            (b'"x"', 400),
            (b"{", 400),
            (b'{"a": ' * 10_000, 400),
            (b'{"a": "' + b"x" * 1024 * 1024 + b'"}', 413),
        ],
    )
    def test_what_is_no_object_is_refused(self, streams, body, status):
        subscription = streams.subscribe(streams.topic(), "http://127.0.0.1:2/")
        answer = streams.on(subscription, "test", data=body)
        assert answer.status_code == status
        assert "body" in answer.json()["message"]


class TestTimeRanges:
    """`start` and `end`."""

    def test_a_time_range_is_what_is_asked_for(self, streams, receiver):
        subscription = streams.subscribe(streams.topic(), receiver.url)
        for n in range(3):
            streams.on(subscription, "test", json={"n": n})
            streams.wait_for_exchanges(subscription, n + 1)
        times = [it["requestDatetime"] for it in streams.exchanges(subscription)]
        assert times == sorted(times)

        def between(start: str, end: str) -> list[str]:
            return [it["requestDatetime"] for it in streams.exchanges(subscription, start=start, end=end)]

        assert between(times[0], times[2]) == times
        assert between(times[1], times[1]) == [times[1]]
        assert between(times[1], ago(hours=-1)) == times[1:]
        assert between(ago(hours=2), ago(hours=1)) == []
        assert between(times[1].replace("Z", "+00:00"), times[1].replace("Z", "+00:00")) == [times[1]]

    def test_the_last_five_minutes_unless_asked_otherwise(self, streams, stack):
        subscription = streams.subscribe(streams.topic(), "http://127.0.0.1:2/")
        old, recent = (put_exchange(stack, subscription, ago(minutes=minutes)) for minutes in (6, 4))
        ids = [it["pipelineId"] for it in streams.exchanges(subscription)]
        assert ids == [recent]
        ids = [it["pipelineId"] for it in streams.exchanges(subscription, start=ago(minutes=10))]
        assert ids == [old, recent]
        ids = [it["pipelineId"] for it in streams.exchanges(subscription, end=ago(minutes=5))]
        assert ids == [old]

    def test_more_than_an_answer_holds_comes_in_pages(self, streams, stack, client):
        subscription = streams.subscribe(streams.topic(), "http://127.0.0.1:2/")
        count = 400
        put = [put_exchange(stack, subscription, ago(seconds=280, milliseconds=-n), '"' * 8_000) for n in range(count)]
        path = f"/subscribers/webhook/subscriptions/{subscription['id']}/exchanges"
        found, pages = [], 0
        url: str | None = f"{stack.url}{path}?start={ago(hours=1)}"
        while url:
            answer = requests.get(url, headers={"x-api-key": client.api_key}, timeout=30)
            assert answer.status_code == 200
            assert len(answer.content) < 6_000_000
            found += [it["pipelineId"] for it in answer.json()]
            pages += 1
            url = urljoin(answer.url, answer.links["next"]["url"]) if "next" in answer.links else None
        assert found == put
        assert pages > 1

    @pytest.mark.parametrize(
        ("parameters", "word"),
        [
            ({"start": "2021-01-10T10:13:32"}, "start"),
            ({"end": "2021-01-10"}, "end"),
            ({"start": ""}, "start"),
            ({"start": "yesterday"}, "start"),
            ({"end": "2021-13-10T10:13:32Z"}, "end"),
            ({"start": "2021-01-10T10:13:33Z", "end": "2021-01-10T10:13:32Z"}, "start"),
            ({"start": "2999-01-10T10:13:33Z"}, "start"),
            ({"end": "9999-12-31T23:59:59-01:00"}, "end"),
            ({"after": "x" * 1025}, "after"),
        ],
    )
    def test_times_that_make_no_sense(self, streams, parameters, word):
        subscription = streams.subscribe(streams.topic(), "http://127.0.0.1:2/")
        answer = streams.on(subscription, "exchanges", "GET", params=parameters)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith(word)

    @pytest.mark.parametrize("after", ["", "x", "2021", "~", "\u00e9", "2999-01-01T00:00:00.000000Z#x"])
    def test_a_garbled_cursor_is_no_failure(self, streams, after):
        subscription = streams.subscribe(streams.topic(), "http://127.0.0.1:2/")
        answer = streams.on(subscription, "exchanges", "GET", params={"after": after})
        assert (answer.status_code, answer.json()) == (200, [])


def put_exchange(stack, subscription: dict, at: str, body: str = "") -> str:
    """Puts an exchange on record as of another time. Returns its pipeline id."""
    pipeline = str(uuid.uuid4())
    exchange = {
        "subscriptionId": subscription["id"],
        "pipelineId": pipeline,
        "eventType": "event",
        "requestDatetime": at,
        "requestDuration": "PT0.000001S",
        "requestUrl": "http://127.0.0.1:2/",
        "requestHeaders": {},
        "responseBody": body,
    }
    stack.aws("dynamodb").put_item(
        TableName=stack.outputs["ExchangesTable"],
        Item={
            "subscription_id": {"S": subscription["id"]},
            "exchange_id": {"S": f"{at}#{pipeline}#0"},
            "exchange": {"S": json.dumps(exchange)},
            "expires_at": {"N": "9999999999"},
        },
    )
    return pipeline
