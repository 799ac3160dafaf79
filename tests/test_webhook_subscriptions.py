"""`/subscribers/webhook`: subscriptions to topics."""

import re
import uuid
from operator import itemgetter

import pytest
from streams import eventually
from template import resources

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
URL = "http://127.0.0.1:2/hook"


def test_a_subscription_is_created_read_and_deleted(streams):
    topic = streams.topic("snapshot")
    request = {
        "webhookUrl": URL,
        "webhookHeaders": {"Authorization": "Bearer AbCdEf123456", "X-Empty": ""},
        "subscriptionMode": "snapshot-only",
    }
    answer = streams.request_subscription(topic, **request)
    assert answer.status_code == 201
    made = answer.json()
    assert request.items() <= made.items()
    assert made["topicId"] == topic
    assert uuid.UUID(made["id"])
    assert made["secret"].startswith("whsec_")
    assert (made["status"], made["subscriptionStatus"]) == ("active", "active")
    assert answer.headers["Location"].endswith(f"/subscribers/webhook/subscriptions/{made['id']}")
    assert TIMESTAMP.fullmatch(made["createTimestamp"])
    # From now on neither the secret nor a header's value is shown.
    response = streams.on(made, method="GET")
    assert response.status_code == 200
    del made["secret"]
    assert response.json() == made | {"webhookHeaders": {"Authorization": "[redacted]", "X-Empty": "[redacted]"}}
    assert "AbCdEf" not in response.text
    assert response.headers["ETag"] == answer.headers["ETag"]
    gone = streams.on(made, method="DELETE")
    assert (gone.status_code, gone.content) == (204, b"")
    assert streams.on(made, method="GET").status_code == 404
    assert streams.on(made, method="DELETE").status_code == 404


@pytest.mark.parametrize(
    ("payload", "subscribers", "asked", "got"),
    [
        ("snapshot", {}, None, "snapshot-patch"),
        ("event", {}, None, "event"),
        ("snapshot", {"allowedSubscriptionModes": ["snapshot-only", "snapshot-patch"]}, None, "snapshot-only"),
        ("snapshot", {"defaultSubscriptionMode": "snapshot-only"}, None, "snapshot-only"),
        ("snapshot", {"defaultSubscriptionMode": "snapshot-only"}, "snapshot-patch", "snapshot-patch"),
        ("snapshot", {"allowedSubscriptionModes": ["snapshot-only"]}, "snapshot-patch", None),
        ("snapshot", {}, "event", None),
        ("event", {}, "snapshot-only", None),
        ("event", {}, "event", "event"),
    ],
)
def test_modes_are_the_topics(streams, payload, subscribers, asked, got):
    topic = streams.topic(payload, subscribers=[{"type": "webhook", **subscribers}] if subscribers else [])
    options = {"subscriptionMode": asked} if asked else {}
    answer = streams.request_subscription(topic, webhookUrl=URL, **options)
    if got:
        assert (answer.status_code, answer.json()["subscriptionMode"]) == (201, got)
    else:
        assert answer.status_code == 400
        assert "subscriptionMode" in answer.json()["message"]


OAUTH = {"type": "oauth2", "clientId": "me", "clientSecret": "hush", "provider": "https://id.example.com/token"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"webhookUrl": None}, "webhookUrl"),
        ({"webhookUrl": ""}, "webhookUrl"),
        ({"webhookUrl": 5}, "webhookUrl"),
        ({"webhookUrl": "https://x.example/" + "x" * 2048}, "webhookUrl"),
        ({"webhookUrl": "https://10.0.0.1/"}, "webhookUrl"),
        ({"webhookUrl": "https://[::ffff:169.254.169.254]/"}, "webhookUrl"),
        ({"webhookUrl": "https://user:pw@example.com/"}, "webhookUrl"),
        ({"webhookUrl": "ftp://example.com/"}, "webhookUrl"),
        ({"webhookHeaders": []}, "webhookHeaders"),
        ({"webhookHeaders": "x"}, "webhookHeaders"),
        ({"webhookHeaders": {"a": 1}}, "webhookHeaders"),
        ({"webhookHeaders": {"a": None}}, "webhookHeaders"),
        ({"webhookHeaders": {"User-Agent": "curl"}}, "webhookHeaders"),
        ({"webhookUrl": "https://example.com:22/"}, "port 22"),
        ({"webhookUrl": "https://example..com/"}, "webhookUrl"),
        ({"webhookHeaders": {f"x-{n}": "" for n in range(101)}}, "webhookHeaders"),
        ({"webhookHeaders": {"": "x"}}, "webhookHeaders"),
        ({"webhookHeaders": {"a b": "x"}}, "webhookHeaders"),
        ({"webhookHeaders": {"ä": "x"}}, "webhookHeaders"),
        ({"webhookHeaders": {"a": "x\r\nevil: 1"}}, "webhookHeaders"),
        ({"webhookHeaders": {"a": "ä"}}, "webhookHeaders"),
        ({"webhookHeaders": {"a": "x" * 4097}}, "webhookHeaders"),
        ({"webhookHeaders": {"X-A": "1", "x-a": "2"}}, "webhookHeaders"),
        *[
            ({"webhookHeaders": {name: "x"}}, "webhookHeaders")
            for name in (
                "Host",
                "Content-Length",
                "content-type",
                "Transfer-Encoding",
                "Connection",
                "webhook-id",
                "Webhook-Signature",
                "X-Axway-Streams-Topic-Id",
                "x-bellwire-attempt",
            )
        ],
        ({"subscriptionMode": "patch"}, "subscriptionMode"),
        ({"subscriptionMode": ""}, "subscriptionMode"),
        ({"subscriptionMode": 1}, "subscriptionMode"),
        ({"subscriptionMode": "event"}, "subscriptionMode"),
        ({"authorization": {}}, "authorization"),
        ({"authorization": "Bearer x"}, "authorization"),
        ({"authorization": OAUTH | {"type": "basic"}}, "authorization"),
        ({"authorization": OAUTH | {"clientId": ""}}, "authorization.clientId"),
        ({"authorization": OAUTH | {"clientSecret": "x" * 2049}}, "authorization.clientSecret"),
        ({"authorization": OAUTH | {"provider": "https://169.254.169.254/"}}, "authorization.provider"),
        ({"authorization": OAUTH | {"mode": "query"}}, "authorization.mode"),
        ({"authorization": OAUTH | {"scope": 1}}, "authorization.scope"),
        ({"authorization": OAUTH, "webhookHeaders": {"authorization": "x"}}, "webhookHeaders"),
        ({"id": "mine"}, "id"),
        ({"secret": "whsec_x"}, "secret"),
    ],
)
def test_requests_that_make_no_sense(streams, change, word):
    topic = streams.topic("snapshot")
    request = {
        key: value for key, value in ({"webhookUrl": "https://example.com/"} | change).items() if value is not None
    }
    answer = streams.request_subscription(topic, **request)
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert word in body["message"]
    assert "hush" not in answer.text
    path = f"/subscribers/webhook/topics/{topic}/subscriptions"
    assert streams.stack.call("GET", path, streams.subscriber).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b'{"webhookUrl": "https://example.com/", "webhookUrl": "https://example.com/"}', 400),
        (b'{"webhookHeaders": ' + b"[" * 10_000 + b"}", 400),
        (b'{"webhookUrl": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
def test_bodies_that_make_no_sense(streams, stack, client, body, status):
    path = f"/subscribers/webhook/topics/{streams.topic()}/subscriptions"
    assert stack.call("POST", path, client, data=body).status_code == status


def test_a_hundred_headers_are_enough(streams):
    topic = streams.topic()
    made = streams.subscribe(topic, URL, webhookHeaders={f"x-{n}": str(n) for n in range(100)})
    assert len(made["webhookHeaders"]) == 100


def test_a_topic_that_is_not_there(streams, stack, client):
    for topic in (str(uuid.uuid4()), "x", "%2F", "name%23abc"):
        path = f"/subscribers/webhook/topics/{topic}/subscriptions"
        assert stack.call("POST", path, client, json={"webhookUrl": URL}).status_code == 404
        assert stack.call("GET", path, client).status_code == 404


CALLS = [
    ("GET", "", None),
    ("PATCH", "", {"subscriptionStatus": "suspended"}),
    ("DELETE", "", None),
    ("POST", "test", {"a": 1}),
    ("GET", "exchanges", None),
    ("POST", "secret/rotate", None),
    ("POST", "enable", None),
    ("POST", "disable", None),
    ("POST", "replay", {"start": "2026-01-01T00:00:00Z"}),
]


@pytest.mark.parametrize(("method", "action", "body"), CALLS)
def test_anothers_subscription_is_not_there(streams, other_client, method, action, body):
    subscription = streams.subscribe(streams.topic(), URL)
    foreign = streams.on(subscription, action, method, client=other_client, json=body)
    unknown = streams.on({"id": str(uuid.uuid4())}, action, method, json=body)
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.json()["message"] == unknown.json()["message"]
    assert streams.on(subscription, action, method, client=None, json=body).status_code == 401
    assert streams.show(subscription)["status"] == "active"


def test_the_list_has_the_callers_own(streams, stack, client, other_client):
    topic, other_topic = streams.topic("snapshot"), streams.topic("snapshot")
    for n, mode in [(3, "snapshot-only"), (1, "snapshot-patch"), (2, "snapshot-only")]:
        streams.subscribe(topic, f"{URL}/{n}", subscriptionMode=mode, webhookHeaders={"a": "hush"})
    streams.subscribe(topic, f"{URL}/theirs", client=other_client)
    streams.subscribe(other_topic, f"{URL}/else")
    path = f"/subscribers/webhook/topics/{topic}/subscriptions"

    def listed(**parameters) -> list[str]:
        answer = stack.call("GET", path, client, params=parameters)
        assert answer.status_code == 200, answer.text
        assert "hush" not in answer.text and "whsec_" not in answer.text
        return [it["webhookUrl"].rsplit("/", 1)[1] for it in answer.json()["items"]]

    eventually(listed, lambda it: len(it) == 3, "subscriptions")
    assert listed() == ["3", "1", "2"]
    assert listed(sort="webhookUrl") == ["1", "2", "3"]
    assert listed(sort="webhookUrl,DESC") == ["3", "2", "1"]
    assert listed(sort="subscriptionMode,ASC") == ["3", "2", "1"]
    assert listed(sort="subscriptionMode,DESC", page=1, pageSize=1) == ["1"]
    assert listed(search="subscriptionMode:snapshot-only", sort="webhookUrl,ASC") == ["2", "3"]
    first = stack.call("GET", path, client, params={"pageSize": 2})
    assert set(first.json()["links"]) == {"self", "first", "next", "last"}
    assert 'rel="next"' in first.headers["Link"]


def test_the_list_shows_of_each_what_it_shows_itself(streams, stack, client):
    topic = streams.topic("snapshot")
    authorization = {
        "type": "oauth2",
        "provider": f"{URL}/token",
        "clientId": "x",
        "clientSecret": "hush hush",
        "mode": "header",
    }
    made = streams.subscribe(topic, URL, webhookHeaders={"a": "hush"}, authorization=authorization)
    assert streams.on(made, "disable").status_code == 200
    path = f"/subscribers/webhook/topics/{topic}/subscriptions"
    listed = eventually(
        lambda: stack.call("GET", path, client).json()["items"],
        lambda it: it and it[0]["status"] == "disabled",
        "disabled subscription",
    )
    assert listed == [streams.show(made)]
    # The index of the list lacks nothing but how far a subscription has come.
    [index] = resources()["SubscriptionsTable"]["Properties"]["GlobalSecondaryIndexes"]
    assert set(streams.stored_item(made)) - set(index["Projection"]["NonKeyAttributes"]) == {
        *("subscription_id", "client_id", "listed"),
        *("wanted", "acknowledged", "in_doubt", "snapshots_asked", "failures"),
    }


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"page": "0"}, "page"),
        ({"pageSize": "1001"}, "pageSize"),
        ({"sort": "id,ASC"}, "subscriptionMode, webhookUrl"),
        ({"sort": "webhookUrl,UP"}, "sort"),
        ({"search": "webhookUrl"}, "search"),
        ({"search": "a:b AND"}, "search"),
    ],
)
def test_list_parameters_that_make_no_sense(streams, stack, client, parameters, word):
    path = f"/subscribers/webhook/topics/{streams.topic()}/subscriptions"
    answer = stack.call("GET", path, client, params=parameters)
    assert answer.status_code == 400
    assert word in answer.json()["message"]


@pytest.mark.parametrize("prefix", ["/subscribers/webhook", "/streams/subscribers/webhook/api/v1"])
def test_the_list_of_all_topics(streams, stack, client, other_client, prefix):
    first, second = streams.topic("event"), streams.topic("snapshot", name=f"orders-{uuid.uuid4()}")
    made = [streams.subscribe(topic, URL) for topic in (first, second)]
    streams.subscribe(first, URL, other_client)

    def listed(**parameters) -> list[dict]:
        answer = stack.call("GET", f"{prefix}/subscriptions", client, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    by_id = itemgetter("id")
    found = eventually(listed, lambda it: len(it) == 2, "both subscriptions")
    shown = [{k: v for k, v in it.items() if k != "topicName"} for it in found]
    assert sorted(shown, key=by_id) == sorted((streams.show(it) for it in made), key=by_id)
    [named] = listed(search=f"topicId:{second}")
    assert named["topicName"].startswith("orders-")
    assert len(listed(page="1", pageSize="1")) == 1
    answer = stack.call("GET", f"{prefix}/subscriptions", client, params={"sort": "topicName"})
    assert answer.status_code == 400
    # A topic's deletion takes its subscriptions out of the list at once.
    assert stack.call("DELETE", f"/topics/{second}", streams.publisher).status_code == 204
    assert [it["topicId"] for it in listed()] == [first]
