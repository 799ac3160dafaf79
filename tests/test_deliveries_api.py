"""Looking at deliveries, and having them sent once more."""

import uuid

import pytest
from conftest import at_once
from entities import every_page, new_key
from receiver import Answer, Receiver
from streams import ago, called, eventually, is_streams

SPELLINGS = ["/subscriptions", "/v1/webhooks"]


def deliveries(streams, subscription: dict, **parameters) -> list[dict]:
    """Those of all pages, each found by the link in the one before."""
    answer, found = streams.on(subscription, "deliveries", "GET", params=parameters), list[dict]()
    while True:
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        assert answer.links["self"]["url"] == page["links"]["self"]
        if "next" not in page["links"]:
            return found
        assert answer.links["next"]["url"] == page["links"]["next"]
        url = called(streams.stack, page["links"]["next"])
        path = url.removeprefix(streams.stack.url)
        answer = streams.stack.call("GET", path, streams.subscriber)


def wait_for(streams, subscription: dict, state: str, count: int = 1) -> list[dict]:
    return eventually(
        lambda: deliveries(streams, subscription, state=state),
        lambda found: len(found) >= count,
        f"{count} {state}",
    )


def numbers(delivery: dict) -> list[int]:
    return [it["attempt"] for it in delivery["attempts"]]


def test_a_delivery_that_failed_twice_and_arrived_has_its_attempts(streams):
    answers = iter([503, 500])
    with Receiver(answer=lambda _: Answer(next(answers, 200))) as receiver:
        topic = streams.topic()
        subscription = streams.subscribe(topic, f"{receiver.url}/hook")
        event = streams.publish(topic, {"n": 1})
        [delivery] = wait_for(streams, subscription, "delivered")
        [arrival, *_] = receiver.wait_for(is_streams, 3)
    assert delivery["id"] == arrival.headers["webhook-id"]
    assert (delivery["eventId"], delivery["eventType"]) == (event, "event")
    assert numbers(delivery) == [3, 2, 1]
    assert [it["responseCode"] for it in delivery["attempts"]] == [200, 500, 503]
    # The same as among the exchanges, which are oldest first.
    exchanges = streams.wait_for_exchanges(subscription, 3)
    attempts = [{k: v for k, v in it.items() if k != "attempt"} for it in delivery["attempts"]]
    assert attempts[::-1] == exchanges
    shown = streams.on(subscription, f"deliveries/{delivery['id']}", "GET")
    assert (shown.status_code, shown.json()) == (200, delivery)


def test_deliveries_are_filtered_and_come_in_pages(streams):
    with Receiver(answer=lambda it: Answer(404 if it.json()["n"] % 2 else 200)) as receiver:
        topic = streams.topic()
        subscription = streams.subscribe(topic, f"{receiver.url}/hook")
        events = [streams.publish(topic, {"n": n}) for n in range(6)]
        failed = wait_for(streams, subscription, "failed", 3)
        found = deliveries(streams, subscription, limit=2)
    assert [it["eventId"] for it in found] == events[::-1]
    assert [it["eventId"] for it in failed] == events[5::-2]
    assert all(numbers(it) == [4, 3, 2, 1] for it in failed)
    listed = lambda **parameters: deliveries(streams, subscription, **parameters)  # noqa: E731
    assert listed(state="failed", limit=1) == failed == listed(code=404)
    assert listed(state="delivered") == listed(code=200, eventType="event") == found[1::2]
    assert listed(eventType="snapshot") == listed(state="superseded") == listed(end=ago(hours=1)) == []
    accepted = found[2]["acceptedTimestamp"]
    assert listed(start=accepted, end=accepted) == [found[2]]
    for name, value in [("state", "gone"), ("eventType", "x"), ("code", "7"), ("limit", "0"), ("cursor", "x")]:
        refused = streams.on(subscription, "deliveries", "GET", params={name: value})
        assert (refused.status_code, refused.json()["field"]) == (400, name)


def test_what_has_arrived_is_sent_once_more(streams, other_client):
    with Receiver() as receiver:
        topic = streams.topic()
        subscription = streams.subscribe(topic, f"{receiver.url}/hook")
        streams.publish(topic, {"n": 1})
        [delivery] = wait_for(streams, subscription, "delivered")
        path = f"deliveries/{delivery['id']}/resend"
        key = {"Idempotency-Key": str(uuid.uuid4())}
        for _ in range(2):
            answer = streams.on(subscription, path, headers=key)
            assert (answer.status_code, answer.json()) == (202, {"id": delivery["id"], "attempt": 2})
        arrivals = receiver.wait_for(is_streams, 2)
        again = eventually(
            lambda: streams.on(subscription, f"deliveries/{delivery['id']}", "GET").json(),
            lambda it: len(it["attempts"]) == 2,
            "second attempt",
        )
        # The list finds it, too, though the delivery had arrived at once.
        assert deliveries(streams, subscription) == [again]
    assert [it.headers["x-bellwire-attempt"] for it in arrivals] == ["1", "2"]
    assert len({it.headers["webhook-id"] for it in arrivals}) == 1
    assert again["attempts"][1] == delivery["attempts"][0]
    assert again["attempts"][0]["resend"] is True
    assert streams.wait_for_exchanges(subscription, 2)[1]["resend"] is True
    # It is nobody else's.
    for method, action in [("GET", ""), ("GET", f"/{delivery['id']}"), ("POST", f"/{delivery['id']}/resend")]:
        foreign = streams.on(subscription, f"deliveries{action}", method, client=other_client)
        assert foreign.status_code == 404
    unknown = streams.on(subscription, f"deliveries/{delivery['id'][:-1]}x", "GET")
    assert unknown.status_code == 404


def test_a_resend_that_arrives_ends_a_failed_delivery(streams):
    answers = iter([500] * 5)
    with Receiver(answer=lambda _: Answer(next(answers, 200))) as receiver:
        topic = streams.topic()
        subscription = streams.subscribe(topic, f"{receiver.url}/hook")
        streams.publish(topic, {"n": 1})
        [delivery] = wait_for(streams, subscription, "failed")
        for attempt in (5, 6):
            path = f"deliveries/{delivery['id']}/resend"
            assert streams.on(subscription, path).json()["attempt"] == attempt
            receiver.wait_for(is_streams, attempt)
            eventually(
                lambda: streams.on(subscription, f"deliveries/{delivery['id']}", "GET").json(),
                lambda it: len(it["attempts"]) == attempt,  # noqa: B023
                "another attempt",
            )
    [arrived] = wait_for(streams, subscription, "delivered")
    assert [it.get("responseCode") for it in arrived["attempts"]] == [200, *[500] * 5]
    assert [it.get("resend") for it in arrived["attempts"]] == [True, True, None, None, None, None]


def test_of_a_document_the_current_version_is_sent_once_more(streams):
    with Receiver() as receiver:
        topic = streams.topic("snapshot")
        subscription = streams.subscribe(topic, f"{receiver.url}/hook")
        for n in (1, 2):
            streams.publish(topic, {"n": n, "text": "x" * 5000})
            receiver.wait_for(is_streams, n)
        second, first = eventually(
            lambda: deliveries(streams, subscription), lambda found: len(found) == 2, "two versions"
        )
        assert [second["version"], first["version"]] == [2, 1]
        assert [second["state"], first["state"]] == ["delivered"] * 2
        assert second["attempts"][0]["eventType"] == "patch"
        replaced = streams.on(subscription, f"deliveries/{first['id']}/resend")
        assert (replaced.status_code, "newer version" in replaced.text) == (409, True)
        resent = streams.on(subscription, f"deliveries/{second['id']}/resend")
        assert (resent.status_code, resent.json()) == (202, {"id": second["id"], "attempt": 1})
        *_, third = receiver.wait_for(is_streams, 3)
        assert third.json()["n"] == 2
        found = eventually(
            lambda: deliveries(streams, subscription), lambda found: len(found[0]["attempts"]) == 2, "a snapshot"
        )
    assert [it["id"] for it in found] == [second["id"], first["id"]]
    assert found[0]["attempts"][0]["eventType"] == "snapshot"


def test_what_cannot_be_sent_once_more(streams, receiver):
    topic = streams.topic()
    subscription = streams.subscribe(topic, f"{receiver.url}/hook")
    tested = streams.on(subscription, "test", json={}).json()["pipelineId"]
    streams.publish(topic, {"n": 1})
    found = wait_for(streams, subscription, "delivered", 2)
    assert {it["id"] for it in found} > {tested}
    refused = streams.on(subscription, f"deliveries/{tested}/resend")
    assert (refused.status_code, "test" in refused.text) == (409, True)
    [event] = [it["id"] for it in found if it["id"] != tested]
    streams.on(subscription, "disable")
    refused = streams.on(subscription, f"deliveries/{event}/resend")
    assert (refused.status_code, "disabled" in refused.text) == (409, True)
    # What is asked for at the same moment is either sent or refused.
    answers = at_once(
        lambda: streams.on(subscription, "enable"), lambda: streams.on(subscription, f"deliveries/{event}/resend")
    )
    assert [it.status_code in (200, 202, 409) for it in answers] == [True, True]


@pytest.mark.parametrize("path", SPELLINGS)
def test_callbacks_are_listed_and_sent_once_more_in_either_spelling(entities, other_client, path):
    answers = iter([503, 200])
    with Receiver(answer=lambda _: Answer(next(answers, 200))) as receiver:
        key = new_key()
        subscription = entities.customer.create_subscription(key, f"{receiver.url}/callback")["key"]
        listed = lambda **more: entities.call("GET", f"{path}/{subscription}/deliveries", **more).json()  # noqa: E731
        for event in ("entity_updated", "document_status_changed"):
            entities.publish(key, event=event)
        found = eventually(
            lambda: listed(state="delivered")["data"]["deliveries"], lambda found: len(found) == 2, "deliveries"
        )
        [retried] = [it for it in found if len(it["attempts"]) == 2]
        assert [it["attempt"] for it in retried["attempts"]] == [2, 1]
        assert [it["response"]["status_code"] for it in retried["attempts"]] == [200, 503]
        pages = every_page(entities, f"{path}/{subscription}/deliveries", limit=1, state="delivered")
        assert [it for page in pages for it in page["data"]["deliveries"]] == found
        only = listed(callback_event="entity_updated")["data"]["deliveries"]
        assert [it["callback_event"] for it in only] == ["entity_updated"]
        one = f"{path}/{subscription}/deliveries/{retried['delivery_key']}"
        assert entities.call("GET", one).json()["data"] == {"delivery": retried}
        answer = entities.stack.call("POST", f"{one}/resend", json=entities.customer.credentials)
        assert (answer.status_code, answer.json()["data"]) == (
            202,
            {"delivery_key": retried["delivery_key"], "attempt": 3},
        )
        again = eventually(
            lambda: entities.call("GET", one).json()["data"]["delivery"],
            lambda it: len(it["attempts"]) == 3,
            "third attempt",
        )
    assert again["attempts"][0]["resend"] is True
    assert entities.customer.callback_log(subscription)[0] == again["attempts"][0]
    others = entities.of(other_client).credentials
    assert entities.call("GET", one, **others).status_code == 404
    assert entities.stack.call("POST", f"{one}/resend", json=others).status_code == 404
    assert entities.call("GET", f"{path}/{subscription}/deliveries", limit="0").status_code == 400


def test_the_spelling_of_the_product_has_deliveries_too(streams, receiver):
    topic = streams.topic()
    subscription = streams.subscribe(topic, f"{receiver.url}/hook")
    streams.publish(topic, {"n": 1})
    [delivery] = wait_for(streams, subscription, "delivered")
    call, client = streams.stack.call, streams.subscriber
    path = f"/streams/subscribers/webhook/api/v1/subscriptions/{subscription['id']}/deliveries"
    listed = call("GET", path, client)
    assert (listed.status_code, listed.json()["items"]) == (200, [delivery])
    one = call("GET", f"{path}/{delivery['id']}", client)
    assert (one.status_code, one.json()) == (200, delivery)
    resent = call("POST", f"{path}/{delivery['id']}/resend", client)
    assert (resent.status_code, resent.json()) == (202, {"id": delivery["id"], "attempt": 2})
    assert len(receiver.wait_for(is_streams, 2)) == 2
