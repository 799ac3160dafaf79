"""What becomes of the bodies that are made up: URLs lead to the receiver, and some values become ones that exist."""

import base64
import hashlib
import random
import re
from pathlib import Path
from typing import Any

from fuzz_record import Record

# The document's CallbackUrl, with the limit of its length.
ALLOWED_URL = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[^\s\\/?#@]+([/?][^\s\\#]*)?")
LONGEST_URL = 2048
# What a parser of URLs may take for one of HTTP: it drops what is around and tabs and line breaks within, and wants no
# slashes. https://url.spec.whatwg.org/#concept-basic-url-parser
DROPPED_AROUND = "".join(map(chr, range(0x21)))
DROPPED_WITHIN = re.compile(r"[\t\n\r]")
DIALLED = re.compile(r"https?:", re.IGNORECASE)

URL_KEYS = {"webhookurl", "callbackurl", "callback", "provider"}
# The names that the document's examples give to topics.
EXAMPLES = {"orders", "shipments"}
QUERIES = ["SELECT 1 AS n", "SELECT 1 AS n WHERE 1 = 0", "WITH a AS (SELECT 2 AS n) SELECT n, n FROM a"]


def basic(client: dict[str, str]) -> str:
    return "Basic " + base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()


class Bodies:
    """Bodies as they are sent: for a receiver and a client, and about what a record has."""

    def __init__(self, receiver: str, client: dict[str, str], record: Record, choice: random.Random, tokens: Path):
        self.receiver = receiver
        self.client = client
        self.record = record
        self.choice = choice
        self.tokens = tokens

    def sent(self, path: str, body: Any) -> Any:
        """The body with every URL replaced that could be called, and with what exists in place of what doesn't."""
        body = self.with_own_urls(body)
        if path.startswith("/entities/"):
            return self.with_own_clients(body)
        if not isinstance(body, dict):
            return body
        if path.startswith(("/subscriptions", "/v1/webhooks")):
            own = {name: self.client[name] for name in ("client_id", "client_secret")}
            return body | {name: value for name, value in own.items() if isinstance(body.get(name), str)}
        if path.startswith("/v1/"):
            return body | {key: self.of_query(key, value) for key, value in body.items() if isinstance(value, str)}
        # The names of the document's examples would be taken from the second request on.
        if path.endswith(("/topics", "/topics/{topicId}")) and is_example(body.get("name")):
            return body | {"name": f"fuzz-{self.client['client_id'][3:11]}-{self.choice.getrandbits(48):x}"}
        return body

    def of_query(self, key: str, value: str) -> str:
        if key == "QueryString" and value:
            return self.choice.choice([*QUERIES, value])
        if key == "QueryExecutionId" and is_execution(value):
            return self.record.existing("id", value, self.choice)
        if key == "client_id" and is_client(value):
            return self.client["client_id"]
        if key == "token" and value and (tokens := self.tokens.read_text().split()):
            return self.choice.choice([*tokens[-5:], value])
        return value

    def with_own_urls(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.with_own_urls(item) for item in value]
        if isinstance(value, dict):
            return {
                key: self.url(item) if key.lower() in URL_KEYS and isinstance(item, str) else self.with_own_urls(item)
                for key, item in value.items()
            }
        return value

    def with_own_clients(self, value: Any) -> Any:
        """Events for the run's client, in place of clients that don't exist."""
        if isinstance(value, list):
            return [self.with_own_clients(item) for item in value]
        if isinstance(value, dict):
            mapped = {key: self.with_own_clients(item) for key, item in value.items()}
            if isinstance(ids := value.get("client_ids"), list):
                mapped["client_ids"] = [self.client["client_id"] if is_client(item) else item for item in ids]
            return mapped
        return value

    def url(self, made_up: str) -> str:
        """A URL of the receiver that the document allows or forbids as it does the one that was made up."""
        read = DROPPED_WITHIN.sub("", made_up.strip(DROPPED_AROUND))
        if not DIALLED.match(read):
            return made_up
        name = hashlib.sha256(made_up.encode(errors="surrogatepass")).hexdigest()[:8]
        own = f"{self.receiver}/{name}"
        if len(made_up) > LONGEST_URL:
            return own + "a" * (len(made_up) - len(own))
        if ALLOWED_URL.fullmatch(made_up):
            return own
        return self.forbidden(made_up, own)

    def forbidden(self, made_up: str, own: str) -> str:
        """With a user, a space or a backslash where there was one; otherwise with a fragment."""
        host = self.receiver.removeprefix("http://")
        wrong = {"@": f"http://user@{host}/", " ": f"{own} ", "\\": f"{own}\\"}
        return next((url for mark, url in wrong.items() if mark in made_up), f"{own}#")


def is_example(name: Any) -> bool:
    return isinstance(name, str) and name in EXAMPLES


def is_client(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"cl_[a-z2-7]{24}", value) is not None


def is_execution(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-]{1,128}", value) is not None
