"""`/v1/unsubscribe`."""

import requests
from conftest import is_confirmation, is_notification, new_query


def test_a_confirmed_url_is_notified_no_more(stack, client, publisher, receiver):
    gone = stack.confirmed(client, receiver, "/gone")
    stack.confirmed(client, receiver, "/stays")
    answer = stack.unsubscribe(client, gone)
    assert answer.status_code == 200
    assert answer.json()["callbackUrl"] == gone
    assert [it["callbackUrl"] for it in stack.subscriptions(client)] == [f"{receiver.url}/stays"]
    query = new_query()
    stack.register(publisher, query, client)
    stack.complete(query)
    receiver.wait_for(is_notification)
    assert [it.path for it in receiver.matching(is_notification)] == ["/stays"]


def test_a_pending_url_was_never_confirmed(stack, client, receiver):
    url = f"{receiver.url}/callback"
    stack.subscribe(client, url)
    answer = stack.unsubscribe(client, url)
    assert answer.status_code == 409
    assert "never confirmed" in answer.json()["message"]
    assert [it["status"] for it in stack.subscriptions(client)] == ["PENDING_CONFIRMATION"]


def test_an_unknown_url_and_another_clients_are_the_same_404(stack, client, other_client, receiver):
    url = stack.confirmed(client, receiver)
    unknown = stack.unsubscribe(client, f"{receiver.url}/unknown")
    foreign = stack.unsubscribe(other_client, url)
    assert unknown.status_code == foreign.status_code == 404
    assert unknown.json()["message"] == foreign.json()["message"]
    assert "no confirmed subscription" in unknown.json()["message"]
    assert [it["status"] for it in stack.subscriptions(client)] == ["CONFIRMED"]


def test_the_second_time_it_is_unknown(stack, client, receiver):
    url = stack.confirmed(client, receiver)
    assert stack.unsubscribe(client, url).status_code == 200
    assert stack.unsubscribe(client, url).status_code == 404


def test_another_spelling_of_the_url_will_do(stack, client, receiver):
    url = stack.confirmed(client, receiver)
    assert stack.unsubscribe(client, url.replace("http://", "HTTP://")).status_code == 200
    assert stack.subscriptions(client) == []


def test_a_url_confirmed_past_us_can_be_ended(stack, client, receiver):
    url = f"{receiver.url}/callback"
    stack.subscribe(client, url)
    [confirmation] = receiver.wait_for(is_confirmation)
    requests.get(confirmation.json()["SubscribeURL"], timeout=10)
    assert stack.unsubscribe(client, url).status_code == 200


def test_after_it_the_url_can_be_registered_again(stack, client, receiver):
    url = stack.confirmed(client, receiver)
    stack.unsubscribe(client, url)
    assert stack.subscribe(client, url).json()["status"] == "PENDING_CONFIRMATION"
    receiver.wait_for(is_confirmation, 2)
    assert [it["status"] for it in stack.subscriptions(client)] == ["PENDING_CONFIRMATION"]
