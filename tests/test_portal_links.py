"""`/v1/portal-links`: links that sign customers in to the console."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

PATH = "/v1/portal-links"


@pytest.fixture(scope="module")
def operator(stack):
    return stack.new_client(operator=True)


def test_a_link_leads_to_the_console_and_shows_no_key(stack, operator, client):
    answer = stack.call("POST", PATH, operator, json={"client_id": client.client_id, "theme": "dark"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert set(made) == {"url", "expires_at"}
    assert made["url"].startswith(f"{stack.url}/console/link?token=bwl_")
    ends = datetime.fromisoformat(made["expires_at"])
    assert timedelta(minutes=4) < ends - datetime.now(UTC) < timedelta(minutes=6)
    # Its token is no key of the API.
    token = urlsplit(made["url"]).query.partition("=")[2]
    answer = stack.call("GET", "/v1/hello", headers={"x-api-key": token})
    assert answer.status_code == 401


def test_links_are_for_customers_by_operators(stack, operator, client, publisher):
    wanted = {"client_id": client.client_id}
    assert stack.call("POST", PATH, json=wanted).status_code == 401
    for other in (client, publisher):
        assert stack.call("POST", PATH, other, json=wanted).status_code == 403
    answer = stack.call("POST", PATH, operator, json={"client_id": "nobody-of-that-name"})
    assert answer.status_code == 404
    for other in (operator, publisher):
        answer = stack.call("POST", PATH, operator, json={"client_id": other.client_id})
        assert (answer.status_code, answer.json()["message"]) == (
            409,
            "the client is a publisher or an operator: it signs in with its key",
        )
    assert stack.call("POST", PATH, operator, data=b"x" * 70_000).status_code == 413


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, "client_id"),
        ({"client_id": 5}, "client_id"),
        ({"client_id": "a/b"}, "client_id"),
        ({"theme": "pink"}, "theme"),
        ({"return_url": "https://elsewhere.example/"}, "return_url"),
        ({"return_url": "/relative"}, "return_url"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_refused(stack, operator, client, wanted, field):
    wanted = wanted if "client_id" in wanted or not wanted else {"client_id": client.client_id, **wanted}
    answer = stack.call("POST", PATH, operator, json=wanted)
    assert answer.status_code == 400
    assert answer.json()["field"] == field


def test_the_paths_of_sessions_are_none_of_the_api(stack, client):
    for method, path in [("POST", "/sessions"), ("GET", "/sessions/current"), ("DELETE", "/sessions/current")]:
        assert stack.call(method, path, client, json={"api_key": client.api_key}).status_code == 404
