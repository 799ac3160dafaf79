"""Clients that the provider's backend makes and manages, with an operator's key."""

import json
import uuid
from functools import partial

import pytest
from conftest import Client, at_once, dead_letters, new_query
from entities import entity_event, new_key
from runtime_api import Function, failures, sqs_event
from streams import bodies, eventually, is_streams
from test_client_lifecycle import items

CLIENTS_OWN = (
    "ClientsTable",
    "KeysTable",
    "SubscriptionsTable",
    "MembersTable",
    "CallbacksTable",
    "QueriesTable",
)


@pytest.fixture(scope="module")
def operator(stack) -> Client:
    return stack.new_client(operator=True)


@pytest.fixture(scope="module")
def client_tasks(stack):
    with Function(stack, "ClientTasksFunction") as function:
        yield function


class Backend:
    """The provider's backend, with a customer of its own."""

    def __init__(self, stack, operator: Client):
        self.stack = stack
        self.operator = operator
        self.external_id = f"customer-{uuid.uuid4()}"
        self.path = f"/v1/clients/{self.external_id}"

    def call(self, method: str, path: str = "", **how):
        return self.stack.call(method, self.path + path, self.operator, **how)

    def client(self) -> Client:
        """The customer with a key and a secret, as it would use them."""
        made = self.call("PUT", json={"labels": ["eu"]})
        assert made.status_code == 201, made.text
        self.stack.clients.append(made.json()["client_id"])
        key = self.call("POST", "/keys", json={"name": "backend"})
        secret = self.call("POST", "/secret/rotate")
        assert (key.status_code, secret.status_code) == (201, 200)
        return Client(
            client_id=made.json()["client_id"],
            name=made.json()["name"],
            publisher=False,
            operator=False,
            api_key=key.json()["api_key"],
            client_secret=secret.json()["client_secret"],
        )

    def keys(self) -> list[dict]:
        return self.call("GET").json()["keys"]


@pytest.fixture
def backend(stack, operator) -> Backend:
    return Backend(stack, operator)


def set_on_record(stack, client: Client, update: str) -> None:
    """Changes a client's item as a request does that is cut off right after that."""
    now = {":now": {"S": "2026-01-01T00:00:00.000000Z"}} if ":now" in update else {}
    stack.aws("dynamodb").update_item(
        TableName=stack.outputs["ClientsTable"],
        Key={"client_id": {"S": client.client_id}},
        UpdateExpression=update,
        **({"ExpressionAttributeValues": now} if now else {}),
    )


def exchanges(stack, subscription: dict) -> list[dict]:
    """The items of the record of a subscription's attempts."""
    return stack.aws("dynamodb").query(
        TableName=stack.outputs["ExchangesTable"],
        KeyConditionExpression="subscription_id = :id",
        ExpressionAttributeValues={":id": {"S": subscription["id"]}},
    )["Items"]


def state_changed(client: Client) -> dict:
    return sqs_event({"state_changed": {"client_id": client.client_id}})


def test_a_customer_is_onboarded_and_calls_with_its_keys(stack, backend, entities):
    customer = backend.client()
    again = backend.call("PUT", json={"name": "Acme Inc."})
    assert (again.status_code, again.json()["name"], again.json()["labels"]) == (200, "Acme Inc.", ["eu"])
    assert stack.call("GET", "/v1/hello", customer).json()["client_id"] == customer.client_id
    assert entities.of(customer).get_subscriptions() == []
    [key] = backend.keys()
    assert (key["name"], key["last_four"]) == ("backend", customer.api_key[-4:])
    assert len(key["used_on"]) == len("2026-01-31")
    by_internal_id = stack.call("GET", f"/v1/clients/{customer.client_id}", backend.operator)
    assert by_internal_id.json() == backend.call("GET").json()

    # Another key takes the place of the first, without a moment in which none works.
    idempotent = {"Idempotency-Key": str(uuid.uuid4())}
    second = backend.call("POST", "/keys", json={}, headers=idempotent)
    assert backend.call("POST", "/keys", json={}, headers=idempotent).json() == second.json()
    assert backend.call("DELETE", f"/keys/{key['id']}").status_code == 204
    assert backend.call("DELETE", f"/keys/{key['id']}").status_code == 404
    headers = {"x-api-key": second.json()["api_key"]}
    assert stack.call("GET", "/v1/hello", headers=headers).status_code == 200
    [left] = backend.keys()
    assert left["id"] == second.json()["id"]


def test_clients_are_listed_and_searched(stack, backend):
    customer = backend.client()
    found = stack.call("GET", f"/v1/clients?search=external_id:{backend.external_id}", backend.operator)
    [item] = found.json()["items"]
    assert (item["client_id"], "keys" in item) == (customer.client_id, False)
    page = stack.call("GET", "/v1/clients?pageSize=1&sort=created_at,DESC", backend.operator)
    assert len(page.json()["items"]) == 1 and "next" in page.json()["links"]


def test_an_operator_does_for_a_customer_what_it_does_itself(stack, backend, streams, receiver, publisher):
    customer = backend.client()
    acting = {"X-Bellwire-Client": backend.external_id}
    by_operator = {"headers": acting}
    topic, key = streams.topic("event"), new_key()

    url = f"{receiver.url}/queries"
    registered = stack.call("POST", "/v1/subscribe", backend.operator, json={"callbackUrl": url}, **by_operator)
    assert registered.status_code == 201
    assert [it["callbackUrl"] for it in stack.subscriptions(customer)] == [url]
    subscribed = stack.call(
        "POST",
        f"/subscribers/webhook/topics/{topic}/subscriptions",
        backend.operator,
        json={"webhookUrl": f"{receiver.url}/events"},
        **by_operator,
    )
    assert subscribed.status_code == 201
    stack.subscriptions_made.append((customer, subscribed.json()["id"]))
    assert streams.on(subscribed.json(), method="GET", client=customer).status_code == 200
    entity = {"subscription": {"entity_key": key, "callback": f"{receiver.url}/entities"}}
    assert stack.call("POST", "/subscriptions", backend.operator, json=entity, **by_operator).status_code == 200
    streams.publish(topic, {"n": 1})
    assert bodies(receiver, 1, "/events") == [{"n": 1}]
    assert stack.call("POST", "/entities/events", publisher, json=entity_event(key, customer)).status_code == 202
    assert receiver.wait_for(lambda it: it.path == "/entities")

    # Its own are none of these, and of the customer's nobody else has any.
    assert stack.subscriptions(backend.operator) == []
    assert streams.on(subscribed.json(), method="GET", client=backend.operator).status_code == 404
    for who in (publisher, customer):
        assert stack.call("GET", "/v1/subscribe", who, **by_operator).status_code == 403
    assert backend.call("PATCH", json={"disabled": True}).status_code == 200
    # A function that has acted for it may do so for another minute.
    assert stack.call("GET", "/v1/hello", backend.operator, **by_operator).status_code in (200, 409)


@pytest.mark.parametrize("by", ["request", "message"])
def test_a_customer_is_disabled_and_enabled(stack, backend, streams, receiver, client_tasks, by):
    customer = backend.client()
    documents = streams.topic("snapshot")
    streams.publish(documents, {"n": 1})
    subscription = streams.subscribe(documents, f"{receiver.url}/hook", customer)
    assert bodies(receiver, 1) == [{"n": 1}]

    def set_disabled(disabled: bool) -> None:
        if by == "request":
            assert backend.call("PATCH", json={"disabled": disabled}).json()["disabled"] == disabled
            return
        set_on_record(stack, customer, "SET disabled_at = :now" if disabled else "REMOVE disabled_at")
        assert failures(client_tasks.invoke(state_changed(customer))) == []

    for _ in range(2):
        set_disabled(True)
        assert "client_disabled" in streams.stored_item(subscription)
        [key] = items(stack, "KeysTable", customer)
        assert key["client_disabled"] == {"BOOL": True}
    assert backend.call("POST", "/keys", json={}).status_code == 409
    # No function has seen this key.
    assert stack.call("GET", "/v1/queries", customer).status_code == 401
    streams.publish(documents, {"n": 2})
    set_disabled(False)
    assert bodies(receiver, 2)[1] == {"n": 2}
    assert stack.call("GET", "/v1/queries", customer).status_code == 200


@pytest.mark.parametrize("by", ["request", "message"])
def test_a_customer_is_deleted_with_all_that_is_its_own(
    stack, backend, streams, entities, receiver, publisher, client_tasks, by
):
    customer = backend.client()
    topic = streams.topic("event")
    subscription = streams.subscribe(topic, f"{receiver.url}/hook", customer)
    entities.of(customer).create_subscription(new_key(), f"{receiver.url}/entity")
    stack.confirmed(customer, receiver)
    stack.register(publisher, new_query(), customer)
    streams.publish(topic, {"n": 1})
    receiver.wait_for(is_streams)
    eventually(lambda: exchanges(stack, subscription), bool, "record")

    set_on_record(stack, customer, "SET deleting_since = :now, disabled_at = :now")
    being_deleted = [
        backend.call("PUT", json={}),
        backend.call("PATCH", json={"disabled": False}),
        backend.call("POST", "/keys", json={}),
        backend.call("POST", "/secret/rotate"),
    ]
    assert [it.status_code for it in being_deleted] == [409] * 4
    if by == "request":
        assert backend.call("DELETE").status_code == 204
    else:
        for _ in range(2):
            assert failures(client_tasks.invoke(state_changed(customer))) == []
    for table in CLIENTS_OWN:
        assert items(stack, table, customer) == [], table
    assert exchanges(stack, subscription) == []
    sns = stack.aws("sns")
    with pytest.raises(sns.exceptions.NotFoundException):
        sns.get_topic_attributes(TopicArn=stack.outputs["TopicPrefix"] + customer.client_id)
    assert [backend.call(method).status_code for method in ("GET", "DELETE")] == [404, 404]
    anew = backend.call("PUT", json={})
    assert (anew.status_code, anew.json()["client_id"], anew.json()["keys"]) == (201, customer.client_id, [])


def test_a_customer_that_is_deleted_during_fan_outs_holds_nobody_up(stack, backend, streams, receiver):
    customer = backend.client()
    topic = streams.topic("event")
    own = streams.subscribe(topic, f"{receiver.url}/stays")
    gone = streams.subscribe(topic, f"{receiver.url}/goes", customer)

    def told(path: str) -> set[int]:
        return {it.json()["n"] for it in receiver.matching(lambda it: is_streams(it) and it.path == path)}

    deleted, *_ = at_once(
        partial(backend.call, "DELETE"), *(partial(streams.publish, topic, {"n": n}) for n in range(24))
    )
    assert deleted.status_code in (202, 204)
    eventually(lambda: told("/stays"), lambda it: it == set(range(24)), "all events")
    eventually(lambda: backend.call("GET").status_code, lambda status: status == 404, "end of the deletion")
    before = told("/goes")
    streams.publish(topic, {"n": 24})
    eventually(lambda: told("/stays"), lambda it: 24 in it, "event")
    assert told("/goes") == before and 24 not in before
    assert len(streams.wait_for_exchanges(own, 25)) == 25
    for queue in ("DeadDeliveriesQueueUrl", "DeadFanOutsQueueUrl", "DeadClientTasksQueueUrl"):
        assert dead_letters(stack, queue, gone["id"], topic, customer.client_id) == []


def test_a_key_that_is_revoked_during_requests_is_refused_from_then_on(stack, backend):
    customer = backend.client()
    [key] = backend.keys()
    hello = partial(stack.call, "GET", "/v1/hello", customer)
    answers = at_once(*[hello] * 6, partial(backend.call, "DELETE", f"/keys/{key['id']}"), *[hello] * 6)
    revoked = answers.pop(6)
    assert revoked.status_code == 204
    assert {it.status_code for it in answers} <= {200, 401}
    # That a request has written the day of its use doesn't bring it back. Another function doesn't remember it.
    assert stack.call("GET", "/topics", customer).status_code == 401
    assert backend.keys() == []
    assert items(stack, "KeysTable", customer) == []


def test_nobody_but_an_operator_manages_clients_and_none_manages_operators(stack, backend, publisher):
    customer = backend.client()
    for who in (publisher, customer):
        assert stack.call("GET", "/v1/clients", who).status_code == 403
        assert stack.call("PUT", backend.path, who, json={}).status_code == 403
        assert stack.call("DELETE", backend.path, who).status_code == 403
    assert stack.call("GET", "/v1/clients").status_code == 401
    own = f"/v1/clients/{backend.operator.client_id}"
    for method, path, body in (
        ("PATCH", own, {"disabled": True}),
        ("DELETE", own, None),
        ("POST", f"{own}/keys", {}),
        ("DELETE", f"{own}/keys/{uuid.uuid4()}", None),
        ("POST", f"{own}/secret/rotate", None),
    ):
        answer = stack.call(method, path, backend.operator, json=body)
        assert answer.status_code == 403 and "bellwire clients" in answer.text
    assert stack.call("GET", own, backend.operator).json()["operator"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("PUT", "/v1/clients/a%20b", {}, 400, "clientId"),
        ("PUT", f"/v1/clients/cl_{'a' * 24}", {}, 400, "clientId"),
        ("PUT", "/v1/clients/refused", {"name": " "}, 400, "name"),
        ("PUT", "/v1/clients/refused", {"labels": ["A"]}, 400, "labels[0]"),
        ("PUT", "/v1/clients/refused", {"operator": True}, 400, "operator"),
        ("GET", "/v1/clients/a%20b", None, 404, None),
        ("PATCH", "/v1/clients/unknown", {}, 404, None),
        ("POST", "/v1/clients/unknown/keys", {}, 404, None),
        ("POST", "/v1/clients/unknown/secret/rotate", {}, 404, None),
        ("GET", "/v1/clients?pageSize=0", None, 400, "pageSize"),
        ("GET", "/v1/clients?sort=keys,ASC", None, 400, "sort"),
    ],
)
def test_what_is_wrong_is_named(stack, operator, method, path, body, status, field):
    answer = stack.call(method, path, operator, json=body)
    assert (answer.status_code, answer.json().get("field")) == (status, field), answer.text


def test_the_forms_of_bodies(stack, backend):
    backend.client()
    assert backend.call("PATCH", data="{}", headers={"Content-Type": "text/plain"}).status_code == 415
    large = {"name": "x" * 70_000}
    for method, path in (("PUT", ""), ("PATCH", ""), ("POST", "/keys")):
        assert backend.call(method, path, json=large).status_code == 413
    patched = backend.call(
        "PATCH", data=json.dumps({"labels": None}), headers={"Content-Type": "application/merge-patch+json"}
    )
    assert (patched.status_code, patched.json()["labels"]) == (200, [])
    for _ in range(19):
        assert backend.call("POST", "/keys").status_code == 201
    assert backend.call("POST", "/keys").status_code == 409


def test_a_message_that_fails_comes_again_and_one_that_is_none_is_a_dead_letter(stack, backend, aws, start):
    customer = backend.client()
    tasks, mark = start("ClientTasks"), f"malformed {uuid.uuid4()}"
    assert failures(tasks.invoke(sqs_event(mark))) == []
    [dead_letter] = dead_letters(stack, "DeadClientTasksQueueUrl", mark, remove=True)
    assert dead_letter["MessageAttributes"]["reason"]["StringValue"].startswith("malformed message: ")
    set_on_record(stack, customer, "SET deleting_since = :now, disabled_at = :now")
    message = state_changed(customer)
    queue = stack.outputs["ClientTasksQueueUrl"].rsplit("/", 1)[1]
    message["Records"][0]["eventSourceARN"] = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
    aws.set("Query", "refuse")
    assert failures(tasks.invoke(message)) == [message["Records"][0]["messageId"]]
    assert aws.calls["ChangeMessageVisibilityBatch"] == 1
    aws.heal()
    assert failures(tasks.invoke(message)) == []
    assert backend.call("GET").status_code == 404
