"""Entity subscriptions: every mistake gets the protocol's error, and changes nothing."""

import base64

import pytest
from entities import entity_event, new_key

LONG = "x" * 3000
CALLBACK = "https://example.com/callback"


def refused(answer, status: int, *words: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"status"}
    assert body["status"]["status_code"] == status
    assert body["status"]["request_id"]
    assert body["status"]["errors"][0] == {"code": status, "message": body["status"]["message"]}
    for word in words:
        assert word in body["status"]["message"]
    return body["status"]


BODIES = [
    (b"", "JSON object"),
    (b"[]", "JSON object"),
    (b"null", "JSON object"),
    (b"client_id=1", "JSON object"),
    (b"{", "not JSON"),
    (b'{"subscription": []}', "subscription"),
    (b'{"subscription": "https://example.com/"}', "subscription"),
    (b"{}", "subscription"),
    (b'{"subscription": null}', "subscription"),
]


@pytest.mark.parametrize(("body", "word"), BODIES)
def test_bodies_that_are_none(entities, body, word):
    refused(entities.post(body), 400, word)


@pytest.mark.parametrize(
    ("subscription", "status", "words"),
    [
        ({"entity_key": None}, 400, ["subscription.entity_key"]),
        ({"entity_key": 5}, 400, ["subscription.entity_key"]),
        ({"entity_key": ["k"]}, 400, ["subscription.entity_key"]),
        ({"entity_key": ""}, 400, ["subscription.entity_key", "1 to 512"]),
        ({"entity_key": "🔑" * 513}, 400, ["subscription.entity_key", "1 to 512"]),
        ({"entity_key": LONG}, 400, ["subscription.entity_key", "1 to 512"]),
        ({"callback": None}, 400, ["subscription.callback"]),
        ({"callback": 5}, 400, ["subscription.callback"]),
        ({"callback": ""}, 400, ["subscription.callback", "empty"]),
        ({"callback": "example.com"}, 400, ["subscription.callback", "absolute URL"]),
        ({"callback": "ftp://example.com/"}, 400, ["subscription.callback", "https or http"]),
        ({"callback": "https://10.0.0.1/"}, 400, ["subscription.callback", "private"]),
        ({"callback": "https://169.254.169.254/latest/"}, 400, ["subscription.callback", "private"]),
        ({"callback": "https://user:pw@example.com/"}, 400, ["subscription.callback", "password"]),
        ({"callback": f"https://example.com/{LONG}"}, 400, ["subscription.callback", "2048"]),
        ({"extra": 1}, 400, ["extra"]),
    ],
)
def test_requests_that_make_no_sense(entities, subscription, status, words):
    status = refused(entities.post(entities.create_request(**subscription)), status, *words)
    if words[0].startswith("subscription."):
        assert status["field"] == words[0]
    assert entities.customer.get_subscriptions() == []


@pytest.mark.parametrize("field", ["entity_key", "callback"])
def test_a_request_without_one_of_its_fields(entities, field):
    request = entities.create_request()
    del request["subscription"][field]
    refused(entities.post(request), 400, field)


CALLS = [
    ("GET", "/subscriptions"),
    ("DELETE", "/subscriptions"),
    ("GET", "/subscriptions/{key}"),
    ("DELETE", "/subscriptions/{key}"),
    ("GET", "/subscriptions/{key}/callbacks"),
]
WRONG = [None, "", "wrong", LONG, "🔑", "cl_bbbbbbbbbbbbbbbbbbbbbbbb"]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("field", ["client_id", "client_secret"])
def test_wrong_credentials_open_nothing(entities, field, wrong):
    key = new_key()
    made = entities.customer.create_subscription(key, CALLBACK)
    for method, path in CALLS:
        path = path.format(key=made["key"])
        refused(entities.call(method, path, entity_key=key, **{field: wrong}), 401, field)
    for path, body in [
        ("/subscriptions", entities.create_request() | {field: wrong}),
        (f"/subscriptions/{made['key']}/secret/rotate", entities.customer.credentials | {field: wrong}),
    ]:
        refused(entities.post(body, path), 401, field)
        if wrong is None:
            del body[field]
            refused(entities.post(body, path), 401, field)
    assert [it["key"] for it in entities.customer.get_subscriptions()] == [made["key"]]


@pytest.mark.parametrize("field", ["client_id", "client_secret"])
def test_credentials_of_the_wrong_type(entities, field):
    wrongs: list = [5, True, [], {}]
    for wrong in wrongs:
        refused(entities.post(entities.create_request() | {field: wrong}), 400, field)


def test_the_secret_of_another_client_opens_nothing(entities, other_client):
    refused(entities.call("GET", "/subscriptions", client_secret=other_client.client_secret), 401)
    refused(entities.call("GET", "/subscriptions", client_id=other_client.client_id), 401)


def test_a_refusal_is_the_same_whether_or_not_the_client_exists(entities):
    known = refused(entities.call("GET", "/subscriptions", client_secret="wrong"), 401)
    unknown = refused(
        entities.call("GET", "/subscriptions", client_id="cl_bbbbbbbbbbbbbbbbbbbbbbbb", client_secret="wrong"), 401
    )
    none = refused(entities.call("GET", "/subscriptions", client_id="nobody", client_secret="wrong"), 401)
    assert known["message"] == unknown["message"] == none["message"]


def test_an_api_key_is_no_credential(entities, stack, client):
    refused(stack.call("GET", "/subscriptions", client), 401)


def test_a_client_that_is_disabled_is_shut_out_at_once(entities, stack, client):
    entities.customer.get_subscriptions()
    assert stack.cli("clients", "disable", client.client_id).returncode == 0
    refused(entities.call("GET", "/subscriptions"), 401)
    refused(entities.post(entities.create_request()), 401)


def test_another_clients_subscription_is_not_there(entities, other_client):
    key = new_key()
    theirs = entities.of(other_client).create_subscription(key, CALLBACK)
    for method, path in CALLS[2:]:
        refused(entities.call(method, path.format(key=theirs["key"])), 404)
    refused(entities.post(entities.customer.credentials, f"/subscriptions/{theirs['key']}/secret/rotate"), 404)
    refused(entities.call("DELETE", "/subscriptions", entity_key=key), 404)
    assert entities.customer.get_subscriptions(key) == []
    assert len(entities.of(other_client).get_subscriptions(key)) == 1


@pytest.mark.parametrize("key", ["nothing", "🔑", "%00", "a%2Fb", "a%20b", LONG, "..%2F.."])
def test_what_is_not_there_is_not_found(entities, key):
    for method, path in CALLS[2:]:
        assert entities.call(method, path.format(key=key)).status_code == 404
    assert entities.post(entities.customer.credentials, f"/subscriptions/{key}/secret/rotate").status_code == 404


def test_a_subscription_is_deleted_once(entities):
    made = entities.customer.create_subscription(new_key(), CALLBACK)
    entities.customer.unsubscribe(made["key"])
    refused(entities.call("DELETE", f"/subscriptions/{made['key']}"), 404)


def test_a_subscription_to_a_topic_is_none_to_an_entity(entities, streams):
    topic = streams.topic()
    subscription = streams.subscribe(topic, CALLBACK)
    for method, path in CALLS[2:]:
        refused(entities.call(method, path.format(key=subscription["id"])), 404)
    assert entities.customer.get_subscriptions() == []
    assert streams.show(subscription)["id"] == subscription["id"]


def test_a_subscription_to_an_entity_is_none_to_a_topic(entities, streams):
    made = entities.customer.create_subscription(new_key(), CALLBACK)
    for method, action in [("GET", ""), ("DELETE", ""), ("GET", "exchanges"), ("POST", "enable")]:
        assert streams.on({"id": made["key"]}, action, method).status_code == 404
    assert entities.customer.get_subscription(made["key"])["key"] == made["key"]


def test_an_entity_is_unsubscribed_by_its_key(entities):
    refused(entities.call("DELETE", "/subscriptions"), 400, "entity_key")
    for bad in ("", LONG):
        for method in ("GET", "DELETE"):
            refused(entities.call(method, "/subscriptions", entity_key=bad), 400, "entity_key", "1 to 512")
    refused(entities.call("DELETE", "/subscriptions", entity_key=new_key()), 404)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


CURSORS = [
    "",
    "garbage",
    "🔑",
    LONG,
    "AAAA",
    "_w",
    encoded("x"),
    encoded("2026"),
    encoded("entity"),
    encoded(f"entity#{LONG}"),
    encoded(f"2026-01-01T00:00:00Z#{LONG}"),
]


@pytest.mark.parametrize("cursor", CURSORS, ids=range(len(CURSORS)))
def test_cursors_that_are_garbage(entities, cursor):
    made = entities.customer.create_subscription(new_key(), CALLBACK)
    for path in ("/subscriptions", f"/subscriptions/{made['key']}/callbacks"):
        refused(entities.call("GET", path, cursor=cursor), 400, "cursor")


def test_a_cursor_of_another_list_is_garbage(entities, receiver):
    for _ in range(2):
        made = entities.customer.create_subscription(new_key(), CALLBACK)
    cursor = entities.call("GET", "/subscriptions", limit=1).json()["data"]["cursor"]
    refused(entities.call("GET", f"/subscriptions/{made['key']}/callbacks", cursor=cursor), 400, "cursor")


@pytest.mark.parametrize("limit", ["", "0", "-1", "101", "1.5", "ten", "99999999999999999999"])
def test_limits_that_make_no_sense(entities, limit):
    refused(entities.call("GET", "/subscriptions", limit=limit), 400, "limit", "1 to 100")


EVENTS: list[tuple] = [
    ("client_ids", None, "client_ids"),
    ("client_ids", [], "1 to 100 clients"),
    ("client_ids", "cl_bbbbbbbbbbbbbbbbbbbbbbbb", "client_ids"),
    ("client_ids", ["nobody"], "client_ids[0]"),
    ("client_ids", [5], "client_ids[0]"),
    ("client_ids", ["cl_bbbbbbbbbbbbbbbbbbbbbbbb"] * 101, "1 to 100 clients"),
    ("entity_key", None, "entity_key"),
    ("entity_key", "", "entity_key"),
    ("entity_key", 5, "entity_key"),
    ("entity_key", LONG, "entity_key"),
    ("entity_type", "document", "entity_type"),
    ("entity_type", "", "entity_type"),
    ("entity_type", 5, "entity_type"),
    ("callback_event", "updated", "callback_event"),
    ("callback_event", "ENTITY_UPDATED", "callback_event"),
    ("callback_event", "", "callback_event"),
    ("callback_event", LONG, "callback_event"),
    ("callback_event", {}, "callback_event"),
    ("extra", 1, "extra"),
]


@pytest.mark.parametrize(("field", "value", "word"), EVENTS, ids=range(len(EVENTS)))
def test_events_that_are_none(entities, stack, publisher, field, value, word):
    event = entity_event(new_key(), entities.client) | {field: value}
    status = refused(stack.call("POST", "/entities/events", publisher, json=event), 400, word)
    assert len(status["message"]) < 300


@pytest.mark.parametrize("field", ["client_ids", "entity_key", "entity_type", "callback_event"])
def test_events_without_one_of_their_fields(entities, stack, publisher, field):
    event = entity_event(new_key(), entities.client)
    del event[field]
    refused(stack.call("POST", "/entities/events", publisher, json=event), 400, field)


def test_events_are_for_publishers(entities, stack, client):
    event = entity_event(new_key(), entities.client)
    refused(stack.call("POST", "/entities/events", client, json=event), 403)
    refused(stack.call("POST", "/entities/events", json=event), 401)


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_idempotency_keys_that_are_none(entities, stack, publisher, key):
    event = entity_event(new_key(), entities.client)
    answer = stack.call("POST", "/entities/events", publisher, json=event, headers={"Idempotency-Key": key})
    refused(answer, 400, "Idempotency-Key")
