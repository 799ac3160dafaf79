"""The console: what customers do with their subscriptions, from the first to the last."""

import json
import re
import uuid

import pytest
from conftest import confirmation_token, is_notification
from entities import new_key
from playwright.sync_api import expect
from receiver import Answer, Receiver
from streams import eventually, is_streams

pytest_plugins = ["browser"]


@pytest.fixture
def topic_name() -> str:
    return f"orders-{uuid.uuid4()}"


@pytest.fixture
def topic(streams, topic_name) -> str:
    return streams.topic(name=topic_name)


def subscribe(console, topic_name: str, url: str, headers: str = "") -> str:
    """Makes a subscription in the browser, and returns its secret."""
    console.open("subscriptions/new")
    console.page.get_by_label("Topic").select_option(label=f"{topic_name} (events)")
    console.page.get_by_label("URL").fill(url)
    console.page.get_by_label("Headers of your own").fill(headers)
    console.press("Subscribe")
    secret = console.secret()
    console.follow("I have it")
    expect(console.heading(url)).to_be_visible()
    return secret


def send_test(console, test: dict) -> None:
    console.page.get_by_label("JSON object").fill(json.dumps(test))
    console.press("Send", within="Send a test")
    expect(console.notice()).to_contain_text("A test is on its way.")


def rotate(console) -> str:
    console.unfold("Replace the signing secret")
    console.press("Replace the secret")
    return console.secret()


def delete(console) -> None:
    console.unfold("Delete the subscription")
    console.press("Delete the subscription")
    expect(console.notice()).to_have_text("Deleted.")


def test_a_subscription_from_the_first_to_the_last(open_console, client, receiver, topic, topic_name):
    console = open_console(client)
    main = console.page.get_by_role("main")
    state = main.locator(".head .state")
    secret = subscribe(console, topic_name, f"{receiver.url}/hook", "X-One: 1\n")
    # It is in the list, and a search finds it.
    console.open("subscriptions")
    for text, rows in [(topic_name.upper(), 1), ("/hook", 1), ("nothing-like-that", 0)]:
        console.page.get_by_label("URL, topic or id").fill(text)
        console.press("Search")
        expect(main.get_by_role("row").filter(has_text=f"{receiver.url}/hook")).to_have_count(rows)
    expect(main).to_contain_text("Nothing has “nothing-like-that” in it.")
    console.follow("Show all")
    console.follow(f"{receiver.url}/hook")
    # It is changed.
    console.page.get_by_label("URL", exact=True).fill(f"{receiver.url}/moved")
    console.page.get_by_label("X-One").check()
    console.page.get_by_label("Headers to add or replace").fill("X-Two: two: 2")
    console.press("Save")
    expect(console.notice()).to_have_text("Saved.")
    expect(console.heading(f"{receiver.url}/moved")).to_be_visible()
    expect(console.page.get_by_label("X-One")).to_have_count(0)
    expect(console.page.get_by_label("X-Two")).to_be_visible()
    # A mistake is said, and what was written stays.
    console.page.get_by_label("Headers to add or replace").fill("no colon")
    console.press("Save")
    expect(console.page.get_by_role("alert")).to_contain_text("Line 1")
    expect(console.page.get_by_label("Headers to add or replace")).to_have_value("no colon")
    # A test arrives, also while it is disabled.
    for button, text, name in [("Disable", "Disabled", "disabled"), ("Enable", "Enabled", "active")]:
        console.press(button)
        expect(console.notice()).to_contain_text(text)
        expect(state).to_have_text(name)
        send_test(console, {"while": name})
    found = receiver.wait_for(is_streams, 2)
    assert sorted(it.json()["while"] for it in found) == ["active", "disabled"]
    assert {(it.path, it.headers.get("x-one"), it.headers.get("x-two")) for it in found} == {("/moved", None, "two: 2")}
    console.follow("Deliveries")
    console.reload_until(main.locator("tbody tr").nth(1))
    expect(main.locator("tbody tr").first).to_contain_text("delivered")
    console.follow(f"{receiver.url}/moved")
    assert rotate(console) != secret
    expect(main).to_contain_text("For a day, deliveries are signed with the previous secret as well.")
    console.follow("I have it")
    delete(console)
    expect(main).to_contain_text("There are no subscriptions to topics yet.")
    assert console.page.url == f"{console.url}/subscriptions?done=deleted"


def test_events_that_have_not_arrived_are_replayed(open_console, streams, client, topic):
    mended = False
    with Receiver(answer=lambda _: Answer(200 if mended else 503)) as receiver:
        subscription = streams.subscribe(topic, f"{receiver.url}/hook")
        streams.publish(topic, {"n": 1})
        received = lambda state: streams.on(subscription, "deliveries", "GET", params={"state": state}).json()["items"]  # noqa: E731
        eventually(lambda: received("failed"), bool, "failed delivery")
        mended, before = True, len(receiver.arrivals)
        console = open_console(client)
        console.open(f"subscriptions/{subscription['id']}")
        console.press("Replay", within="Replay")
        expect(console.notice()).to_have_text("The events that have not arrived are sent again.")
        receiver.wait_for(is_streams, before + 1, seconds=5)
        assert receiver.arrivals[-1].json() == {"n": 1}


def test_an_endpoint_that_fails_is_mended(open_console, streams, client, topic):
    answers = iter(
        [Answer(500, {"Content-Type": "application/json"}, b'{"a":"<script>alert(1)</script>","b":[1]}')] * 4
    )
    with Receiver(answer=lambda _: next(answers, Answer(200, {}, b"thanks"))) as receiver:
        subscription = streams.subscribe(topic, f"{receiver.url}/hook")
        streams.publish(topic, {"n": 1, "html": "<b>bold</b>"})
        console = open_console(client)
        main = console.page.get_by_role("main")
        console.open(f"subscriptions/{subscription['id']}/deliveries")
        console.reload_until(main.locator("tbody .state", has_text=re.compile("retrying|failed")))
        expect(main.locator("tbody tr")).to_contain_text("500")
        console.reload_until(main.locator("tbody .state", has_text="failed"))
        expect(main.locator("tbody tr td").last).to_have_text("4")
        # The filter finds it, by the reader's time as well.
        for state, rows in [("delivered", 0), ("failed", 1)]:
            console.page.get_by_label("State").select_option(state)
            console.press("Filter")
            expect(main.locator("tbody tr")).to_have_count(rows)
        console.page.get_by_label("Status code").fill("404")
        console.press("Filter")
        expect(main).to_contain_text("No delivery is like that.")
        console.follow("Show those of the last day")
        main.locator("tbody a").click()
        # The newest attempt is open, laid out, and text.
        expect(console.heading("Attempt 4: 500")).to_be_visible()
        shown = '{\n  "a": "<script>alert(1)</script>",\n  "b": [\n    1\n  ]\n}'
        expect(main.locator("article").first.locator("pre:visible")).to_have_text(shown, use_inner_text=True)
        expect(main.locator("pre").first).to_contain_text('"html": "<b>bold</b>"')
        expect(main.locator("script, b")).to_have_count(0)
        expect(main).to_contain_text("It is not tried again by itself.")
        console.press("Resend")
        expect(console.notice()).to_contain_text("It is sent once more.")
        console.reload_until(console.heading("Attempt 5, resent: 200"))
        expect(main.locator(".head .state")).to_have_text("delivered")


def test_a_subscription_to_an_entity_from_the_first_to_the_last(open_console, entities, client, receiver):
    console = open_console(client)
    main, key = console.page.get_by_role("main"), new_key()
    console.open("subscriptions/new?kind=entity")
    console.page.get_by_label("Key of the entity").fill(key)
    console.page.get_by_label("URL").fill(f"{receiver.url}/entity")
    console.press("Subscribe")
    secret = console.secret()
    console.follow("I have it")
    expect(console.heading(f"{receiver.url}/entity")).to_be_visible()
    expect(main).to_contain_text(key)
    entities.publish(key)
    console.follow("Deliveries")
    console.reload_until(main.locator("tbody .state", has_text="delivered"))
    expect(main.locator("tbody tr")).to_contain_text("entity_updated")
    main.locator("tbody a").click()
    expect(console.heading("Attempt 1: 200")).to_be_visible()
    console.unfold("Request to")
    expect(main.locator("article pre")).to_contain_text(key)
    console.press("Resend")
    console.reload_until(console.heading("Attempt 2, resent: 200"))
    console.follow("Subscription")
    assert rotate(console) != secret
    console.follow("I have it")
    delete(console)
    expect(main).to_contain_text("There are no subscriptions to entities yet.")


def test_a_url_is_notified_of_queries(open_console, client, receiver):
    console = open_console(client)
    main, url = console.page.get_by_role("main"), f"{receiver.url}/queries"
    console.open("subscriptions/new?kind=queries")
    console.page.get_by_label("URL").fill(url)
    console.page.get_by_label("failed").check()
    console.press("Subscribe")
    expect(console.notice()).to_contain_text("Enter the token that arrives there.")
    row = main.get_by_role("row").filter(has_text=url)
    expect(row).to_contain_text("not confirmed")
    expect(row).to_contain_text("succeeded, failed")
    console.page.get_by_label("Token").fill("no-token-of-any-url")
    console.press("Confirm")
    expect(console.page.get_by_role("alert")).to_be_visible()
    console.page.get_by_label("Token").fill(confirmation_token(receiver, "/queries"))
    console.press("Confirm")
    expect(console.notice()).to_have_text("Confirmed.")
    expect(row).to_contain_text("active")
    console.press("Send", within="Send a test")
    expect(console.notice()).to_have_text("A test is on its way to all confirmed URLs.")
    receiver.wait_for(is_notification)
    console.picture("callbacks-confirmed")
    console.unfold("Remove")
    console.press("Remove this URL")
    expect(console.notice()).to_have_text("Deleted.")
    expect(main).to_contain_text("No URL is told when your queries end.")


def test_the_current_document_of_a_topic_is_shown(open_console, streams, client, topic_name, receiver):
    topic = streams.topic("snapshot", name=topic_name)
    console = open_console(client)
    main = console.page.get_by_role("main")
    console.open("topics")
    console.page.get_by_label("Name or id").fill(topic_name[:20])
    console.press("Search")
    expect(main.locator("tbody tr")).to_contain_text("a document that changes")
    console.follow(topic_name)
    expect(main).to_contain_text("Nothing was published yet.")
    streams.subscribe(topic, f"{receiver.url}/hook")
    streams.publish(topic, {"title": "<b>current</b>", "n": 10**20})
    console.reload_until(main.locator("pre"))
    shown = '{\n  "title": "<b>current</b>",\n  "n": 100000000000000000000\n}'
    expect(main.locator("pre")).to_have_text(shown, use_inner_text=True)
    expect(main.get_by_role("link", name=f"{receiver.url}/hook")).to_be_visible()
    console.follow("Subscribe")
    expect(console.page.get_by_label("Topic")).to_have_value(topic)


def test_the_checker_finds_what_is_right_and_wrong(open_console, streams, client, topic, receiver):
    secret = streams.subscribe(topic, f"{receiver.url}/hook")["secret"]
    streams.publish(topic, {"n": 1, "text": "ä\n<b>"})
    [arrival] = receiver.wait_for(is_streams)
    headers, body = "\n".join(f"{name}: {value}" for name, value in arrival.headers.items()), arrival.body.decode()
    console = open_console(client)
    verdict = console.page.get_by_role("status")
    console.open("checker")
    for sent, text in [(body, "The signature is right"), (body.replace("1", "2"), "The signature is not right")]:
        console.page.get_by_label("Headers").fill(headers)
        console.page.get_by_label("Body").fill(sent)
        console.page.get_by_label("Signing secret").fill(secret)
        console.press("Check")
        expect(verdict.get_by_role("heading", name=text, exact=True)).to_be_visible()
        # What was pasted is there still, but for the secret.
        expect(console.page.get_by_label("Body")).to_have_value(sent)
        expect(console.page.get_by_label("Signing secret")).to_have_value("")
    expect(verdict).to_contain_text("byte for byte")


def test_without_scripts(open_console, streams, client, receiver, topic, topic_name):
    console = open_console(java_script_enabled=False).sign_in(client)
    main = console.page.get_by_role("main")
    subscribe(console, topic_name, f"{receiver.url}/hook")
    send_test(console, {"n": 1})
    receiver.wait_for(is_streams)
    console.follow("Deliveries")
    console.reload_until(main.locator("tbody .state", has_text="delivered"))
    main.locator("tbody a").click()
    expect(console.heading("Attempt 1: 200")).to_be_visible()
    console.follow("Subscription")
    delete(console)
    console.press("Sign out")
    expect(console.notice()).to_have_text("You are signed out.")
