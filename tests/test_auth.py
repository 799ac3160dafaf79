"""Who may call."""

import json

import pytest
from conftest import Client

CALLS = [
    ("POST", "/v1/subscribe"),
    ("GET", "/v1/subscribe"),
    ("POST", "/v1/unsubscribe"),
    ("POST", "/v1/publish"),
    ("GET", "/v1/hello"),
    ("GET", "/v1/results"),
    ("GET", "/v1/scrollResults"),
    ("POST", "/v1/queries"),
    ("GET", "/v1/queries/x"),
    ("POST", "/topics"),
    ("GET", "/topics"),
    ("DELETE", "/topics/x"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("key", [None, "", "unknown", "bwk_" + "A" * 43, "x" * 5000, "ä"])
def test_without_a_key_that_is_known(stack, method, path, key):
    headers = {} if key is None else {"x-api-key": key.encode()}
    answer = stack.call(method, path, headers=headers, json={})
    assert answer.status_code == 401
    assert "x-api-key" in answer.json()["message"]


def test_the_key_is_the_api_key_and_nothing_else_of_the_client(stack, client):
    for other in (client.client_id, client.client_secret, client.api_key.lower(), client.api_key + "x"):
        answer = stack.call("GET", "/v1/subscribe", headers={"x-api-key": other})
        assert answer.status_code == 401


def test_a_disabled_client_is_shut_out(stack, client):
    # Before its first call: a warm function remembers a client for up to 60 seconds.
    assert stack.cli("clients", "disable", client.client_id).returncode == 0
    assert stack.call("GET", "/v1/subscribe", client).status_code == 401


def test_a_rotated_key_replaces_the_old_one(stack, client):
    done = stack.cli("clients", "rotate-key", client.client_id, "--json")
    rotated = Client(**client.__dict__ | {"api_key": json.loads(done.stdout)["api_key"]})
    assert stack.call("GET", "/v1/subscribe", client).status_code == 401
    assert stack.call("GET", "/v1/subscribe", rotated).status_code == 200


def test_a_subscribers_key_can_not_do_what_a_publishers_can(stack, client, publisher):
    body = {"QueryExecutionId": "x", "client_id": "x"}
    refused = stack.call("POST", "/v1/queries", client, json=body)
    assert refused.status_code == 403
    assert "publisher" in refused.json()["message"]
    assert stack.call("POST", "/v1/queries", publisher, json=body).status_code == 400


def test_a_bearer_token_is_a_key_too(stack, client):
    for scheme, status in (("Bearer", 200), ("bearer", 200), ("Basic", 401)):
        answer = stack.call("GET", "/v1/subscribe", headers={"Authorization": f"{scheme} {client.api_key}"})
        assert answer.status_code == status
    both = {"Authorization": f"Bearer {client.api_key}", "x-api-key": "wrong"}
    assert stack.call("GET", "/v1/subscribe", headers=both).status_code == 401


def test_a_publisher_may_subscribe_too(stack, publisher):
    assert stack.call("GET", "/v1/subscribe", publisher).status_code == 200


def test_the_table_holds_no_key_and_no_secret(stack, client):
    dynamodb = stack.aws("dynamodb")
    item = dynamodb.get_item(TableName=stack.outputs["ClientsTable"], Key={"client_id": {"S": client.client_id}})[
        "Item"
    ]
    text = str(item)
    assert client.name in text
    assert client.api_key not in text and client.client_secret not in text
