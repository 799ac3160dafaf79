"""The console of operators, in a browser."""

import uuid

import pytest
from conftest import dead_letters_lock
from playwright.sync_api import expect
from receiver import Answer, Receiver
from streams import bodies, eventually

pytest_plugins = ["browser"]
PAGES = ("health", "clients", "clients/new", "topics", "dead-letters", "cost", "nothing")


@pytest.fixture(scope="module")
def operator(stack):
    return stack.new_client(operator=True)


@pytest.fixture
def console(open_console, operator):
    return open_console(operator, folder="operator")


def test_it_is_for_operators(open_console, client, publisher, operator):
    console = open_console(folder="operator")
    for other in (client, publisher):
        console.open("sign-in")
        console.page.get_by_label("API key").fill(other.api_key)
        console.press("Sign in")
        expect(console.notice()).to_have_text("This is no key of an operator. Customers sign in at /console.")
        assert console.cookies() == {}
    console.sign_in(operator)
    console.press("Sign out")
    expect(console.notice()).to_have_text("You are signed out.")


def test_a_customer_s_session_opens_nothing_of_it(open_console, client, operator):
    """Whatever a browser sends: what the function reads itself is for operators alone, and the API decides on the rest."""
    customer = open_console(client)
    token = customer.cookies()["bellwire-session"]
    form_token = customer.form_token()
    console = open_console(folder="operator")
    headers = {"cookie": f"bellwire-session={token}"}
    for page in ("health", "clients", f"clients/{client.client_id}", "dead-letters", "cost"):
        answer = console.context.request.get(f"{console.url}/{page}", headers=headers, max_redirects=0)
        assert answer.status in (303, 403), page
        assert client.name not in answer.text()
    for action in ("dead-letters/drop", "dead-letters/redrive", f"clients/{client.client_id}/disable"):
        form = {"form_token": form_token, "id": "x"}
        answer = console.context.request.post(f"{console.url}/{action}", headers=headers, form=form, max_redirects=0)
        assert answer.status in (303, 403), action
    assert customer.stack.call("GET", "/v1/hello", client).status_code == 200


def test_a_client_from_its_making_to_its_end(console, stack, open_console):
    page, external = console.page, f"customer-{uuid.uuid4().hex[:8]}"
    console.open("clients/new")
    page.get_by_label("Your id of it").fill(external)
    page.get_by_label("Name").fill("<b>Acme</b>")
    page.get_by_label("Labels").fill("plan:gold, eu")
    console.press("Make it")
    expect(console.heading("<b>Acme</b>")).to_be_visible()
    expect(page.get_by_text("eu, plan:gold")).to_be_visible()
    client_id = page.url.split("?")[0].rsplit("/", 1)[1]
    stack.clients.append(client_id)
    page.get_by_label("Name").fill("backend")
    console.press("Make a key")
    key = page.locator("#secret").inner_text()
    assert stack.call("GET", "/v1/hello", headers={"x-api-key": key}).json()["client_id"] == client_id
    console.follow("Back to the client")
    expect(page.get_by_text(f"…{key[-4:]}")).to_be_visible()
    # The link opens the client's own console.
    console.press("Link to its console")
    link = page.locator("#secret").inner_text()
    assert link.startswith(f"{stack.url}/console/link?token=bwl_")
    customer = open_console()
    customer.page.goto(link)
    customer.press("Open")
    expect(customer.page.get_by_text("<b>Acme</b>")).to_be_visible()
    console.open(f"clients/{client_id}")
    console.press("Disable")
    expect(console.notice()).to_contain_text("Disabled")
    console.press("Enable")
    expect(console.notice()).to_contain_text("Enabled")
    console.unfold("Revoke")
    console.press("Revoke this key")
    expect(page.get_by_text("It has no key yet.")).to_be_visible()
    # It is found by either id, and what is none is said to be none.
    for known in (external, client_id):
        console.open("clients")
        page.get_by_label("Id, yours or ours").fill(known)
        console.press("Find")
        expect(console.heading("<b>Acme</b>")).to_be_visible()
    console.open("clients?id=nobody")
    expect(console.notice()).to_have_text("There is no client with this id.")
    console.open(f"clients/{client_id}")
    console.unfold("Delete the client")
    console.press("Delete the client")
    expect(console.notice()).to_contain_text("Deleted")
    eventually(
        lambda: stack.call("GET", f"/v1/clients/{client_id}", stack.new_client(operator=True)).status_code,
        lambda status: status == 404,
        "end of the client",
    )


def test_operators_are_shown_and_not_changed(console, operator):
    console.open(f"clients/{operator.client_id}")
    expect(console.page.get_by_text("Operators are changed with")).to_be_visible()
    for name in ("Disable", "Make a key", "Delete the client"):
        expect(console.page.get_by_role("button", name=name)).to_have_count(0)


def test_what_is_refused_is_said(console, client):
    console.open("clients/new")
    console.page.get_by_label("Your id of it").fill("no spaces please")
    console.press("Make it")
    expect(console.notice()).to_contain_text("ClientId: must have 1 to 128 letters")
    expect(console.page.get_by_label("Your id of it")).to_have_value("no spaces please")
    assert console.open("clients/cl_aaaaaaaaaaaaaaaaaaaaaaab").status == 404


def test_a_dead_letter_is_processed_again_and_another_dropped(console, stack, streams):
    answers = {"status": 503}
    with Receiver(answer=lambda _: Answer(answers["status"])) as receiver, dead_letters_lock():
        topic = streams.topic()
        subscription = streams.subscribe(topic, receiver.url)
        for n in (1, 2):
            streams.publish(topic, {"n": n})
        console.open("dead-letters")
        rows = console.page.locator("tr", has_text=subscription["id"])
        eventually(lambda: (console.page.reload(), rows.count())[1], lambda count: count == 2, "two dead letters", 60)
        console.picture("operator-dead-letters")
        expect(rows.first).to_contain_text("503 SERVICE_UNAVAILABLE")
        answers["status"] = 200
        rows.first.get_by_role("checkbox").check()
        console.press("Process the chosen again")
        expect(console.notice()).to_have_text("They are processed again.")
        expect(rows).to_have_count(1)
        eventually(lambda: streams.exchanges(subscription), lambda it: it[-1].get("responseCode") == 200, "delivery")
        assert bodies(receiver, 1)
        rows.first.get_by_role("checkbox").check()
        console.press("Drop the chosen")
        expect(console.notice()).to_have_text("Dropped.")
        expect(rows).to_have_count(0)
        # What is gone already is nothing to choose.
        answer = console.post("dead-letters/drop", {"form_token": token_of(console), "id": "gone"})
        assert answer.headers["location"] == "../dead-letters?done=nothing"


def token_of(console) -> str:
    console.open("clients/new")
    return console.page.locator("input[name=form_token]").first.input_value()


def test_health_has_the_failing_first_and_every_queue(console, account):
    eventually(lambda: account.streams.show(account.failing), lambda it: "failingSince" in it, "failing endpoint")
    console.open("health")
    row = console.page.locator("tr", has_text="/failing").filter(has_text=account.client.client_id)
    expect(row).to_contain_text("failing")
    queues = console.page.get_by_role("region", name="Queues")
    for name in ("first attempts", "retries", "fan-outs", "publications", "client tasks", "renderings"):
        expect(queues.get_by_text(name, exact=True)).to_be_visible()
    expect(console.page.get_by_role("region", name="Alarms").locator("tbody tr")).not_to_have_count(0)
    row.get_by_role("link").click()
    expect(console.heading(account.client.name)).to_be_visible()


def test_cost_is_that_of_the_idle_stack_at_least(console):
    console.open("cost")
    expect(console.page.get_by_text("The idle stack", exact=False).first).to_be_visible()
    total = console.page.get_by_role("row", name="In all").get_by_role("cell").inner_text()
    assert float(total) >= 3.8


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(open_console, operator, account, scheme):
    console = open_console(operator, folder="operator", color_scheme=scheme)
    problems = []
    for page in (*PAGES, f"clients/{account.client.client_id}"):
        console.page.set_viewport_size({"width": 1200, "height": 900})
        console.open(page)
        name = f"operator-{page.split('/')[0]}"
        if scheme == "light":
            console.picture(name)
        problems += console.accessible(f"{page}, {scheme}")
        console.page.set_viewport_size({"width": 360, "height": 740})
        problems += console.too_wide(page)
    assert problems == []
