"""`make demo`: the three protocols as a story, on the local stack. Each step says what was done and
what came back; `--verbose` shows the bodies as well."""

import argparse
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import build
import data
import requests
import stack
from clients import aws
from console import Failed
from receiver import Answer, Arrival, Receiver
from rich.console import Console
from rich.table import Table
from settings import STATE, environment

RECEIVER_PORT = 8000
SQL = "SELECT country, count(*) AS orders FROM orders GROUP BY country ORDER BY country"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="show the bodies of requests and answers")
    arguments = parser.parse_args()
    try:
        env = stack.up()
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    began = time.monotonic()
    story = Story(env, arguments.verbose)
    with story.receiver:
        onboarding(story)
        queries(story)
        documents(story)
        events_of_topics(story)
        entities(story)
        console(story)
    story.sum_up(time.monotonic() - began)
    story.what_next()
    return 0


class Story:
    """Shows what happens: the clients, the customer's receiver, and the console. What is made at a terminal is made at
    the beginning: a publisher, and the operator's key with which the provider's backend makes the customer."""

    def __init__(self, env: dict[str, str], verbose: bool):
        self.console = Console(highlight=False, markup=False, soft_wrap=True)
        self.verbose = verbose
        self.url = env["BELLWIRE_URL"]
        self.env = env
        self.steps = 0
        self.took: list[tuple[str, float]] = []
        self.try_next: list[tuple[str, str]] = []
        self.failures: dict[str, int] = {}
        self.receiver = open_receiver(self.answer)
        self.mark = uuid.uuid4().hex[:6]
        self.customer: dict[str, str] = {}
        self.console_link = ""
        self.operator = self.create_client(f"demo-operator-{self.mark}", "--operator")
        self.publisher = self.create_client(f"demo-publisher-{self.mark}", "--publisher")
        self.console.print()
        self.line("→ a request to the API", "← its answer", "⇒ what arrives at the customer's webhook", indent="")

    # ------------------------------------------------------------ showing

    def title(self, text: str) -> None:
        self.steps += 1
        self.console.print(f"{self.steps}. {text}", style="bold")

    def line(self, *parts: str, indent: str = "   ") -> None:
        """A line, each part of it in the colour of its arrow."""
        colours = {"→": "cyan", "←": "green", "⇒": "yellow"}
        self.console.print(indent, end="")
        for n, part in enumerate(parts):
            self.console.print(("  " if n else "") + part, style=colours.get(part[0]), end="")
        self.console.print()

    def body(self, what: str, body) -> None:
        if self.verbose:
            self.console.print(f"     {what}: {json.dumps(body, ensure_ascii=False)}", style="dim")

    # ------------------------------------------------------------ doing

    def create_client(self, name: str, *options: str) -> dict:
        command = [str(build.CLI), "clients", "create", name, *options, "--json"]
        done = subprocess.run(command, env=environment(**self.env), capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def call(self, method: str, path: str, client: dict, body=None, said: str = "") -> tuple[int, Any]:
        """Makes a request and shows it; the caller shows the answer."""
        self.line(f"→ {method} {path}{f'  {said}' if said else ''}")
        headers = {"x-api-key": client["api_key"]}
        answer = requests.request(method, f"{self.url}{path}", headers=headers, json=body, timeout=30)
        answer.raise_for_status()
        if body is not None:
            self.body("sent", body)
        content = answer.json()
        self.body("answered", content)
        return answer.status_code, content

    def arrivals(self, path: str, count: int = 1) -> list[Arrival]:
        found = self.receiver.wait_for(lambda it: it.path == path, count)
        for arrival in found[-1:]:
            self.body("arrived", arrival.json())
        return found

    def answer(self, arrival: Arrival) -> Answer:
        """What the customer's receiver answers: 200, but for the failures that are due on a path."""
        due = self.failures.get(arrival.path, 0)
        self.failures[arrival.path] = max(0, due - 1)
        return Answer(503) if due else Answer()

    # ------------------------------------------------------------ the end

    def sum_up(self, seconds: float) -> None:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 3))
        for what, took in self.took:
            table.add_row(what, f"{took:.2f} s")
        self.console.print(
            f"\nAll three protocols in {seconds:.0f} s. From what happened to its arrival:", style="bold"
        )
        self.console.print(table)

    def what_next(self) -> None:
        bellwire = build.CLI.relative_to(build.ROOT)
        lines = [
            f"set -a; . {STATE.relative_to(build.ROOT)}/env; set +a",
            f"CUSTOMER={self.customer['api_key']}  PUBLISHER={self.publisher['api_key']}",
            f"OPERATOR={self.operator['api_key']}",
            f".venv/bin/python local/receiver.py {self.receiver.port} &     # the webhooks above, again: shows what arrives",
            *(f"{command}     # {what}" for what, command in self.try_next),
            f"{bellwire} --help     # clients and dead letters",
            "make down     # stops the stack",
        ]
        self.console.print(
            "\nThe stack is still running, and the webhooks are registered. Try next, in a shell:", style="bold"
        )
        for line in lines:
            self.console.print(f"   {line}")
        self.console.print("\nAnd in a browser:", style="bold")
        self.console.print(f"   {self.console_link}     # the customer's console, once and within five minutes")
        self.console.print(f"   {self.url}/console     # the same with the customer's key, CUSTOMER")
        self.console.print(f"   {self.url}/operator     # the operator's, with OPERATOR")


def onboarding(story: Story) -> None:
    story.title("The provider's backend makes a client of the API for a customer, by its own id, and gives it a key")
    path = f"/v1/clients/demo-customer-{story.mark}"
    status, client = story.call("PUT", path, story.operator, {"labels": ["demo"]}, "labels demo")
    story.line(f"← {status} {client['client_id']}")
    status, key = story.call("POST", f"{path}/keys", story.operator, {"name": "first"})
    story.line(f"← {status} bwk_…{key['last_four']}, this once")
    status, secret = story.call("POST", f"{path}/secret/rotate", story.operator)
    story.line(f"← {status} the client's secret, for the third protocol")
    story.customer = {
        "client_id": client["client_id"],
        "api_key": key["api_key"],
        "client_secret": secret["client_secret"],
    }
    story.try_next.append(
        (
            "the same for the customer, with the operator's key",
            "curl -sw '\\n' -H \"x-api-key: $OPERATOR\" "
            f"-H 'X-Bellwire-Client: {client['external_id']}' $BELLWIRE_URL/v1/subscribe",
        )
    )


def queries(story: Story) -> None:
    customer = story.customer
    story.title("A customer wants to be told when its queries have finished, and proves that the URL is its own")
    callback = f"{story.receiver.url}/queries"
    status, answer = story.call("POST", "/v1/subscribe", customer, {"callbackUrl": callback}, f"callbackUrl {callback}")
    [confirmation] = story.arrivals("/queries")
    story.line(f"← {status} {answer['status']}", "⇒ SNS asks the URL to confirm, with a token")
    token = {"token": confirmation.json()["Token"]}
    status, answer = story.call("POST", "/v1/subscribe", customer, token, "the token")
    story.line(f"← {status} {answer['status']}")

    story.title("It runs a query, is told, and reads the result")
    data.put(aws, data.DATABASE, "orders", data.ORDERS)
    status, answer = story.call("POST", "/v1/queries", customer, {"QueryString": SQL}, SQL)
    query = answer["QueryExecutionId"]
    began = time.time()
    notification = story.arrivals("/queries", 2)[1]
    story.line(f"← {status}", f"⇒ {notification.json()['status']}, at {notification.json()['time_completed']}")
    story.took.append(("a query, from its start to its notification", notification.at - began))
    _, answer = story.call("POST", "/v1/scrollResults", customer, {"QueryExecutionId": query})
    rows = ", ".join(f"{row['country']} {row['orders']}" for row in answer["results"])
    story.line(f"← {len(answer['results'])} rows: {rows}")
    story.try_next.append(
        ("what is registered", "curl -sw '\\n' -H \"x-api-key: $CUSTOMER\" $BELLWIRE_URL/v1/subscribe")
    )


def documents(story: Story) -> None:
    story.title("The provider publishes a document that changes; one webhook gets it whole, the other what has changed")
    topic = make_topic(story, "snapshot")
    subscribe(story, topic, "/whole", "snapshot-only")
    subscribe(story, topic, "/changes", "snapshot-patch")
    orders = [{"id": n, "state": "packed", "to": f"{n} Long Street"} for n in (6, 7)]
    publish(story, topic, orders, "two orders")
    story.arrivals("/whole"), story.arrivals("/changes")
    story.line("⇒ both get a snapshot, signed, with the event's id to know a repetition by")
    orders[1]["state"] = "shipped"
    began = publish(story, topic, orders, "order 7 is shipped")
    whole, changes = story.arrivals("/whole", 2)[1], story.arrivals("/changes", 2)[1]
    story.line(f"⇒ /whole: {event_type(whole)}", f"⇒ /changes: {event_type(changes)} {changes.body.decode()}")
    story.took.append(("a document's change, as a patch", changes.at - began))
    orders[0]["state"] = "shipped"
    story.try_next.append(("change the document", curl(f"publishers/http-post/topics/{topic}", orders)))


def events_of_topics(story: Story) -> None:
    story.title("An event of another topic; the endpoint fails twice, and recovers")
    topic = make_topic(story, "event")
    subscription = subscribe(story, topic, "/events", "event")
    story.failures["/events"] = 2
    began = publish(story, topic, {"order": 7, "delivered": True}, '{"order": 7, "delivered": true}')
    arrivals = story.arrivals("/events", 3)
    story.line(f"⇒ attempts 1, 2: 503; attempt 3: 200, with the same webhook-id {arrivals[-1].headers['webhook-id']}")
    story.took.append(("an event, the first attempt", arrivals[0].at - began))
    story.took.append(("the same, after two failures and their retries", arrivals[-1].at - began))
    story.title("The customer looks at what happened, attempt by attempt")
    path = f"/subscribers/webhook/subscriptions/{subscription}/exchanges"
    on_record(3, lambda: get(story, path))
    _, exchanges = story.call("GET", path, story.customer)
    answers = [it.get("errorMessage") or f"{it['responseCode']} OK" for it in exchanges]
    story.line(f"← {len(exchanges)} exchanges: {', '.join(answers)}")
    story.try_next.append(("an event", curl(f"publishers/http-post/topics/{topic}", {"order": 8})))
    story.try_next.append(("its attempts", f"curl -sw '\\n' -H \"x-api-key: $CUSTOMER\" $BELLWIRE_URL{path}"))


def entities(story: Story) -> None:
    story.title("The customer follows a single document, with its client id and secret; the callback fails once")
    entity = f"document-{uuid.uuid4().hex[:6]}"
    credentials = {name: story.customer[name] for name in ("client_id", "client_secret")}
    subscription = {"entity_key": entity, "callback": f"{story.receiver.url}/documents"}
    story.line(f"→ POST /subscriptions  entity_key {entity}, callback {subscription['callback']}")
    answer = requests.post(f"{story.url}/subscriptions", json={**credentials, "subscription": subscription}, timeout=30)
    answer.raise_for_status()
    story.body("answered", answer.json())
    key = answer.json()["data"]["subscription"]["key"]
    story.failures["/documents"] = 1
    event = {
        "client_ids": [story.customer["client_id"]],
        "entity_key": entity,
        "entity_type": "Document",
        "callback_event": "entity_updated",
    }
    began = time.time()
    story.call("POST", "/entities/events", story.publisher, event, "entity_updated")
    arrivals = story.arrivals("/documents", 2)
    story.line(
        f"⇒ attempt 1: 503; attempt 2: 200  {arrivals[-1].json()['callback_event']} {arrivals[-1].json()['entity_key']}"
    )
    story.took.append(("an entity's event, the first attempt", arrivals[0].at - began))
    path = f"/subscriptions/{key}/callbacks"
    log = on_record(
        2, lambda: requests.get(f"{story.url}{path}", params=credentials, timeout=30).json()["data"]["callbacks"]
    )
    story.line(
        f"→ GET {path}",
        f"← {len(log)} callbacks, newest first: {', '.join(str(it['response']['status_code']) for it in log)}",
    )
    story.try_next.append(("an event of the entity", curl("entities/events", event)))


def console(story: Story) -> None:
    story.title("The customer looks at all of it in the console, to which the provider's backend makes a link")
    wanted = {"client_id": story.customer["client_id"]}
    status, link = story.call("POST", "/v1/portal-links", story.operator, wanted, "for the customer")
    story.line(f"← {status} a link that is good once, and for five minutes")
    story.console_link = link["url"]


# ---------------------------------------------------------------- pieces


def make_topic(story: Story, payload: str) -> str:
    definition = {
        "name": f"demo-{payload}-{uuid.uuid4().hex[:6]}",
        "publisher": {"type": "http-post", "config": {}, "payload": {"type": payload}},
    }
    headers = {"x-api-key": story.publisher["api_key"]}
    answer = requests.post(f"{story.url}/topics", headers=headers, json=definition, timeout=30)
    answer.raise_for_status()
    story.body("topic", answer.json())
    return answer.json()["id"]


def subscribe(story: Story, topic: str, path: str, mode: str) -> str:
    request = {"webhookUrl": f"{story.receiver.url}{path}", "subscriptionMode": mode}
    address = f"/subscribers/webhook/topics/{topic}/subscriptions"
    _, subscription = story.call("POST", address, story.customer, request, f"{path}, {mode}")
    return subscription["id"]


def publish(story: Story, topic: str, document, said: str) -> float:
    """Publishes; returns when that began, in seconds."""
    began = time.time()
    story.call("POST", f"/publishers/http-post/topics/{topic}", story.publisher, document, said)
    return began


def event_type(arrival: Arrival) -> str:
    return arrival.headers["x-axway-streams-event-type"]


def get(story: Story, path: str) -> list:
    answer = requests.get(f"{story.url}{path}", headers={"x-api-key": story.customer["api_key"]}, timeout=30)
    answer.raise_for_status()
    return answer.json()


def on_record(count: int, look: Callable[[], list]) -> list:
    """What is on record, as soon as there is so much of it."""
    deadline = time.monotonic() + 20
    while len(found := look()) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(found)} of {count} attempts are on record")
        time.sleep(0.1)
    return found


def curl(path: str, body) -> str:
    return (
        "curl -sw '\\n' -H \"x-api-key: $PUBLISHER\" -H 'Content-Type: application/json' "
        f"-d '{json.dumps(body)}' $BELLWIRE_URL/{path}"
    )


def open_receiver(answer: Callable[[Arrival], Answer]) -> Receiver:
    """The customer's receiver, on the port that the docs name if it is free."""
    try:
        return Receiver(RECEIVER_PORT, answer=answer)
    except OSError:
        return Receiver(answer=answer)


if __name__ == "__main__":
    sys.exit(main())
