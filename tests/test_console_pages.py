"""The console: what every page is like, for whoever looks at it by whatever means."""

import re
import uuid

import pytest
from playwright.sync_api import expect
from streams import eventually

pytest_plugins = ["browser"]

NARROW = {"width": 360, "height": 740}
WIDE = {"width": 1200, "height": 900}


@pytest.fixture(scope="module")
def pages(account) -> dict[str, str]:
    """The pages with something on them, by their names."""
    hook, failing = f"subscriptions/{account.hook['id']}", f"subscriptions/{account.failing['id']}"
    entity = f"entities/{account.entity['key']}"
    stats = lambda: account.streams.on(account.failing, "stats", "GET").json()  # noqa: E731
    failed, sent = account.delivery(failing, "failed"), account.delivery(entity, "delivered")
    eventually(stats, lambda it: it["failed"] and it["hours"], "counts", 60)
    return {
        "overview": "overview",
        "overview-of-a-week": "overview?period=7d",
        "subscriptions": "subscriptions",
        "subscriptions-to-entities": "subscriptions?kind=entities",
        "subscriptions-not-found": "subscriptions?search=nothing-like-that",
        "callbacks": "callbacks",
        "subscription": hook,
        "subscription-failing": failing,
        "deliveries": f"{failing}/deliveries",
        "deliveries-none": f"{hook}/deliveries?state=failed",
        "delivery": account.delivery(hook, "delivered"),
        "delivery-failed": failed,
        "entity": entity,
        "entity-deliveries": f"{entity}/deliveries",
        "entity-delivery": sent,
        "topics": "topics?search=test-",
        "topic": f"topics/{account.document}",
        "topic-of-events": f"topics/{account.events}",
        "queries": "queries",
        "checker": "checker",
        "new": "subscriptions/new",
        "new-entity": "subscriptions/new?kind=entity",
        "new-queries": "subscriptions/new?kind=queries",
        "sign-in": "sign-in",
        "link": "link?token=bwl_x",
        "not-found": "nowhere",
    }


def look(console, name: str) -> list[str]:
    """What is wrong with the page that is open, in either scheme and width, with all that it has unfolded."""
    page = console.page
    page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
    problems = [] if page.title().endswith(" · Webhooks") else [f"{name} is called {page.title()}"]
    if (count := page.locator("h1").count()) != 1:
        problems.append(f"{name} has {count} headings")
    page.emulate_media(color_scheme="light")
    problems += console.too_wide(name) + console.accessible(f"{name} (light)")
    page.emulate_media(color_scheme="dark")
    # Nothing else depends on the scheme.
    problems += console.accessible(f"{name} (dark)", "color-contrast")
    console.picture(f"{name}-narrow-dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)
    problems += console.too_wide(f"{name} (wide)")
    console.picture(name)
    page.set_viewport_size(NARROW)
    return problems


def test_pages_are_accessible_and_fit_the_screen(open_console, account, pages):
    console = open_console(account.client, viewport=NARROW)
    problems = []
    for name, page in pages.items():
        console.open(page)
        problems += look(console, name)
    # Those that follow a form.
    console.open("checker")
    console.page.get_by_label("Headers").fill("webhook-id: x\nwebhook-timestamp: 1\nwebhook-signature: v1,x")
    console.page.get_by_label("Signing secret").fill("whsec_AAAA")
    console.press("Check")
    expect(console.page.get_by_role("status")).to_contain_text("wrong")
    problems += look(console, "verdict")
    console.open("subscriptions/new")
    console.page.get_by_label("Topic").select_option(account.events)
    console.page.get_by_label("URL").fill(f"{account.receiver.url}/{uuid.uuid4()}")
    console.page.get_by_label("Headers of your own").fill("no colon")
    console.press("Subscribe")
    expect(console.page.get_by_role("alert")).to_contain_text("Line 1")
    problems += look(console, "refused")
    console.page.get_by_label("Headers of your own").fill("")
    console.press("Subscribe")
    console.secret()
    problems += look(console, "secret")
    assert problems == []


def test_empty_pages_are_accessible_and_lead_on(open_console, client):
    console = open_console(client, viewport=NARROW)
    problems = []
    for page, leads_to in [
        ("overview", "Make the first subscription"),
        ("subscriptions", "Make the first one"),
        ("subscriptions?kind=entities", "Make the first one"),
        ("callbacks", "Register the first one"),
    ]:
        console.open(page)
        expect(console.page.get_by_role("main").get_by_role("link", name=leads_to)).to_be_visible()
        problems += look(console, f"empty-{page.replace('?', '-')}")
    assert problems == []


def test_the_overview_has_numbers_and_plots(open_console, account, pages):
    console = open_console(account.client)
    console.open("overview")
    main = console.page.get_by_role("main")
    for url, state in [("/hook", "active"), ("/failing", "failing"), ("/entity", "active"), ("/queries", "confirmed")]:
        row = main.get_by_role("row").filter(has_text=account.receiver.url + url)
        expect(row.locator(".state")).to_contain_text(state)
    expect(main.get_by_role("img")).to_have_count(2)
    assert main.locator("rect.failed[height='0']").count() < main.locator("rect.failed").count()
    console.unfold("The same as a table")
    rows = main.get_by_role("region", name="Counts by hour").locator("tbody tr")
    assert sum(int(it) for it in rows.locator("td:nth-child(2)").all_inner_texts()) >= 4
    # The times are in words.
    expect(main.locator("time").first).to_have_text(re.compile(r"^(now|\d+ (s|min|h) ago)$"), use_inner_text=True)
    expect(console.page.get_by_role("navigation", name="Main").locator("[aria-current=page]")).to_have_text("Overview")
    console.follow("7 days")
    expect(main.locator("[aria-current=true]")).to_have_text("7 days")


def test_a_page_is_light(open_console, account, stack, publisher):
    topic = account.streams.topic()
    subscription = account.streams.subscribe(topic, f"{account.receiver.url}/many")
    events = [{"payload": {"order": n, "text": uuid.uuid4().hex}} for n in range(60)]
    answer = stack.call("POST", f"/publishers/http-post/topics/{topic}/batch", publisher, json={"events": events})
    assert answer.status_code in (202, 207), answer.text
    account.receiver.wait_for(lambda it: it.path == "/many", 60)
    page = f"subscriptions/{subscription['id']}"
    eventually(lambda: account.deliveries(page), lambda it: len(it) == 60, "60 deliveries")
    console = open_console(account.client)
    wire, sizes, urls = console.context.new_cdp_session(console.page), [], []
    wire.send("Network.enable")
    wire.on("Network.loadingFinished", lambda it: sizes.append(it["encodedDataLength"]))
    wire.on("Network.requestWillBeSent", lambda it: urls.append(it["request"]["url"]))
    response = console.open(f"{page}/deliveries")
    assert response.header_value("content-encoding") == "gzip"
    assert console.page.locator("tbody tr").count() == 50
    sent = [url for url in urls if not url.startswith("data:")]
    assert len(sent) <= 3, sent
    assert len(sizes) >= 2
    assert sum(sizes) <= 60 * 1024, sizes
    # The rest is on the next page, and no more.
    console.follow("Older")
    expect(console.page.locator("tbody tr")).to_have_count(10)
    expect(console.page.get_by_role("link", name="Older")).to_have_count(0)


def test_a_form_is_sent_once_however_often_its_button_is_pressed(open_console, account):
    console = open_console(account.client)
    console.open(f"subscriptions/{account.hook['id']}")
    posts = []
    console.page.on("request", lambda it: posts.append(it.url) if it.method == "POST" else None)
    console.page.get_by_role("region", name="Send a test").get_by_role("button", name="Send").dblclick()
    expect(console.notice()).to_contain_text("A test is on its way.")
    assert len(posts) == 1


def test_times_are_filtered_in_the_zone_of_the_reader(open_console, account):
    page = f"subscriptions/{account.hook['id']}/deliveries"
    account.delivery(page.removesuffix("/deliveries"), "delivered")
    console = open_console(account.client, timezone_id="Asia/Tokyo")
    console.open(page)
    rows = console.page.locator("tbody tr")
    expect(console.page.get_by_text("your time").first).to_be_visible()
    for minutes, there in [(-5, True), (5, False)]:
        local = console.page.evaluate(
            "(minutes) => new Date(Date.now() + (9 * 60 + minutes) * 60000).toISOString().slice(0, 16)", minutes
        )
        console.page.get_by_label("From").fill(local)
        console.press("Filter")
        expect(console.page.get_by_label("From")).to_have_value(local)
        assert (rows.count() > 0) is there
