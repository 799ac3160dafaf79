"""The callback log across subscriptions."""

import pytest
from entities import every_page, new_key
from receiver import Answer, Receiver
from streams import eventually
from test_entity_bad_input import CURSORS, refused

LOGS = "/webhook_callback_logs"


def entries(entities, count: int, path: str = LOGS, **parameters) -> list[dict]:
    """So many entries, as soon as there are as many."""

    def listed() -> list[dict]:
        answer = entities.call("GET", path, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["webhook_callback_logs"]

    return eventually(listed, lambda found: len(found) >= count, f"{count} entries")


def test_an_entry_says_what_was_sent_and_what_came_back(entities):
    answers = [Answer(503, body=b"hunter2"), Answer(201)]
    with Receiver(answer=lambda _: answers.pop(0)) as receiver:
        key = new_key()
        made = entities.customer.create_subscription(key, f"{receiver.url}/callback?token=hunter2")
        entities.publish(key)
        last, first = entries(entities, 2, entity_key=key)
        [attempt, _] = entities.customer.callback_log(made["key"])
    delivery = attempt["delivery_key"]
    assert (last["key"], first["key"]) == (f"{delivery}-2", f"{delivery}-1")
    for entry, number, result in ((last, 2, "201 CREATED"), (first, 1, "503 SERVICE_UNAVAILABLE")):
        assert entry["log"].startswith(
            f"POST {receiver.url}/callback (entity_updated, attempt {number}): {result} after "
        )
        assert entry["date_created"] <= entry["date_updated"] <= entry["date_created"] + 15_000
        assert {name: entry[name] for name in entry.keys() - {"key", "log", "date_created", "date_updated"}} == {
            "entity_key": key,
            "callback_event": "entity_updated",
            "subscriber_key": None,
            "subscription_key": made["key"],
        }
        assert "hunter2" not in str(entry) and made["secret"] not in str(entry)
    assert last["date_created"] == attempt["date"]


def test_it_has_all_subscriptions_of_an_entity_newest_first_in_pages(entities, receiver, other_client):
    key = new_key()
    made = [entities.customer.create_subscription(key, f"{receiver.url}/{n}")["key"] for n in range(3)]
    entities.customer.create_subscription(other := new_key(), f"{receiver.url}/other")
    entities.of(other_client).create_subscription(key, f"{receiver.url}/theirs")
    entities.publish(other)
    for _ in range(2):
        entities.publish(key, entities.client, other_client)
    found = entries(entities, 6, entity_key=key)
    assert sorted(it["subscription_key"] for it in found) == sorted(made * 2)
    assert [it["date_created"] for it in found] == sorted((it["date_created"] for it in found), reverse=True)
    assert {it["entity_key"] for it in found} == {key}
    pages = every_page(entities, LOGS, entity_key=key, limit=2)
    assert [it for page in pages for it in page["data"]["webhook_callback_logs"]] == found
    assert [len(page["data"]["webhook_callback_logs"]) for page in pages] == [2, 2, 2]


def test_pages_stay_right_while_attempts_are_added(entities, receiver):
    key = new_key()
    for n in range(2):
        entities.customer.create_subscription(key, f"{receiver.url}/{n}")
    for _ in range(2):
        entities.publish(key)
    found = entries(entities, 4, entity_key=key)
    first = entities.call("GET", LOGS, entity_key=key, limit=2).json()
    assert first["data"]["webhook_callback_logs"] == found[:2]
    entities.publish(key)
    entries(entities, 6, entity_key=key)
    cursor = first["pagination"]["next"].rsplit("cursor=", 1)[1]
    second = entities.call("GET", LOGS, entity_key=key, limit=2, cursor=cursor).json()
    assert second["data"]["webhook_callback_logs"] == found[2:]
    assert second["pagination"] == {"next": None}


@pytest.mark.parametrize(("path", "name"), [(LOGS, "subscription_key"), (f"/v1{LOGS}", "webhook_key")])
@pytest.mark.parametrize("asked", ["subscription_key", "webhook_key"])
def test_it_is_of_one_subscription_by_either_name(entities, receiver, path, name, asked):
    key = new_key()
    made = [entities.customer.create_subscription(key, f"{receiver.url}/{n}")["key"] for n in range(2)]
    entities.publish(key)
    [entry] = entries(entities, 1, path, **{asked: made[0]})
    assert entry[name] == made[0]
    assert len({"subscription_key", "webhook_key"} & entry.keys()) == 1


@pytest.mark.parametrize("path", [LOGS, f"/v1{LOGS}"])
def test_it_is_of_exactly_one_thing(entities, path):
    for parameters, field in [
        ({}, "entity_key"),
        ({"entity_key": "k", "subscription_key": "s"}, "subscription_key"),
        ({"entity_key": "k", "webhook_key": "s"}, "webhook_key"),
        ({"subscription_key": "s", "webhook_key": "s"}, "webhook_key"),
        ({"entity_key": ""}, "entity_key"),
        ({"entity_key": "x" * 513}, "entity_key"),
        ({"subscription_key": ""}, "subscription_key"),
        ({"webhook_key": ""}, "webhook_key"),
        ({"entity_key": "k", "limit": "101"}, "limit"),
    ]:
        assert refused(entities.call("GET", path, **parameters), 400)["field"] == field, parameters


@pytest.mark.parametrize("cursor", CURSORS, ids=range(len(CURSORS)))
def test_cursors_that_are_garbage(entities, cursor):
    refused(entities.call("GET", LOGS, entity_key="k", cursor=cursor), 400, "cursor")


def test_it_shows_a_client_nothing_but_its_own(entities, receiver, other_client):
    key = new_key()
    theirs = entities.of(other_client).create_subscription(key, receiver.url)
    entities.publish(key, other_client)
    receiver.wait_for(lambda _: True)
    refused(entities.call("GET", LOGS, subscription_key=theirs["key"]), 404)
    assert entities.call("GET", LOGS, entity_key=key).json()["data"] == {"webhook_callback_logs": []}
    refused(entities.call("GET", LOGS, entity_key=key, client_secret="wrong"), 401)
    refused(entities.call("GET", LOGS, webhook_key="nothing"), 404)
