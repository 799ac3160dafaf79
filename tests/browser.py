"""The console in a browser, as those see it who use it; a plugin of pytest for the tests of the console.

What a browser reports by itself fails the test: errors of scripts, what the Content-Security-Policy has blocked, requests
that failed or went to somebody else, and pages that are failures of ours.
"""

import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from conftest import Client, Stack
from entities import Entities
from playwright.sync_api import (
    APIResponse,
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Request,
    Response,
    expect,
    sync_playwright,
)
from receiver import Answer, Arrival, Receiver
from settings import ROOT
from streams import Streams, eventually

SCREENSHOTS = ROOT / "target" / "screenshots"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What the failing endpoint of an account answers.
FAILURE = Answer(500, {"Content-Type": "application/json"}, b'{"error":"<script>alert(1)</script>","more":[1,2]}')


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(path).exists():
        pytest.skip("Chromium is missing: `apt-get install chromium` installs it")
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class Console:
    """The console in a window with cookies of its own."""

    def __init__(self, stack: Stack, context: BrowserContext, folder: str = "console"):
        self.stack = stack
        self.url = f"{stack.url}/{folder}"
        self.home = {"console": "Overview", "operator": "Health"}[folder]
        self.context = context
        self.problems: list[str] = []
        context.on("console", self._judge_message)
        context.on("weberror", lambda it: self.problems.append(f"script: {it.error}"))
        context.on("dialog", self._judge_dialog)
        context.on("request", self._judge_request)
        context.on("requestfailed", self._judge_failure)
        context.on("response", self._judge_response)
        self.page = context.new_page()

    def _judge_message(self, message: ConsoleMessage) -> None:
        # Chromium says of refusals what the response says already.
        refused = message.text.startswith("Failed to load resource: the server responded with a status of 4")
        if message.type in ("error", "warning") and not refused:
            self.problems.append(f"{message.type}: {message.text}")

    def _judge_dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _judge_request(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc and not request.url.startswith("data:"):
            self.problems.append(f"a request to {request.url}")

    def _judge_failure(self, request: Request) -> None:
        # A page that is left before it is there.
        if not (request.is_navigation_request() and request.failure == "net::ERR_ABORTED"):
            self.problems.append(f"{request.url} failed: {request.failure}")

    def _judge_response(self, response: Response) -> None:
        most = 499 if response.request.is_navigation_request() else 399
        if response.status > most:
            self.problems.append(f"{response.url}: {response.status}")

    def open(self, page: str) -> Response:
        """Goes to a page."""
        response = self.page.goto(f"{self.url}/{page}")
        assert response
        return response

    def sign_in(self, client: Client) -> "Console":
        self.open("sign-in")
        self.page.get_by_label("API key").fill(client.api_key)
        self.press("Sign in")
        expect(self.heading(self.home)).to_be_visible()
        return self

    def press(self, name: str, within: str | None = None) -> None:
        """Presses a button, of the section that has this name."""
        place = self.page.get_by_role("region", name=within, exact=True) if within else self.page
        place.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        self.page.get_by_role("main").get_by_role("link", name=name, exact=True).first.click()

    def unfold(self, name: str) -> None:
        self.page.locator("summary", has_text=name).first.click()

    def heading(self, name: str | re.Pattern) -> Locator:
        return self.page.get_by_role("heading", name=name, exact=True)

    def notice(self) -> Locator:
        return self.page.locator(".notice")

    def secret(self) -> str:
        """The secret that is shown, this once."""
        expect(self.page.locator("#secret")).to_have_text(re.compile("^whsec_"))
        return self.page.locator("#secret").inner_text()

    def reload_until(self, wanted: Locator, seconds: float = 20) -> None:
        """Loads the page again until it shows something, which is on its way."""
        eventually(lambda: (self.page.reload(), wanted.count())[1], bool, f"{wanted} at {self.page.url}", seconds)

    def form_token(self) -> str:
        """What the forms of this session have."""
        self.open("checker")
        return self.page.locator("input[name=form_token]").first.input_value()

    def cookies(self) -> dict[str, str]:
        return {it["name"]: it["value"] for it in self.context.cookies()}

    def send(self, method: str, page: str, **how: Any) -> APIResponse:
        """Sends a request as it is, with the cookies, and doesn't follow a redirection."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies().items())
        headers = {"cookie": cookies} | how.pop("headers", {})
        url = f"{self.url}/{page}"
        return self.context.request.fetch(url, method=method, headers=headers, max_redirects=0, **how)

    def post(self, page: str, fields: dict[str, str], **headers: str) -> APIResponse:
        """Sends a form."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", page, form=fields, headers=headers)

    def accessible(self, what: str, *rules: str) -> list[str]:
        """What axe finds wrong, by all its rules or these."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE_SCRIPT)
        options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
        found = self.page.evaluate("(options) => axe.run(options)", options)["violations"]
        return [f"{what}: {it['id']} ({it['impact']}): {[node['html'] for node in it['nodes']]}" for it in found]

    def too_wide(self, what: str) -> list[str]:
        """What makes the page scroll sideways."""
        width, window = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if width <= window:
            return []
        wide = self.page.evaluate(
            "[...document.querySelectorAll('main *')].filter((it) => it.getBoundingClientRect().right > innerWidth)"
            ".map((it) => it.outerHTML.slice(0, 80))"
        )
        return [f"{what}: {width} px wide: {wide[:3]}"]

    def picture(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def sessions() -> dict[str, Any]:
    """The cookies of clients that are signed in, by their keys."""
    return {}


@pytest.fixture
def open_console(stack, chromium, sessions) -> Iterator[Callable[..., Console]]:
    """Opens windows, somebody signed in or nobody. None of them may have had problems in the end."""
    opened: list[Console] = []

    def window(folder: str = "console", **options: Any) -> Console:
        options = {"viewport": {"width": 1200, "height": 900}, "reduced_motion": "reduce"} | options
        opened.append(Console(stack, chromium.new_context(**options), folder))
        return opened[-1]

    def open_console(client: Client | None = None, **options: Any) -> Console:
        if client is None:
            return window(**options)
        if client.api_key not in sessions:
            folder = {key: options[key] for key in ("folder",) if key in options}
            sessions[client.api_key] = window(**folder).sign_in(client).context.storage_state()
        return window(storage_state=sessions[client.api_key], **options)

    yield open_console
    for console in opened:
        console.context.close()
    assert [problem for console in opened for problem in console.problems] == []


@dataclass
class Account:
    """A customer with something of each kind; what arrives at `/failing` is refused."""

    stack: Stack
    client: Client
    streams: Streams
    entities: Entities
    receiver: Receiver
    events: str = ""
    document: str = ""
    hook: dict = field(default_factory=dict)
    failing: dict = field(default_factory=dict)
    entity: dict = field(default_factory=dict)

    @property
    def callback(self) -> str:
        return f"{self.receiver.url}/queries"

    def deliveries(self, page: str) -> list[dict]:
        """Those of a subscription, by its page in the console."""
        kind, key = page.split("/")
        if kind == "subscriptions":
            path = f"/subscribers/webhook/subscriptions/{key}/deliveries"
            return self.stack.call("GET", path, self.client, params={"limit": "100"}).json()["items"]
        return self.entities.call("GET", f"/subscriptions/{key}/deliveries").json()["data"]["deliveries"]

    def delivery(self, page: str, state: str) -> str:
        """The page of a delivery of a subscription, as soon as it is in this state."""
        first = lambda: [it for it in self.deliveries(page) if it["state"] == state]  # noqa: E731
        [found, *_] = eventually(first, bool, f"delivery that is {state}")
        return f"{page}/deliveries/{found.get('id') or found['delivery_key']}"


@pytest.fixture(scope="module")
def account(stack, publisher) -> Iterator[Account]:
    def answer(arrival: Arrival) -> Answer:
        return FAILURE if arrival.path == "/failing" else Answer(200, {"Content-Type": "text/plain"}, b"thanks")

    with Receiver(answer=answer) as receiver:
        client = stack.new_client()
        streams, entities = Streams(stack, publisher, client), Entities(stack, publisher, client)
        account = Account(stack, client, streams, entities, receiver)
        account.events, account.document = streams.topic(), streams.topic("snapshot")
        account.hook = streams.subscribe(account.events, f"{receiver.url}/hook", webhookHeaders={"X-Own": "own"})
        account.failing = streams.subscribe(account.events, f"{receiver.url}/failing")
        key = f"document-{uuid.uuid4()}"
        account.entity = entities.customer.create_subscription(key, f"{receiver.url}/entity")
        assert stack.subscribe(client, account.callback).status_code == 201
        for n in range(3):
            streams.publish(account.events, {"order": n, "items": [{"sku": "a", "count": n}]})
        streams.publish(account.document, {"title": "current", "pages": [1, 2, 3]})
        entities.publish(key)
        yield account


@pytest.fixture
def wrong_keys(stack) -> Iterator[None]:
    """Lets a test present wrong keys, of which an address has only so many in a quarter of an hour."""
    yield
    found = stack.aws("cloudformation").describe_stack_resource(StackName=stack.name, LogicalResourceId="SignInsTable")
    table = found["StackResourceDetail"]["PhysicalResourceId"]
    dynamodb = stack.aws("dynamodb")
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            if item["id"]["S"].startswith("address#127.0.0.1#"):
                dynamodb.delete_item(TableName=table, Key={"id": item["id"]})
