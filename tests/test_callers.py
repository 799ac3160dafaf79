"""Whose key it is, in each function behind the API: keys of today and of earlier versions, and operators that act for
a client."""

import hashlib
import uuid

import pytest

# A call of each function, and its status for whoever may make it.
CALLS = [
    ("GET", "/v1/subscribe", None, 200),
    ("POST", "/v1/unsubscribe", {"callbackUrl": "https://nobody.example.com/"}, 404),
    ("GET", "/v1/queries", None, 200),
    ("POST", "/v1/results", {"QueryExecutionId": str(uuid.UUID(int=1))}, 404),
    ("GET", "/topics", None, 200),
    ("POST", f"/publishers/http-post/topics/{uuid.UUID(int=2)}", {}, 404),
    ("GET", f"/subscribers/webhook/subscriptions/{uuid.UUID(int=3)}", None, 404),
    ("POST", "/entities/events", {}, 400),
]
# Protocol C takes keys of operators alone.
OF_ENTITIES = ("GET", "/subscriptions", None, 200)


@pytest.fixture(scope="module")
def operator(stack):
    return stack.new_client(operator=True)


def with_earlier_key(stack, **roles: bool) -> tuple[str, str]:
    """A client as earlier versions have stored it: its id, and its key."""
    client_id, key = f"cl_{uuid.uuid4().hex[:24].translate(str.maketrans('0189', 'zyxw'))}", f"bwk_{uuid.uuid4()}"
    item = {
        "client_id": {"S": client_id},
        "name": {"S": "earlier"},
        "publisher": {"BOOL": True},
        "api_key_sha256": {"S": hashlib.sha256(key.encode()).hexdigest()},
        "client_secret_sha256": {"S": hashlib.sha256(b"secret").hexdigest()},
        "created_at": {"S": "2026-01-01T00:00:00.000000Z"},
    } | {role: {"BOOL": has} for role, has in roles.items()}
    stack.aws("dynamodb").put_item(TableName=stack.outputs["ClientsTable"], Item=item)
    stack.clients.append(client_id)
    return client_id, key


@pytest.mark.parametrize(("method", "path", "body", "status"), CALLS)
class TestEachFunction:
    def test_a_key_works_once_it_is_made(self, stack, method, path, body, status):
        made = stack.new_client(publisher=True)
        assert stack.call(method, path, made, json=body).status_code == status

    def test_a_key_of_an_earlier_version_goes_on_working(self, stack, method, path, body, status):
        _, key = with_earlier_key(stack)
        for _ in range(2):
            answer = stack.call(method, path, json=body, headers={"x-api-key": key})
            assert answer.status_code == status, answer.text

    def test_an_operator_acts_for_a_client_and_nobody_else_does(
        self, stack, operator, publisher, method, path, body, status
    ):
        acting = {"X-Bellwire-Client": publisher.client_id}
        assert stack.call(method, path, operator, json=body, headers=acting).status_code == status
        assert stack.call(method, path, publisher, json=body, headers=acting).status_code == 403
        unknown = {"X-Bellwire-Client": f"unknown-{uuid.uuid4()}"}
        assert stack.call(method, path, operator, json=body, headers=unknown).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "/v1/clients/nobody", None), ("POST", "/v1/portal-links", {"client_id": "nobody"})],
)
def test_an_operators_key_of_an_earlier_version_manages_clients(stack, method, path, body):
    _, key = with_earlier_key(stack, operator=True)
    for _ in range(2):
        assert stack.call(method, path, json=body, headers={"x-api-key": key}).status_code == 404


def test_an_operator_acts_for_a_client_of_protocol_c(stack, publisher):
    # Its first request today, which is recorded.
    operator = stack.new_client(operator=True)
    method, path, body, status = OF_ENTITIES
    acting = {"X-Bellwire-Client": publisher.client_id}
    _, key = with_earlier_key(stack, operator=True)
    for headers in (acting | {"x-api-key": operator.api_key}, acting | {"x-api-key": key}):
        assert stack.call(method, path, json=body, headers=headers).status_code == status
    refused = stack.call(method, path, publisher, json=body, headers=acting)
    assert (refused.status_code, refused.json()["status"]["status_code"]) == (403, 403)
