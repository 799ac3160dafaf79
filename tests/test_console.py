"""The console: who gets in, and what every page has."""

import re

import pytest
from playwright.sync_api import expect

pytest_plugins = ["browser"]


@pytest.fixture(scope="module")
def operator(stack):
    return stack.new_client(operator=True)


class TestSigningIn:
    def test_by_a_key_and_out(self, open_console, client):
        console = open_console().sign_in(client)
        expect(console.page.get_by_text(client.name)).to_be_visible()
        assert console.page.url.endswith("/console/overview")
        console.press("Sign out")
        expect(console.notice()).to_have_text("You are signed out.")
        assert "bellwire-session" not in console.cookies()
        for leads_on in (lambda: console.open("overview"), console.page.go_back):
            leads_on()
            expect(console.heading("Sign in")).to_be_visible()
            expect(console.page.get_by_text(client.name)).to_have_count(0)

    def test_a_wrong_key_is_said_to_be_wrong(self, wrong_keys, open_console, client):
        console = open_console()
        console.open("sign-in")
        console.page.get_by_label("API key").fill("bwk_wrong")
        console.press("Sign in")
        expect(console.notice()).to_contain_text("This is no API key that works.")
        expect(console.page.get_by_label("API key")).to_have_value("")
        assert console.cookies() == {}
        console.page.get_by_label("API key").fill(client.api_key)
        console.press("Sign in")
        expect(console.heading("Overview")).to_be_visible()

    def test_from_a_page_deep_inside_leads_back_to_it(self, open_console, account):
        console = open_console()
        for page in ("topics", f"subscriptions/{account.hook['id']}/deliveries"):
            console.context.clear_cookies()
            console.open(page)
            expect(console.heading("Sign in")).to_be_visible()
            console.page.get_by_label("API key").fill(account.client.api_key)
            console.press("Sign in")
            expect(console.heading("Sign in")).to_have_count(0)
            assert console.page.url == f"{console.url}/{page}"

    def test_nobody_is_led_elsewhere(self, open_console, client):
        console = open_console()
        console.open("sign-in?to=https%3A%2F%2Felsewhere.example%2F")
        console.page.get_by_label("API key").fill(client.api_key)
        console.press("Sign in")
        expect(console.heading("Overview")).to_be_visible()
        assert console.page.url == f"{console.url}/overview"

    def test_an_ended_session_is_said_to_have_ended(self, open_console, client):
        console = open_console(client)
        [cookie] = [it for it in console.context.cookies() if it["name"] == "bellwire-session"]
        console.context.add_cookies([{**cookie, "value": f"bwt_{'x' * 43}"}])
        console.open("overview")
        expect(console.notice()).to_have_text("Your session has ended. Please sign in again.")

    def test_operators_are_refused(self, open_console, operator):
        console = open_console()
        console.open("sign-in")
        console.page.get_by_label("API key").fill(operator.api_key)
        console.press("Sign in")
        expect(console.notice()).to_contain_text("This is the key of an operator.")
        assert console.cookies() == {}

    def test_by_the_keyboard_alone(self, open_console, client):
        console = open_console()
        console.open("sign-in")
        keyboard = console.page.keyboard
        keyboard.press("Tab")
        expect(console.page.get_by_role("link", name="Skip to the content")).to_be_focused()
        expect(console.page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        keyboard.press("Enter")
        expect(console.page.get_by_role("main")).to_be_focused()
        keyboard.press("Tab")
        expect(console.page.get_by_label("API key")).to_be_focused()
        keyboard.type(client.api_key)
        keyboard.press("Tab")
        expect(console.page.get_by_role("button", name="Sign in")).to_be_focused()
        keyboard.press("Enter")
        expect(console.heading("Overview")).to_be_visible()


def test_a_portal_link_signs_in_once(stack, open_console, operator, client):
    answer = stack.call("POST", "/v1/portal-links", operator, json={"client_id": client.client_id, "theme": "dark"})
    link = answer.json()["url"].removeprefix(f"{stack.url}/console/")
    # Whoever looks at it doesn't use it up.
    open_console().open(link)
    console = open_console()
    console.open(link)
    assert console.cookies() == {}
    console.press("Open")
    expect(console.heading("Overview")).to_be_visible()
    expect(console.page.get_by_text(client.name)).to_be_visible()
    expect(console.page.locator("html[data-scheme=dark]")).to_have_count(1)
    assert "token" not in console.page.url
    console.picture("portal-dark")
    again = open_console()
    again.open(link)
    again.press("Open")
    expect(again.notice()).to_contain_text("This link has expired, or was used before.")
    expect(again.page.get_by_role("button", name="Open")).to_have_count(0)
    assert again.cookies() == {}
    again.picture("link-used")


class TestForms:
    def test_of_nobody_or_of_another_session_change_nothing(self, stack, open_console, account, other_client):
        console = open_console(account.client)
        token, foreign = console.form_token(), open_console(other_client).form_token()
        assert token != foreign
        page, entity = f"subscriptions/{account.hook['id']}", f"entities/{account.entity['key']}"
        paths = [f"{page}/{it}" for it in ("edit", "test", "enable", "disable", "replay", "rotate", "delete")]
        paths += [f"{account.delivery(page, 'delivered')}/resend", f"{entity}/rotate", f"{entity}/delete"]
        paths += [f"callbacks/{it}" for it in ("confirm", "again", "delete", "test")]
        paths += ["subscriptions/new", "checker", "sign-out"]
        quiet = lambda: [it.path for it in account.receiver.arrivals if it.path != "/failing"]  # noqa: E731
        before, arrived = account.streams.stored_item(account.hook), quiet()
        for path in paths:
            for fields in ({}, {"form_token": foreign}):
                answer = console.post(path, {"url": account.callback, **fields})
                assert (answer.status, "This form has expired" in answer.text()) == (403, True), path
        for path in paths[:1] + paths[-1:]:
            answer = console.post(path, {"form_token": token}, sec_fetch_site="cross-site")
            assert answer.status == 403, path
        assert account.streams.stored_item(account.hook) == before
        assert account.entities.customer.get_subscription(account.entity["key"])
        assert [it["callbackUrl"] for it in stack.subscriptions(account.client)] == [account.callback]
        assert quiet() == arrived
        console.open("overview")
        expect(console.heading("Overview")).to_be_visible()

    def test_a_link_of_another_site_ends_no_session(self, open_console, account):
        console = open_console(account.client)
        answer = console.send("GET", "sign-in?ended=yes", headers={"sec-fetch-site": "cross-site"})
        assert (answer.status, answer.headers.get("set-cookie")) == (200, None)

    def test_of_other_sites_sign_nobody_in(self, open_console, client):
        console = open_console()
        console.open("sign-in")
        for site in ("cross-site", "same-site"):
            answer = console.post("sign-in", {"api_key": client.api_key}, sec_fetch_site=site)
            assert (answer.status, answer.headers.get("set-cookie")) == (403, None)
            assert console.post("link", {"token": "bwl_x"}, sec_fetch_site=site).status == 403
        assert console.cookies() == {}

    def test_without_a_session_lead_to_signing_in(self, open_console, account):
        console = open_console()
        answer = console.post(f"subscriptions/{account.hook['id']}/delete", {"form_token": "x"})
        assert (answer.status, answer.headers["location"]) == (303, "../../sign-in")


class TestHeaders:
    def test_of_pages(self, open_console, account):
        console = open_console(account.client)
        for page in ("sign-in", "overview", "topics", "nowhere", "link?token=x"):
            headers = console.send("GET", page).headers
            policy = dict(it.strip().partition(" ")[::2] for it in headers["content-security-policy"].split(";"))
            assert "unsafe" not in headers["content-security-policy"]
            assert (policy["default-src"], policy["frame-ancestors"], policy["base-uri"]) == ("'none'",) * 3
            assert (policy["style-src"], policy["form-action"]) == ("'self'",) * 2
            assert re.fullmatch(r"'sha256-[\w+/=]+'", policy["script-src"])
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["content-type"] == "text/html; charset=utf-8"

    def test_of_cookies(self, open_console, account):
        console = open_console(account.client)
        cookies = console.context.cookies()
        assert {it["name"] for it in cookies} == {"bellwire-session", "bellwire-portal"}
        for cookie in cookies:
            assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
            assert cookie["path"].endswith("/console")
        console.open("overview")
        assert console.page.evaluate("document.cookie") == ""

    def test_of_the_style_sheet(self, open_console):
        console = open_console()
        with console.page.expect_response(lambda it: it.url.endswith(".css")) as sheet:
            console.open("sign-in")
        assert sheet.value.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert sheet.value.headers["content-type"] == "text/css; charset=utf-8"
        assert sheet.value.headers["x-content-type-options"] == "nosniff"


def test_the_path_of_the_console_leads_to_the_overview(open_console, account):
    console = open_console(account.client)
    for path in ("", "/"):
        console.page.goto(console.url + path)
        assert console.page.url == f"{console.url}/overview"
