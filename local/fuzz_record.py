"""What a process of the fuzzer has called, and what exists because of it: topics, subscriptions, queries."""

import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

TOPICS = re.compile(r"/topics(/{topicId})?$")
SUBSCRIPTIONS = re.compile(r"/topics/{topicId}/subscriptions$")
ENTITIES = re.compile(r"/(subscriptions|webhooks)$")


class Made:
    """Things of one kind, by the ids that calls take. What was deleted isn't forgotten: it may be called on purpose."""

    def __init__(self, kept: list[str]) -> None:
        # What is there from the first request to the last.
        self.kept = kept
        self.alive: list[str] = []
        self.ever = set(kept)

    def add(self, name: Any) -> None:
        if isinstance(name, str) and name not in self.ever:
            self.alive.append(name)
            self.ever.add(name)

    def remove(self, name: str) -> None:
        if name in self.alive:
            self.alive.remove(name)


class Record:
    """Written when the process ends, for whoever has started it."""

    def __init__(self, foreign_topics: list[str], kept: dict[str, list[str]]) -> None:
        self.calls: Counter[tuple[str, int]] = Counter()
        # By the name of the parameter that takes their ids.
        self.made = {name: Made(kept[name]) for name in ("topicId", "subscriptionId", "key", "id", "clientId")}
        self.topics: set[str] = set()
        # The ids and names of somebody else's topics.
        self.foreign = set(foreign_topics)

    def keep(self, method: str, path: str, parameters: dict[str, Any], status: int, body: Any) -> None:
        """Keeps a call, and what it has made or deleted."""
        self.calls[f"{method} {path}", status] += 1
        if status >= 300:
            return
        if method == "DELETE":
            for name, value in parameters.items():
                if name in self.made and path.endswith(f"{{{name}}}"):
                    self.made[name].remove(str(value))
        elif isinstance(body, dict):
            self.keep_made(method, path, body)

    def keep_made(self, method: str, path: str, body: dict[str, Any]) -> None:
        if TOPICS.search(path) and "/publishers/" not in path:
            self.keep_topics(method, body.get("items", [body]))
        elif method == "POST" and SUBSCRIPTIONS.search(path):
            self.made["subscriptionId"].add(body.get("id"))
        elif method == "POST" and ENTITIES.search(path) and isinstance(body.get("data"), dict):
            for subscription in body["data"].values():
                self.made["key"].add(subscription.get("key"))
        elif method == "PUT" and path == "/v1/clients/{clientId}":
            self.made["clientId"].add(body.get("client_id"))
        elif method == "POST" and path == "/v1/queries":
            self.made["id"].add(body.get("QueryExecutionId"))

    def keep_topics(self, method: str, topics: list[dict[str, str]]) -> None:
        """Tells topics of this process from those of others, by who has made them."""
        for topic in topics:
            if method == "POST":
                self.topics.add(topic["id"])
            if topic["id"] in self.topics:
                self.made["topicId"].add(topic["id"])
                self.made["topicId"].add(topic["name"])
                self.foreign -= {topic["id"], topic["name"]}
            else:
                self.foreign |= {topic["id"], topic["name"]}

    def existing(self, name: str, value: str, choice: random.Random) -> str:
        """For most ids that were made up, one that exists; the others, and those that came from answers, as they are."""
        made = self.made.get(name)
        if made and (known := [*made.kept, *made.alive[-20:]]) and value not in made.ever and choice.random() < 0.8:
            return choice.choice(known)
        return value

    def has_to_stay(self, method: str, name: str, value: str) -> bool:
        """Whether something is not to be changed, since it is somebody else's, or not to be deleted."""
        if name == "topicId" and method != "GET" and value in self.foreign:
            return True
        return method == "DELETE" and name in self.made and value in self.made[name].kept

    def write(self, place: Path) -> None:
        calls = [[operation, status, count] for (operation, status), count in sorted(self.calls.items())]
        place.write_text(json.dumps({"calls": calls, "topics": sorted(self.topics)}))
