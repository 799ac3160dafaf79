"""The files in events/ are what the functions get: each is fed to its function."""

import hashlib
import json
from pathlib import Path

import pytest
from conftest import ROOT
from runtime_api import Function, failures

EVENTS = ROOT / "events"
SAMPLE_KEY = "bwk_sample-key-of-the-files-in-events"
SAMPLE_SECRET = "bws_sample-secret-of-the-files-in-events"
SAMPLE_CLIENT = "cl_aaaaaaaaaaaaaaaaaaaaaaaa"
SAMPLE_CUSTOMER = "customer-of-the-files-in-events"
FUNCTIONS = {
    "clients": "ClientsFunction",
    "sessions": "SessionsFunction",
    "console": "ConsoleFunction",
    "operator": "OperatorFunction",
    "subscribe": "SubscribeFunction",
    "unsubscribe": "UnsubscribeFunction",
    "queries": "QueriesFunction",
    "query-completion": "QueryCompletionFunction",
    "results": "ResultsFunction",
    "render": "RenderFunction",
    "topics": "TopicsFunction",
    "publish": "PublishFunction",
    "commit": "CommitFunction",
    "fanout": "FanoutFunction",
    "client-tasks": "ClientTasksFunction",
    "attempt-counts": "AttemptCountsFunction",
    "deliver": "DeliverFunction",
    "webhook-subscriptions": "WebhookSubscriptionsFunction",
    "entity-subscriptions": "EntitySubscriptionsFunction",
    "entity-events": "EntityEventsFunction",
    "openapi": "OpenapiFunction",
}
QUERY = "694e7d20-076a-404a-8adf-d5c58a194a09"
# What the files come to, one after the other, on a stack that knows their client.
REQUESTS = [
    ("subscribe/callback-url.json", 201, {"status": "PENDING_CONFIRMATION"}),
    ("subscribe/callback-url-with-options.json", 201, {"status": "PENDING_CONFIRMATION"}),
    ("subscribe/list.json", 200, {"subscriptions": ["callback", "outcomes"]}),
    ("subscribe/token.json", 400, {"field": "token"}),
    ("subscribe/test.json", 409, {}),
    ("subscribe/hello.json", 200, {"message": "hello", "client_id": SAMPLE_CLIENT}),
    ("unsubscribe/callback-url.json", 409, {}),
    ("queries/register.json", 200, {"QueryExecutionId": QUERY}),
    ("queries/show.json", 200, {"QueryExecutionId": QUERY}),
    ("queries/run.json", 200, {}),
    ("queries/list.json", 200, {}),
    ("results/links.json", 409, {}),
    ("results/rows.json", 409, {}),
    ("results/links-get.json", 409, {}),
    ("results/rows-get.json", 409, {}),
    ("topics/create.json", 201, {"name": "orders"}),
    ("topics/list.json", 200, {}),
    ("topics/show.json", 404, {}),
    ("topics/show-by-name.json", 404, {}),
    ("topics/change.json", 404, {}),
    ("topics/patch.json", 404, {}),
    ("topics/delete.json", 404, {}),
    ("publish/document.json", 404, {}),
    ("publish/batch.json", 404, {}),
    *[
        (f"webhook-subscriptions/{name}.json", 404, {})
        for name in (
            "create",
            "list",
            "show",
            "patch",
            "delete",
            "test",
            "exchanges",
            "rotate-secret",
            "enable",
            "disable",
            "replay",
        )
    ],
    ("entity-subscriptions/create.json", 200, {}),
    ("entity-subscriptions/create-webhook.json", 200, {}),
    ("entity-subscriptions/list.json", 200, {}),
    ("entity-subscriptions/list-entity.json", 200, {}),
    ("entity-subscriptions/show.json", 404, {}),
    ("entity-subscriptions/callbacks.json", 404, {}),
    ("entity-subscriptions/show-webhook.json", 404, {}),
    ("entity-subscriptions/logs-entity.json", 200, {}),
    ("entity-subscriptions/logs-webhook.json", 404, {}),
    ("entity-subscriptions/rotate-secret.json", 404, {}),
    ("entity-subscriptions/delete.json", 404, {}),
    ("entity-subscriptions/delete-entity.json", 200, {}),
    ("openapi/document.json", 200, {"openapi": "3.1.0"}),
    ("openapi/unknown.json", 404, {"message": "there is no such path"}),
    ("entity-events/event.json", 202, {}),
    ("entity-events/batch.json", 207, {}),
    ("clients/put.json", 201, {"external_id": SAMPLE_CUSTOMER}),
    ("clients/show.json", 200, {"name": "Acme Inc.", "labels": ["plan:gold"]}),
    ("clients/list.json", 200, {}),
    ("sessions/portal-link.json", 201, {}),
    ("sessions/sign-in.json", 201, {"client_id": SAMPLE_CLIENT, "operator": True}),
    ("sessions/show.json", 200, {"client_id": SAMPLE_CLIENT, "name": "events"}),
    ("clients/patch.json", 200, {"labels": []}),
    ("clients/add-key.json", 201, {"name": "backend"}),
    ("clients/revoke-key.json", 404, {}),
    ("clients/rotate-secret.json", 200, {}),
    ("clients/delete.json", 404, {}),
]
# Pages, and what is on them. Of a session there is the sample's key in place of a token.
PAGES = [
    ("console/sign-in.json", 200, "<h1>Sign in</h1>"),
    ("console/link.json", 200, "Sign in with an API key"),
    ("console/subscriptions.json", 200, "<h1>Subscriptions</h1>"),
    ("operator/sign-in.json", 200, "<h1>Sign in</h1>"),
    ("operator/health.json", 200, "<h1>Health</h1>"),
]
# What the queues bring, of a topic and a subscription that are not there (any more).
MESSAGES = [
    "commit/document.json",
    "commit/event.json",
    "commit/topic-deleted.json",
    "fanout/segment.json",
    "fanout/replay.json",
    "fanout/entity.json",
    "client-tasks/state.json",
    "client-tasks/labels.json",
    "client-tasks/access.json",
    "deliver/event.json",
    "deliver/retry.json",
    "deliver/document.json",
    "deliver/test.json",
    "deliver/topic-deleted.json",
    "deliver/entity.json",
    "render/rendering.json",
]
# The state and the reason that each of Athena's events leaves on record.
OUTCOMES = [
    ("running", "RUNNING", None),
    ("succeeded", "SUCCEEDED", None),
    ("failed", "FAILED", "Table awsdatacatalog.sales.orders does not exist"),
    ("cancelled", "CANCELLED", None),
]


@pytest.fixture(scope="module", autouse=True)
def sample_client(stack, tables) -> None:
    """The client that the files are of: a publisher, and an operator, with their key."""
    dynamodb = stack.aws("dynamodb")
    item = {
        "client_id": {"S": SAMPLE_CLIENT},
        "name": {"S": "events"},
        "publisher": {"BOOL": True},
        "operator": {"BOOL": True},
        "api_key_sha256": {"S": hashlib.sha256(SAMPLE_KEY.encode()).hexdigest()},
        "client_secret_sha256": {"S": hashlib.sha256(SAMPLE_SECRET.encode()).hexdigest()},
        "created_at": {"S": "2026-01-01T00:00:00.000000Z"},
    }
    dynamodb.put_item(TableName=stack.outputs["ClientsTable"], Item=item)
    stack.clients.append(SAMPLE_CLIENT)


def read(file: Path) -> dict:
    return json.loads(file.read_text())


@pytest.fixture(scope="module")
def functions(stack):
    started = {name: Function(stack, logical_id) for name, logical_id in FUNCTIONS.items()}
    yield started
    for function in started.values():
        function.__exit__()


@pytest.mark.parametrize(("file", "status", "part"), REQUESTS)
def test_a_request(stack, functions, file, status, part):
    invocation = functions[file.split("/")[0]].invoke(read(EVENTS / file))
    assert not invocation.failed
    assert invocation.status == status, invocation.payload
    body = invocation.body
    if file == "topics/create.json":
        stack.topics.append(body["id"])
    if file == "clients/put.json":
        stack.clients.append(body["client_id"])
    if "subscriptions" in body:
        body["subscriptions"] = [it["callbackUrl"].rsplit("/", 1)[1] for it in body["subscriptions"]]
    assert part.items() <= body.items()


@pytest.mark.parametrize(("file", "status", "text"), PAGES)
def test_a_page(functions, file, status, text):
    invocation = functions[file.split("/")[0]].invoke(read(EVENTS / file))
    assert not invocation.failed
    assert invocation.status == status, invocation.payload
    assert text in invocation.payload["body"]


@pytest.mark.parametrize(("name", "state", "reason"), OUTCOMES)
def test_an_event(stack, functions, name, state, reason):
    event = read(EVENTS / "query-completion" / f"{name}.json")
    invocation = functions["query-completion"].invoke(event)
    assert not invocation.failed, invocation.payload
    dynamodb, table = stack.aws("dynamodb"), stack.outputs["QueriesTable"]
    key = {"execution_id": {"S": event["detail"]["queryExecutionId"]}}
    query = dynamodb.get_item(TableName=table, Key=key)["Item"]
    if key["execution_id"]["S"] != QUERY:
        dynamodb.delete_item(TableName=table, Key=key)
    assert query["state"]["S"] == state
    assert query.get("state_change_reason", {}).get("S") == reason
    assert ("completed_at" in query) == (state != "RUNNING")


@pytest.mark.parametrize("file", MESSAGES)
def test_a_message(functions, file):
    assert failures(functions[file.split("/")[0]].invoke(read(EVENTS / file))) == []


def test_attempts_of_the_stream(stack, functions):
    file = "attempt-counts/attempts.json"
    for _ in range(2):
        assert not functions["attempt-counts"].invoke(read(EVENTS / file)).failed
    [counted] = stack.aws("dynamodb").query(
        TableName=stack.outputs["CountsTable"],
        KeyConditionExpression="subscription_id = :id",
        ExpressionAttributeValues={":id": {"S": "9794665d-a566-40a6-9113-8f345ed90eb5"}},
    )["Items"]
    assert (counted["delivered"], counted["failed"]) == ({"N": "1"}, {"N": "1"})


def test_no_file_is_left_out():
    fed = (
        {file for file, *_ in REQUESTS}
        | {file for file, *_ in PAGES}
        | set(MESSAGES)
        | {"attempt-counts/attempts.json"}
    )
    fed |= {f"query-completion/{name}.json" for name, *_ in OUTCOMES}
    assert {str(file.relative_to(EVENTS)) for file in EVENTS.rglob("*.json")} == fed
    assert {file.split("/")[0] for file in fed} == set(FUNCTIONS)


@pytest.mark.parametrize("event", [{}, [], None, "text", {"httpMethod": "POST"}])
def test_an_event_that_is_none_is_an_error_and_no_crash(functions, event):
    for name, function in functions.items():
        invocation = function.invoke(event)
        assert invocation.failed or invocation.status >= 400, name
    for file, *_ in REQUESTS[:1]:
        assert functions["subscribe"].invoke(read(EVENTS / file)).status == 201
