"""What the end-to-end tests stand on: the deployed local stack, driven from outside.

The stack is shared; every test makes its own clients, so that tests don't meet.
"""

import fcntl
import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import clients
import exchanges
import pytest
import requests
from build import CLI
from receiver import Arrival, Receiver
from settings import ROOT, STATE, environment

# Fails the tests whose exchanges are not in openapi.yaml.
pytest_plugins = ["verdict"]


@dataclass(frozen=True)
class Client:
    """A client of the API, with what `bellwire clients create` printed."""

    client_id: str
    name: str
    publisher: bool
    operator: bool
    api_key: str
    client_secret: str


class Stack:
    """The local stack, and the AWS under it."""

    def __init__(self, env: dict[str, str]):
        self.env = env
        self.url = env["BELLWIRE_URL"]
        self.name = env["BELLWIRE_STACK"]
        [description] = self.aws("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
        self.clients: list[str] = []
        self.topics: list[str] = []
        self.subscriptions_made: list[tuple[Client, str]] = []

    def aws(self, service: str, credentials: dict[str, str] | None = None) -> Any:
        """A service, as the account's root user or as whoever has these credentials sees it."""
        return clients.aws(service, credentials)

    def cli(self, *arguments: str, **more: str) -> subprocess.CompletedProcess:
        with dead_letters_lock() if "dead-letters" in arguments else nullcontext():
            return subprocess.run(
                [str(CLI), *arguments], env=environment(**(self.env | more)), capture_output=True, text=True, timeout=60
            )

    def new_client(self, publisher: bool = False, operator: bool = False) -> Client:
        name = f"test-{uuid.uuid4()}"
        role = ["--publisher"] if publisher else ["--operator"] if operator else []
        done = self.cli("clients", "create", name, "--json", *role)
        assert done.returncode == 0, done.stderr
        client = Client(**json.loads(done.stdout))
        self.clients.append(client.client_id)
        return client

    def clean_up(self) -> None:
        """Removes the clients that the tests made, and all that is theirs."""
        for queue in (
            "DeadDeliveriesQueueUrl",
            "DeadFanOutsQueueUrl",
            "DeadPublicationsQueueUrl",
            "DeadClientTasksQueueUrl",
        ):
            dead_letters(self, queue, *self.clients, *self.topics, remove=True)
        # Topics are deleted by their publishers, or an operator.
        cleaner = self.new_client(operator=True)
        sns = self.aws("sns")
        # Before the topics, whose deletion would be delivered to receivers that are gone.
        at_once(
            *(
                partial(self.call, "DELETE", f"/subscribers/webhook/subscriptions/{subscription}", client)
                for client, subscription in self.subscriptions_made
            )
        )
        at_once(
            *(partial(self.call, "DELETE", f"/topics/{topic}", cleaner) for topic in self.topics),
            *(
                partial(sns.delete_topic, TopicArn=self.outputs["TopicPrefix"] + client_id)
                for client_id in self.clients
            ),
        )
        for table, keys in {
            "ClientsTable": ["client_id"],
            "KeysTable": ["key_sha256"],
            "CallbacksTable": ["client_id", "callback_id"],
            "QueriesTable": ["execution_id"],
        }.items():
            self.remove_items(self.outputs[table], keys)

    def remove_items(self, table: str, keys: list[str]) -> None:
        dynamodb = self.aws("dynamodb")
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                if item.get("client_id", {}).get("S") in self.clients:
                    dynamodb.delete_item(TableName=table, Key={key: item[key] for key in keys})

    def call(self, method: str, path: str, client: Client | None = None, **how) -> requests.Response:
        headers = how.pop("headers", {}) | ({"x-api-key": client.api_key} if client else {})
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=30, **how)

    def subscribe(self, client: Client, callback_url: str, **options) -> requests.Response:
        return self.call("POST", "/v1/subscribe", client, json={"callbackUrl": callback_url, **options})

    def confirm(self, client: Client, token: str) -> requests.Response:
        return self.call("POST", "/v1/subscribe", client, json={"token": token})

    def unsubscribe(self, client: Client, callback_url: str) -> requests.Response:
        return self.call("POST", "/v1/unsubscribe", client, json={"callbackUrl": callback_url})

    def subscriptions(self, client: Client) -> list[dict]:
        answer = self.call("GET", "/v1/subscribe", client)
        assert answer.status_code == 200, answer.text
        return answer.json()["subscriptions"]

    def register(self, publisher: Client, query: str, owner: Client) -> requests.Response:
        return self.call(
            "POST", "/v1/queries", publisher, json={"QueryExecutionId": query, "client_id": owner.client_id}
        )

    def confirmed(self, client: Client, receiver: Receiver, path: str = "/callback", **options) -> str:
        """Takes a URL of the receiver through subscription and confirmation."""
        url = receiver.url + path
        assert self.subscribe(client, url, **options).status_code == 201
        answer = self.confirm(client, confirmation_token(receiver, path))
        assert answer.ok and answer.json()["status"] == "CONFIRMED", answer.text
        return url

    def play(self, event: dict, invocation: str = "RequestResponse") -> str | None:
        """Plays an event of Athena's, which nobody else may put on the bus. Returns the function's error."""
        answer = self.aws("lambda").invoke(
            FunctionName=self.outputs["QueryCompletionFunction"],
            InvocationType=invocation,
            Payload=json.dumps(event),
        )
        return answer["Payload"].read().decode() if answer.get("FunctionError") else None

    def complete(self, query: str, state: str = "SUCCEEDED", **how) -> None:
        """Plays the completion of a query, and checks that it was processed."""
        assert self.play(completion(query, state, **how)) is None


def completion(query: str, state: str, at: str = "2020-01-17T22:04:24Z", sequence: str = "3", reason=None) -> dict:
    """The event `Athena Query State Change`."""
    event = json.loads((ROOT / "events" / "query-completion" / "succeeded.json").read_text())
    event["time"] = at
    event["id"] = str(uuid.uuid4())
    event["detail"] |= {"queryExecutionId": query, "currentState": state, "sequenceNumber": sequence}
    if reason:
        event["detail"]["athenaError"] = {"errorMessage": reason}
    return event


@contextmanager
def dead_letters_lock():
    """Reading dead letters hides them from others: one test at a time, over all processes."""
    with (STATE / "dead-letters.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_confirmation(arrival: Arrival) -> bool:
    return arrival.message_type == "SubscriptionConfirmation"


def is_notification(arrival: Arrival) -> bool:
    return arrival.message_type == "Notification"


def confirmation_token(receiver: Receiver, path: str = "/callback", count: int = 1) -> str:
    """The token of the `count`-th confirmation that arrives at the path."""
    arrivals = receiver.wait_for(lambda it: is_confirmation(it) and it.path == path, count)
    return arrivals[count - 1].json()["Token"]


def at_once(*calls):
    """The answers to calls that are made at the same time."""
    with ThreadPoolExecutor(max(1, min(len(calls), 16))) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def dead_letters(stack, queue: str, *texts: str, remove: bool = False) -> list[dict]:
    """The dead letters of a queue that have one of these texts in their body, as SQS has them. They
    can be removed at once."""
    sqs, url, found = stack.aws("sqs"), stack.outputs[queue], dict[str, dict]()

    def wanted(message: dict) -> bool:
        return any(text in message["Body"] for text in texts)

    with dead_letters_lock():
        while messages := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=30, MessageAttributeNames=["All"]
        ).get("Messages"):
            found |= {it["MessageId"]: it for it in messages}
        handles = [it["ReceiptHandle"] for it in found.values() if remove and wanted(it)]
        for batch in batches(handles):
            sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "ReceiptHandle": h} for n, h in batch])
        handles = [it["ReceiptHandle"] for it in found.values() if not (remove and wanted(it))]
        for batch in batches(handles):
            entries = [{"Id": str(n), "ReceiptHandle": h, "VisibilityTimeout": 0} for n, h in batch]
            sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
    return [it for it in found.values() if wanted(it)]


def batches(handles: list[str]) -> list[list[tuple[int, str]]]:
    """What one call of SQS takes, numbered."""
    numbered = list(enumerate(handles))
    return [numbered[start : start + 10] for start in range(0, len(numbered), 10)]


def dead_letter(stack, event_id: str, seconds: float = 30) -> dict:
    """The dead letter of an event, taken off its queue."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for message in dead_letters(stack, "FailedCompletionsQueueUrl", event_id, remove=True):
            return json.loads(message["Body"])
        time.sleep(0.2)
    raise TimeoutError(f"no dead letter of event {event_id} in {seconds} s")


def role_credentials(stack, logical_id: str) -> dict:
    """The credentials of a role of the stack, for a test that sees what it may not do (see local/permissions.py)."""
    role = stack.aws("cloudformation").describe_stack_resource(StackName=stack.name, LogicalResourceId=logical_id)
    name = role["StackResourceDetail"]["PhysicalResourceId"]
    return credentials_of(stack, stack.aws("iam").get_role(RoleName=name)["Role"]["Arn"], "test")


def credentials_of(stack, role_arn: str, session: str) -> dict:
    return stack.aws("sts").assume_role(RoleArn=role_arn, RoleSessionName=session)["Credentials"]


def new_query() -> str:
    return str(uuid.uuid4())


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    lines = (STATE / "env").read_text().splitlines()
    env = dict(line.split("=", 1) for line in lines)
    os.environ.update({key: value for key, value in env.items() if key.startswith("AWS_")})
    stack = Stack(env)
    with exchanges.watched(stack.url):
        yield stack
        stack.clean_up()


@pytest.fixture(scope="session")
def publisher(stack) -> Client:
    return stack.new_client(publisher=True)


@pytest.fixture
def client(stack) -> Client:
    return stack.new_client()


@pytest.fixture
def other_client(stack) -> Client:
    return stack.new_client()


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def aws(stack):
    """A way to AWS on which faults can be set."""
    from fault_proxy import FaultProxy

    with FaultProxy(stack.env["AWS_ENDPOINT_URL"]) as proxy:
        yield proxy


@pytest.fixture
def start(stack, aws):
    """Starts functions whose way to AWS is the proxy."""
    from runtime_api import Function

    started = []

    def start(name: str, **variables: str):
        started.append(Function(stack, f"{name}Function", aws.endpoint, None, **variables))
        return started[-1]

    yield start
    for function in started:
        function.__exit__()


@pytest.fixture
def streams(stack, publisher, client):
    from streams import Streams

    return Streams(stack, publisher, client)


@pytest.fixture
def entities(stack, publisher, client):
    from entities import Entities

    return Entities(stack, publisher, client)


@pytest.fixture(scope="session")
def tables(stack) -> None:
    """What queries are about: two databases that customers may query, and one that they may not."""
    import data

    data.put(stack.aws, data.DATABASE, "orders", data.ORDERS)
    many = "".join(f"{n},{n % 7}\n" for n in range(2500))
    data.put(stack.aws, data.DATABASE, "many", f"n,rest\n{many}")
    data.put(stack.aws, "sales", "totals", "year,total\n2025,100\n")
    data.put(stack.aws, "secret", "salaries", "name,amount\nAda,1\n")


@pytest.fixture
def running(stack, client, tables):
    from running import Running

    return Running(stack, client)
