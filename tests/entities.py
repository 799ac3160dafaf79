"""Entity subscriptions, as a customer calls them.

`EntityClient` knows nothing of Bellwire: it makes the calls that the protocol's page shows,
as it shows them, and reads what the page says that comes back.
"""

import uuid
from urllib.parse import urlsplit

import requests
from conftest import Client, Stack


class EntityClient:
    """Subscribes to changes of entities, with a client id and secret."""

    def __init__(self, base_url: str, client_id: str, client_secret: str):
        self.base_url = base_url
        self.credentials = {"client_id": client_id, "client_secret": client_secret}

    def create_subscription(self, document_key: str, callback: str) -> dict:
        subscription = {"entity_key": document_key, "callback": callback}
        body = {**self.credentials, "subscription": subscription}
        return self._read(requests.post(f"{self.base_url}/subscriptions", json=body, timeout=30))["subscription"]

    def get_subscription(self, subscription_key: str) -> dict:
        return self._call("GET", f"/subscriptions/{subscription_key}")["subscription"]

    def get_subscriptions(self, entity_key: str | None = None) -> list[dict]:
        return self._call("GET", "/subscriptions", entity_key=entity_key)["subscriptions"]

    def unsubscribe(self, subscription_key: str) -> None:
        self._call("DELETE", f"/subscriptions/{subscription_key}")

    def unsubscribe_entity(self, entity_key: str) -> None:
        self._call("DELETE", "/subscriptions", entity_key=entity_key)

    def callback_log(self, subscription_key: str) -> list[dict]:
        return self._call("GET", f"/subscriptions/{subscription_key}/callbacks")["callbacks"]

    def _call(self, method: str, path: str, **parameters: str | None) -> dict:
        everything = {**self.credentials, **parameters}
        return self._read(requests.request(method, self.base_url + path, params=everything, timeout=30))

    def _read(self, response: requests.Response) -> dict:
        body = response.json()
        assert response.status_code == body["status"]["status_code"] == 200, response.text
        return body.get("data", {})


class Entities:
    """A customer, the provider, and what the customer sends when it gets it wrong."""

    def __init__(self, stack: Stack, publisher: Client, client: Client):
        self.stack = stack
        self.publisher = publisher
        self.client = client
        self.customer = self.of(client)

    def of(self, client: Client) -> EntityClient:
        return EntityClient(self.stack.url, client.client_id, client.client_secret)

    def publish(self, entity_key: str, *clients: Client, event: str = "entity_updated", **headers: str) -> str:
        body = entity_event(entity_key, *(clients or [self.client]), event=event)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.stack.call("POST", "/entities/events", self.publisher, json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        assert answer.json()["status"] == {"status_code": 202}
        return answer.json()["data"]["event"]["id"]

    def call(self, method: str, path: str, **parameters) -> requests.Response:
        """A call with the client's credentials in the query string, unless others are given."""
        parameters = self.customer.credentials | parameters
        return self.stack.call(method, path, params={k: v for k, v in parameters.items() if v is not None})

    def post(self, body, path: str = "/subscriptions") -> requests.Response:
        how = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.stack.call("POST", path, **how)

    def create_request(self, **more) -> dict:
        subscription = {"entity_key": new_key(), "callback": "https://example.com/callback"} | more
        return {**self.customer.credentials, "subscription": subscription}


def every_page(entities: Entities, path: str, **parameters) -> list[dict]:
    """The bodies of all pages of a list, each found by the path that the one before names."""
    answer, pages = entities.call("GET", path, **parameters), list[dict]()
    while True:
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        following = pages[-1]["pagination"]["next"]
        if not following:
            return pages
        assert entities.client.client_secret not in following
        # The path is absolute: it begins with the stage, as the stack's URL ends.
        base = urlsplit(entities.stack.url)
        secret = {"client_secret": entities.client.client_secret}
        answer = requests.get(f"{base.scheme}://{base.netloc}{following}", params=secret, timeout=30)


def entity_event(entity_key: str, *clients: Client, event: str = "entity_updated") -> dict:
    return {
        "client_ids": [client.client_id for client in clients],
        "entity_key": entity_key,
        "entity_type": "Document",
        "callback_event": event,
    }


def new_key() -> str:
    return f"document-{uuid.uuid4()}"
