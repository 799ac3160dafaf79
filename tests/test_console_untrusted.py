"""The console: what is another client's, and what nobody should have sent."""

import re
import uuid
from urllib.parse import quote

import pytest
from conftest import confirmation_token
from entities import new_key
from playwright.sync_api import expect
from receiver import Answer, Receiver
from streams import is_streams

pytest_plugins = ["browser"]

HTML = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><b>"


def secret_of(page: str) -> str:
    found = re.search(r'<code id="secret">([^<]*)</code>', page)
    assert found, page
    return found[1]


@pytest.fixture
def restricted(account, streams) -> str:
    """A topic that the account may see, and nobody else."""
    return streams.topic(access={"clients": [account.client.client_id]})


class TestOthers:
    def test_pages_are_not_found(self, open_console, account, other_client, restricted):
        hook, entity = f"subscriptions/{account.hook['id']}", f"entities/{account.entity['key']}"
        console = open_console(other_client)
        own = open_console(account.client)
        for page in (
            hook,
            f"{hook}/deliveries",
            account.delivery(hook, "delivered"),
            entity,
            f"{entity}/deliveries",
            account.delivery(entity, "delivered"),
            f"topics/{restricted}",
        ):
            assert own.send("GET", page).status == 200, page
            answer = console.send("GET", page)
            assert (answer.status, "<h1>Not found</h1>" in answer.text()) == (404, True), page
            assert account.receiver.url not in answer.text()
        for page in (f"queries/{uuid.uuid4()}", "nowhere", "subscriptions/x/y", f"subscriptions/{uuid.uuid4()}"):
            assert console.send("GET", page).status == 404, page
        for page in ("overview", "subscriptions", "subscriptions?kind=entities", "callbacks", "topics"):
            answer = console.send("GET", page)
            assert answer.status == 200
            assert account.receiver.url not in answer.text()
            assert restricted not in answer.text()

    def test_forms_change_nothing(self, stack, open_console, account, other_client, restricted):
        hook, entity = f"subscriptions/{account.hook['id']}", f"entities/{account.entity['key']}"
        sent = [account.delivery(page, "delivered") for page in (hook, entity)]
        account.delivery(f"subscriptions/{account.failing['id']}", "failed")
        token = confirmation_token(account.receiver, "/queries")
        console = open_console(other_client)
        form = {
            "form_token": console.form_token(),
            "once": str(uuid.uuid4()),
            "url": "https://elsewhere.example/",
            "test": "{}",
            "start": "2020-01-01T00:00",
        }

        def state() -> tuple:
            return (
                account.streams.stored_item(account.hook),
                account.entities.customer.get_subscription(account.entity["key"]),
                stack.subscriptions(account.client),
                len(account.receiver.arrivals),
            )

        before = state()
        paths = [f"{hook}/{it}" for it in ("edit", "test", "enable", "disable", "replay", "rotate", "delete", "x")]
        paths += [f"{entity}/rotate", f"{entity}/delete", f"{entity}/x", *(f"{it}/resend" for it in sent)]
        for path in paths:
            answer = console.post(path, form)
            assert (answer.status, "Not found" in answer.text()) == (404, True), path
        answer = console.post("subscriptions/new", form | {"kind": "topic", "topic": restricted})
        assert (answer.status, "There is no such topic." in answer.text()) == (400, True)
        console.post("callbacks/delete", form | {"url": account.callback})
        console.post("callbacks/confirm", form | {"token": token})
        assert console.post("callbacks/x", form).status == 404
        assert state() == before
        assert stack.subscriptions(other_client) == []

    def test_the_topics_of_others_cannot_be_chosen(self, open_console, account, other_client, restricted):
        for client, count in [(account.client, 1), (other_client, 0)]:
            console = open_console(client)
            console.open("subscriptions/new")
            assert console.page.locator(f"option[value='{restricted}']").count() == count


class TestBadInput:
    def test_html_is_shown_as_text(self, open_console, streams, entities, client):
        name, key = f"{HTML} {uuid.uuid4()}", f"{HTML}{uuid.uuid4()}"
        topic = streams.topic(name=name)
        answer = Answer(400, {"X-Html": HTML, "Content-Type": "text/html"}, HTML.encode())
        with Receiver(answer=lambda _: answer) as receiver:
            url = f"{receiver.url}/{quote(HTML)}?a={quote(HTML, safe='<>')}"
            subscription = streams.subscribe(topic, url, webhookHeaders={"X-Html": HTML})
            entity = entities.customer.create_subscription(key, f"{receiver.url}/?{HTML.replace(' ', '+')}")["key"]
            assert streams.stack.subscribe(client, url + "&q=1").status_code == 201
            streams.publish(topic, {"html": HTML})
            entities.publish(key)
            receiver.wait_for(is_streams)
            console = open_console(client)
            main = console.page.get_by_role("main")
            page = f"subscriptions/{subscription['id']}"
            for path, text in [
                ("overview", name),
                ("subscriptions", name),
                ("subscriptions?kind=entities", key),
                (f"subscriptions?search={quote(HTML)}x", HTML),
                ("callbacks", "&q=1"),
                (f"topics?search={quote(name)}", name),
                (f"topics/{topic}", name),
                ("subscriptions/new", name),
                (page, name),
                (f"entities/{entity}", key),
                (f"{page}/deliveries", "event"),
                (f"entities/{entity}/deliveries", "entity_updated"),
            ]:
                assert console.open(path).status == 200, path
                if path.endswith("/deliveries"):
                    console.reload_until(main.locator("tbody tr"))
                expect(main).to_contain_text(text)
                expect(main.locator("img, script, b")).to_have_count(0)
                if path.endswith("/deliveries"):
                    main.locator("tbody a").click()
                    expect(main.locator("article").first).to_contain_text(HTML)
                    expect(main.locator("img, script, b")).to_have_count(0)
        # What somebody writes into a form comes back as text.
        console.open("subscriptions/new?kind=entity")
        console.page.get_by_label("Key of the entity").fill(HTML)
        console.page.get_by_label("URL").fill("ftp://x.example/<b>")
        console.press("Subscribe")
        expect(console.page.get_by_role("alert")).to_be_visible()
        expect(console.page.get_by_label("Key of the entity")).to_have_value(HTML)
        expect(main.locator("img, script, b")).to_have_count(0)

    def test_pages_that_are_not_there_are_others(self, open_console, account):
        console = open_console(account.client)
        main = console.page.get_by_role("main")
        for number in ("0", "99", "-1", "x", str(10**30), "1' OR 1=1"):
            answer = console.send("GET", f"subscriptions?page={number}")
            assert (answer.status, f"{account.receiver.url}/hook" in answer.text()) == (200, True), number
        page = f"subscriptions/{account.hook['id']}/deliveries"
        for query in ("cursor=x", "state=x", "type=x", "code=x", "code=-1"):
            assert console.open(f"{page}?{query}").status == 400, query
            expect(console.page.get_by_role("alert")).to_be_visible()
        for query in ("start=x", "start=9999-12-31T23:59&zone=99999", "zone=x", "period=x", "x=%00&x=%ff"):
            assert console.send("GET", f"{page}?{query}").status in (200, 400), query
        for query in ("from=x", "state=x", "state=%00"):
            assert console.send("GET", f"queries?{query}").status in (200, 400), query
        for path in ("subscriptions/%00", "topics/%ff", "entities/%3Cb%3E", "queries/x"):
            assert console.open(path).status in (400, 404), path
            expect(main.locator("b")).to_have_count(0)

    def test_what_an_endpoint_answers_is_shown_whatever_it_is(self, open_console, account, streams):
        answers = [bytes(range(256)) * 64, b"[" * 16 * 1024, "ä€😀".encode() * 2000]
        with Receiver(answer=lambda it: Answer(404, {}, answers[it.json()["n"]])) as receiver:
            subscription = streams.subscribe(streams.topic(), receiver.url, account.client)
            for n in range(len(answers)):
                assert streams.on(subscription, "test", json={"n": n}, client=account.client).ok
            receiver.wait_for(is_streams, len(answers))
        console = open_console(account.client)
        rows = console.page.locator("tbody a")
        console.open(f"subscriptions/{subscription['id']}/deliveries")
        console.reload_until(rows.nth(len(answers) - 1))
        for n in range(len(answers)):
            rows.nth(n).click()
            expect(console.heading("Attempt 1: 404")).to_be_visible()
            expect(console.page.locator("article pre:visible")).not_to_be_empty()
            assert console.too_wide("delivery") == []
            console.follow("Deliveries")

    def test_what_is_deleted_meanwhile_is_not_found(self, open_console, streams, client, receiver):
        topic = streams.topic()
        console = open_console(client)
        for button, within in [("Disable", None), ("Save", "Edit"), ("Send", "Send a test"), ("Replay", "Replay")]:
            subscription = streams.subscribe(topic, f"{receiver.url}/{button}")
            console.open(f"subscriptions/{subscription['id']}")
            assert streams.on(subscription, method="DELETE").status_code == 204
            with console.page.expect_navigation() as navigation:
                console.press(button, within)
            assert navigation.value.status == 404, button
            expect(console.heading("Not found")).to_be_visible()

    def test_a_form_that_is_sent_twice_does_once_what_it_is_for(self, open_console, streams, client, receiver):
        subscription = streams.subscribe(streams.topic(), f"{receiver.url}/hook")
        console = open_console(client)
        console.open(f"subscriptions/{subscription['id']}")

        def fields(action: str) -> dict[str, str]:
            found = console.page.locator(f"form[action$='/{action}'] input[type=hidden]")
            return {it.get_attribute("name"): it.input_value() for it in found.all()}

        path, form = f"subscriptions/{subscription['id']}/rotate", fields("rotate")
        first, second = (console.post(path, form) for _ in range(2))
        assert (first.status, second.status) == (200, 200)
        assert secret_of(first.text()) == secret_of(second.text()) != subscription["secret"]
        test = fields("test") | {"test": "{}"}
        for _ in range(2):
            assert console.post(path.replace("rotate", "test"), test).status == 303
        console.open("subscriptions/new?kind=entity")
        form = fields("new") | {"entity": new_key(), "url": f"{receiver.url}/entity"}
        made = [console.post("subscriptions/new", form) for _ in range(2)]
        assert [it.status for it in made] == [200, 200]
        assert len({secret_of(it.text()) for it in made}) == 1
        assert len(receiver.wait_for(is_streams)) == 1
