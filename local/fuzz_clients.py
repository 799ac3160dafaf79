"""The clients that fuzz a protocol, what they have from the start, and removing all that was made."""

import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from json import loads
from typing import Any

import requests
from build import CLI
from console import Failed
from fuzz_bodies import QUERIES, basic
from settings import environment

PAGE = 1000
# How many clients are made by the API, at most; the first of them stays.
CUSTOMERS = 5


class Clients:
    """A client, a publisher and an operator, as `bellwire clients create` prints them. A context manager: when it ends,
    they are gone, with all that is theirs, the topics in `topics` and the clients in `customers`."""

    def __init__(self, env: dict[str, str], name: str):
        self.env = env
        self.url = env["BELLWIRE_URL"]
        self.name = name
        self.topics: set[str] = set()
        self.client: dict[str, str] = {}
        self.publisher: dict[str, str] = {}
        self.operator: dict[str, str] = {}
        # The external ids of the clients that are made by the API.
        mark = uuid.uuid4().hex[:12]
        self.customers = [f"fuzz-{mark}-{n}" for n in range(CUSTOMERS)] if name == "A-clients" else []

    def __enter__(self) -> "Clients":
        self.client = self.create()
        self.publisher = self.create("--publisher")
        self.operator = self.create("--operator")
        return self

    def __exit__(self, *_: object) -> None:
        # First whoever would be told that the topics are gone.
        self.cli("delete", self.client["client_id"])
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.delete_topic, sorted(self.topics)))
        for customer in self.customers:
            with suppress(requests.RequestException):
                self.call("DELETE", f"/v1/clients/{customer}", self.operator)
        self.cli("delete", self.publisher["client_id"])
        self.cli("delete", self.operator["client_id"])

    def create(self, *options: str) -> dict[str, str]:
        return loads(self.cli("create", f"fuzz-{self.name}-{uuid.uuid4()}", "--json", *options))

    def cli(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(CLI), "clients", *arguments], env=environment(**self.env), capture_output=True, text=True, timeout=300
        )
        if done.returncode != 0:
            raise Failed(f"bellwire clients {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def delete_topic(self, topic: str) -> None:
        with suppress(requests.RequestException):
            self.call("DELETE", f"/topics/{topic}", self.publisher)

    def all_topics(self) -> list[str]:
        """The ids and names of the topics that there are."""
        found: list[str] = []
        page = 1
        while True:
            items = self.call("GET", f"/topics?page={page}&pageSize={PAGE}", self.publisher).json()["items"]
            found += [text for topic in items for text in (topic["id"], topic["name"])]
            if len(items) < PAGE:
                return found
            page += 1

    def keep(self, receiver: str) -> dict[str, list[str]]:
        """Makes one of each thing that requests are about, by the parameter that takes its id: so there is always one."""
        kept: dict[str, list[str]] = {"topicId": [], "subscriptionId": [], "key": [], "id": [], "clientId": []}
        for customer in self.customers[:1]:
            self.call("PUT", f"/v1/clients/{customer}", self.operator, json={})
            kept["clientId"].append(customer)
        if self.name[0] == "B":
            for payload in ("snapshot", "event"):
                definition = {
                    "name": f"fuzz-{uuid.uuid4()}",
                    "publisher": {"type": "http-post", "payload": {"type": payload}},
                }
                topic = self.made("/topics", self.publisher, definition)["id"]
                self.topics.add(topic)
                kept["topicId"].append(topic)
                path = f"/subscribers/webhook/topics/{topic}/subscriptions"
                kept["subscriptionId"].append(self.made(path, self.client, {"webhookUrl": f"{receiver}/kept"})["id"])
        if self.name == "C":
            credentials = {name: self.client[name] for name in ("client_id", "client_secret")}
            wanted = {"entity_key": "kept", "callback": f"{receiver}/kept"}
            data = self.made("/subscriptions", self.client, credentials | {"subscription": wanted})["data"]
            kept["key"].append(data["subscription"]["key"])
        if self.name == "A":
            query = {"QueryString": QUERIES[0], "wait": True}
            kept["id"].append(self.made("/v1/queries", self.client, query)["QueryExecutionId"])
        return kept

    def made(self, path: str, client: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        answer = self.call("POST", path, client, json=body)
        if not answer.ok:
            raise Failed(f"POST {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def call(self, method: str, path: str, client: dict[str, str], **how: Any) -> requests.Response:
        return requests.request(method, self.url + path, headers={"x-api-key": client["api_key"]}, timeout=60, **how)

    def without_credentials(self, text: str) -> str:
        """The text with the shell's variables in place of credentials, where they stand within single quotes."""
        variables = {
            basic(self.client).removeprefix("Basic "): "BASIC",
            self.client["client_secret"]: "CLIENT_SECRET",
            self.client["client_id"]: "CLIENT_ID",
            self.client["api_key"]: "API_KEY",
            self.publisher["api_key"]: "PUBLISHER_KEY",
            self.operator["api_key"]: "OPERATOR_KEY",
        }
        for value, name in variables.items():
            text = text.replace(value, f"'\"$BELLWIRE_{name}\"'")
        return text
