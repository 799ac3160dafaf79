"""Entity subscriptions: what a customer does, and what arrives."""

import json
import time

import pytest
from conftest import at_once, dead_letters
from entities import entity_event, new_key
from receiver import Answer, Receiver
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from streams import eventually

EVENTS = ["entity_updated", "document_status_changed", "final_document_generated"]
# Texts that a key may be.
KEYS = [
    "ahNkZXZ-cXVpY2tseXNpZ24tZGV2chULEghEb2N1bWVudBiAgICAgMDvCww",
    "a/b/../c",
    "100%",
    "%2F%20+",
    "two words & more=?#",
    "🔑 señal",
    " ",
    "\u0000\t\n\uffff",
    "🔑" * 512,
]


def is_callback(arrival) -> bool:
    return "subscription_key" in arrival.json()


def log_of(entities, subscription: dict, count: int) -> list[dict]:
    return eventually(
        lambda: entities.customer.callback_log(subscription["key"]),
        lambda log: len(log) >= count,
        f"{count} callbacks in the log",
    )


class TestSubscribing:
    def test_a_subscription_is_created_read_listed_and_deleted(self, entities):
        customer, key = entities.customer, new_key()
        before = int(time.time() * 1000)
        made = customer.create_subscription(key, "https://example.com/v0/test_callback")
        secret = made.pop("secret")
        assert secret.startswith("whsec_")
        assert before <= made["date_created"] == made["date_updated"] <= time.time() * 1000
        assert made == {
            "entity_key": key,
            "date_created": made["date_created"],
            "date_updated": made["date_updated"],
            "subscriber_key": None,
            "callback": "https://example.com/v0/test_callback",
            "key": made["key"],
        }
        assert customer.get_subscription(made["key"]) == made
        assert customer.get_subscriptions() == customer.get_subscriptions(key) == [made]
        assert customer.callback_log(made["key"]) == []
        customer.unsubscribe(made["key"])
        assert customer.get_subscriptions() == customer.get_subscriptions(key) == []
        assert entities.call("GET", f"/subscriptions/{made['key']}").status_code == 404

    def test_the_same_entity_and_callback_are_one_subscription(self, entities):
        customer, key = entities.customer, new_key()
        made = customer.create_subscription(key, "https://example.com/a")
        assert made.pop("secret")
        assert customer.create_subscription(key, "HTTPS://EXAMPLE.com:443/a") == made
        others = [
            customer.create_subscription(key, "https://example.com/b"),
            customer.create_subscription(key + "x", "https://example.com/a"),
        ]
        assert len({made["key"], *(other["key"] for other in others)}) == 3
        assert [it["callback"] for it in customer.get_subscriptions(key)] == [
            "https://example.com/a",
            "https://example.com/b",
        ]

    def test_many_at_once_make_one_subscription(self, entities):
        customer, key = entities.customer, new_key()
        made = at_once(*[lambda: customer.create_subscription(key, "https://example.com/a")] * 8)
        assert len({it["key"] for it in made}) == 1
        assert len([it for it in made if "secret" in it]) == 1
        assert len(customer.get_subscriptions(key)) == 1

    def test_two_clients_with_the_same_request_have_a_subscription_each(self, entities, other_client):
        other, key = entities.of(other_client), new_key()
        mine = entities.customer.create_subscription(key, "https://example.com/a")
        theirs = other.create_subscription(key, "https://example.com/a")
        assert mine["key"] != theirs["key"] and mine["secret"] != theirs["secret"]
        assert [it["key"] for it in other.get_subscriptions(key)] == [theirs["key"]]

    def test_an_entity_is_unsubscribed_as_a_whole(self, entities, other_client):
        customer, other, key = entities.customer, entities.of(other_client), new_key()
        for n in range(3):
            customer.create_subscription(key, f"https://example.com/{n}")
        kept = customer.create_subscription(new_key(), "https://example.com/0")
        theirs = other.create_subscription(key, "https://example.com/0")
        customer.unsubscribe_entity(key)
        assert [it["key"] for it in customer.get_subscriptions()] == [kept["key"]]
        assert [it["key"] for it in other.get_subscriptions(key)] == [theirs["key"]]
        answer = entities.call("DELETE", "/subscriptions", entity_key=key)
        assert (answer.status_code, answer.json()["status"]["status_code"]) == (404, 404)

    def test_all_are_listed_in_pages_oldest_first(self, entities):
        customer = entities.customer
        made = [customer.create_subscription(new_key(), "https://example.com/")["key"] for _ in range(7)]
        seen, cursor = [], None
        for _ in range(10):
            data = entities.call("GET", "/subscriptions", limit=3, cursor=cursor).json()["data"]
            assert len(data["subscriptions"]) <= 3
            seen += [it["key"] for it in data["subscriptions"]]
            if not (cursor := data.get("cursor")):
                break
        assert seen == made
        assert [it["key"] for it in customer.get_subscriptions()] == made

    @pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
    def test_a_key_is_any_text(self, entities, receiver, key):
        customer = entities.customer
        made = customer.create_subscription(key, f"{receiver.url}/callback")
        assert made["entity_key"] == key
        assert [it["key"] for it in customer.get_subscriptions(key)] == [made["key"]]
        entities.publish(key)
        [arrival] = receiver.wait_for(is_callback)
        assert arrival.json()["entity_key"] == key
        customer.unsubscribe_entity(key)
        assert customer.get_subscriptions() == []

    def test_an_entity_has_a_hundred_callbacks_of_a_client_and_no_more(self, entities):
        customer, key = entities.customer, new_key()
        for first in range(0, 100, 10):
            at_once(
                *[
                    lambda n=n: customer.create_subscription(key, f"https://example.com/{n}")
                    for n in range(first, first + 10)
                ]
            )
        assert len(customer.get_subscriptions(key)) == 100
        answer = entities.post(entities.create_request(entity_key=key))
        assert answer.status_code == 409 and "100" in answer.json()["status"]["message"]
        customer.create_subscription(key, "https://example.com/1")  # one of them
        customer.unsubscribe_entity(key)
        assert customer.get_subscriptions(key) == []


class TestDelivery:
    @pytest.mark.parametrize("event", EVENTS)
    def test_a_callback_is_as_the_protocol_has_it(self, entities, receiver, event):
        key = new_key()
        made = entities.customer.create_subscription(key, f"{receiver.url}/callback?x=1")
        entities.publish(key, event=event)
        [arrival] = receiver.wait_for(is_callback)
        assert (arrival.method, arrival.path) == ("POST", "/callback?x=1")
        assert arrival.json() == {
            "subscription_key": made["key"],
            "entity_key": key,
            "entity_type": "Document",
            "callback_event": event,
        }
        assert arrival.headers["content-type"] == "application/json"
        assert arrival.headers["x-bellwire-attempt"] == "1"
        assert not [name for name in arrival.headers if name.startswith("x-axway")]
        Webhook(made["secret"]).verify(arrival.body, arrival.headers)

    def test_an_event_is_delivered_to_the_clients_that_it_names_and_nobody_else(self, entities, other_client, stack):
        third, key = stack.new_client(), new_key()
        with Receiver() as receiver:
            for name, client in {"mine": entities.client, "theirs": other_client, "third": third}.items():
                entities.of(client).create_subscription(key, f"{receiver.url}/{name}")
            entities.customer.create_subscription(new_key(), f"{receiver.url}/another")
            entities.publish(key, entities.client, entities.client, third)
            receiver.wait_for(is_callback, 2)
            entities.publish(key, other_client)
            receiver.wait_for(lambda it: it.path == "/theirs")
            assert sorted(it.path for it in receiver.arrivals) == ["/mine", "/theirs", "/third"]

    def test_nothing_is_delivered_to_a_deleted_subscription(self, entities, receiver):
        key = new_key()
        gone, kept = (entities.customer.create_subscription(key, receiver.url + path) for path in ("/gone", "/kept"))
        entities.customer.unsubscribe(gone["key"])
        entities.publish(key)
        [arrival] = receiver.wait_for(is_callback)
        assert arrival.json()["subscription_key"] == kept["key"]
        log_of(entities, kept, 1)
        assert len(receiver.arrivals) == 1

    def test_an_idempotency_key_makes_repeated_events_one(self, entities, receiver):
        key = new_key()
        made = entities.customer.create_subscription(key, receiver.url)
        first = entities.publish(key, Idempotency_Key="k1")
        receiver.wait_for(is_callback)
        log_of(entities, made, 1)
        assert entities.publish(key, Idempotency_Key="k1") == first
        assert entities.publish(key, event="final_document_generated", Idempotency_Key="k2") != first
        arrivals = receiver.wait_for(is_callback, 2)
        assert [it.json()["callback_event"] for it in arrivals] == ["entity_updated", "final_document_generated"]
        log_of(entities, made, 2)
        assert len(receiver.arrivals) == 2

    @pytest.mark.parametrize("bus", ["the stack's", "the account's"])
    def test_the_same_event_comes_from_eventbridge(self, entities, receiver, stack, bus):
        key = new_key()
        made = entities.customer.create_subscription(key, receiver.url)
        put(stack, entity_event(key, entities.client), bus)
        [arrival] = receiver.wait_for(is_callback)
        assert arrival.json() == {
            "subscription_key": made["key"],
            "entity_key": key,
            "entity_type": "Document",
            "callback_event": "entity_updated",
        }

    @pytest.mark.parametrize(
        ("field", "value", "reason"),
        [
            ("callback_event", "updated", "unknown variant `updated`"),
            ("entity_type", "Envelope", "unknown variant `Envelope`"),
            ("client_ids", [], "1 to 100 clients"),
            ("client_ids", ["nobody"], "not the id of a client"),
            ("entity_key", "", "1 to 512 characters"),
            ("more", 1, "unknown field `more`"),
        ],
    )
    def test_an_event_from_eventbridge_that_is_none_is_a_dead_letter(self, entities, stack, field, value, reason):
        key = new_key()
        # The key is what the dead letter is found by.
        event = entity_event(key, entities.client) | {field: value}
        if field == "entity_key":
            event["client_ids"] += [key]
        put(stack, event, "the stack's")

        [found] = eventually(lambda: dead_letters(stack, "DeadFanOutsQueueUrl", key), bool, "dead letter", 60)
        dead_letter = json.loads(stack.cli("dead-letters", "show", found["MessageId"], "--json").stdout)
        stack.cli("dead-letters", "drop", dead_letter["id"])
        if field != "entity_key":
            assert reason in dead_letter["reason"]
        assert dead_letter["what"] == "malformed"


def put(stack, event: dict, bus: str) -> None:
    """Puts an event on a bus, as the provider's own code does."""
    entry = {"Source": "bellwire.entities", "DetailType": "Entity Event", "Detail": json.dumps(event)}
    if bus == "the stack's":
        entry["EventBusName"] = stack.outputs["EventBusName"]
    answer = stack.aws("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0, answer


class TestFailing:
    def test_a_callback_is_tried_again_and_every_attempt_is_in_the_log(self, entities):
        answers = [Answer(500, body=b"not now"), Answer(fault="reset"), Answer(201, body=b"thanks")]
        with Receiver(answer=lambda _: answers.pop(0)) as receiver:
            key = new_key()
            made = entities.customer.create_subscription(key, f"{receiver.url}/callback")
            entities.publish(key)
            log = log_of(entities, made, 3)
            arrivals = receiver.wait_for(is_callback, 3)
        assert [it["attempt"] for it in log] == [3, 2, 1]
        assert [it["date"] for it in log] == sorted((it["date"] for it in log), reverse=True)
        assert len({it["delivery_key"] for it in log} | {it.headers["webhook-id"] for it in arrivals}) == 1
        for entry in log:
            assert entry["callback_event"] == "entity_updated"
            assert entry["request"]["url"] == f"{receiver.url}/callback"
            assert entry["request"]["body"].encode() == arrivals[0].body
            assert entry["request"]["headers"]["webhook-id"] == entry["delivery_key"]
            assert entry["duration"].startswith("PT")
            assert "next_attempt" not in entry
        last, second, first = log
        assert (last["response"]["status_code"], last["response"]["body"]) == (201, "thanks")
        assert "error" not in last
        assert "response" not in second and second["error"]
        assert (first["response"]["status_code"], first["error"]) == (500, "500 INTERNAL_SERVER_ERROR")
        assert first["response"]["body"] == "not now"

    def test_the_log_says_when_a_retry_is_due(self, entities):
        with Receiver(answer=lambda _: Answer(503, {"Retry-After": "600"})) as receiver:
            key = new_key()
            made = entities.customer.create_subscription(key, receiver.url)
            entities.publish(key)
            [entry] = log_of(entities, made, 1)
        assert 590_000 <= entry["next_attempt"] - entry["date"] <= 700_000
        view = entities.customer.get_subscription(made["key"])
        assert entry["date"] - 1000 <= view["date_failing_since"]

    def test_the_log_has_pages_newest_first(self, entities, receiver):
        key = new_key()
        made = entities.customer.create_subscription(key, receiver.url)
        for _ in range(5):
            entities.publish(key)
        log = log_of(entities, made, 5)
        seen, cursor = [], None
        for _ in range(10):
            path = f"/subscriptions/{made['key']}/callbacks"
            data = entities.call("GET", path, limit=2, cursor=cursor).json()["data"]
            seen += data["callbacks"]
            if not (cursor := data.get("cursor")):
                break
        assert seen == log

    def test_an_exhausted_callback_is_a_dead_letter_and_can_be_sent_again(self, entities, stack):
        with Receiver(answer=lambda _: Answer(500)) as receiver:
            key = new_key()
            made = entities.customer.create_subscription(key, receiver.url)
            event = entities.publish(key)

            def listed_dead_letters() -> list[dict]:
                listed = stack.cli("dead-letters", "list", "--json", "--subscription", made["key"])
                return json.loads(listed.stdout)

            [dead_letter] = eventually(listed_dead_letters, bool, "dead letter")
            assert (dead_letter["what"], dead_letter["reason"]) == (
                f"entity event {event}",
                "500 INTERNAL_SERVER_ERROR",
            )
            receiver.answer = lambda _: Answer()
            stack.cli("dead-letters", "redrive", dead_letter["id"])
            arrivals = receiver.wait_for(is_callback, 5)
            assert len({it.headers["webhook-id"] for it in arrivals}) == 1

    def test_an_endpoint_that_is_gone_is_disabled_and_subscribing_again_enables_it(self, entities):
        with Receiver(answer=lambda _: Answer(410)) as receiver:
            key = new_key()
            made = entities.customer.create_subscription(key, receiver.url)
            entities.publish(key)
            view = eventually(
                lambda: entities.customer.get_subscription(made["key"]), lambda it: "disabled_reason" in it, "410"
            )
            assert view["disabled_reason"] == "gone"
            assert made["date_created"] < view["date_disabled"] == view["date_updated"]
            receiver.answer = lambda _: Answer()
            again = entities.customer.create_subscription(key, receiver.url)
            assert again["key"] == made["key"]
            assert not {"disabled_reason", "date_disabled", "secret"} & again.keys()
            entities.publish(key, event="final_document_generated")
            arrivals = receiver.wait_for(is_callback, 2)
            assert arrivals[1].json()["callback_event"] == "final_document_generated"

    def test_a_rotated_secret_is_good_beside_the_old_one(self, entities, receiver):
        key = new_key()
        made = entities.customer.create_subscription(key, receiver.url)
        path = f"/subscriptions/{made['key']}/secret/rotate"
        answer = entities.post(entities.customer.credentials, path)
        assert answer.status_code == 200
        rotated = answer.json()["data"]["subscription"]
        assert rotated["secret"] != made["secret"] and rotated["key"] == made["key"]
        entities.publish(key)
        [arrival] = receiver.wait_for(is_callback)
        for secret in (made["secret"], rotated["secret"]):
            Webhook(secret).verify(arrival.body, arrival.headers)
        other = entities.customer.create_subscription(new_key(), receiver.url)["secret"]
        with pytest.raises(WebhookVerificationError):
            Webhook(other).verify(arrival.body, arrival.headers)
