"""The Lambda Runtime API on loopback: starts a function's `bootstrap` and feeds it events.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import queue
import subprocess
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import build
import exchanges
from conftest import ROOT, Stack, credentials_of

SECONDS = 30
# The queue of a message that is made up; it becomes the function's own.
NO_QUEUE = "arn:aws:sqs:us-east-1:000000000000:queue"
END = object()


@dataclass(frozen=True)
class Invocation:
    """What a function made of an event."""

    failed: bool
    payload: Any

    @property
    def status(self) -> int:
        return self.payload["statusCode"]

    @property
    def body(self) -> dict:
        return json.loads(self.payload["body"])


class Function:
    """A function as it was built and deployed, with its role, in a process of our own; a context manager.

    `endpoint` is where it finds AWS: the local AWS, or something in between; `more` are
    environment variables that are other than deployed. An invocation may take so many `seconds`;
    as many as deployed, if that is not said.
    """

    def __init__(
        self, stack: Stack, logical_id: str, endpoint: str | None = None, seconds: float | None = None, **more: str
    ):
        cloudformation, functions = stack.aws("cloudformation"), stack.aws("lambda")
        resource = cloudformation.describe_stack_resource(StackName=stack.name, LogicalResourceId=logical_id)
        name = resource["StackResourceDetail"]["PhysicalResourceId"]
        configuration = functions.get_function_configuration(FunctionName=name)
        variables = configuration["Environment"]["Variables"]
        self._seconds = seconds or configuration["Timeout"]
        self._events: queue.Queue = queue.Queue()
        self._answers: queue.Queue = queue.Queue()
        self._server = self._serve()
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by __exit__)
        mappings = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        self._queue_arns = [it["EventSourceArn"] for it in mappings]
        self._process = subprocess.Popen(
            [str(build.bootstrap(logical_id))],
            env=stack.env
            | as_environment(credentials_of(stack, configuration["Role"], "function"))
            | variables
            | {
                "AWS_ENDPOINT_URL": endpoint or stack.env["AWS_ENDPOINT_URL"],
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
                "AWS_LAMBDA_FUNCTION_NAME": name,
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            }
            | more,
            stdout=self._log,
            stderr=self._log,
        )

    def send(self, event) -> None:
        """Hands the function an event without waiting for what it makes of it."""
        for record in event.get("Records", []) if isinstance(event, dict) else []:
            if record.get("eventSourceARN") == NO_QUEUE and self._queue_arns:
                record["eventSourceARN"] = self._queue_arns[0]
        self._events.put(event)

    def invoke(self, event) -> Invocation:
        self.send(event)
        try:
            invocation = self._answers.get(timeout=SECONDS)
        except queue.Empty:
            raise TimeoutError(f"no answer in {SECONDS} s; the log says:\n{self.log()}") from None
        exchanges.watch_invocation(event, invocation.payload)
        return invocation

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def log_lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log().splitlines()]

    def peak_memory(self) -> int:
        """The most memory that the function has had, in bytes."""
        with open(f"/proc/{self._process.pid}/status") as status:
            [line] = [line for line in status if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self._events.put(END)
        self._server.shutdown()
        self._server.server_close()
        self._log.close()

    def _serve(self) -> ThreadingHTTPServer:
        events, answers, seconds = self._events, self._answers, self._seconds

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                event = events.get()
                if event is END:
                    self.close_connection = True
                    return
                body = json.dumps(event).encode()
                self.send_response(200)
                for name, value in {
                    "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                    "Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
                    "Content-Type": "application/json",
                    "Content-Length": str(len(body)),
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                answers.put(Invocation(failed=self.path.endswith("/error"), payload=payload))

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server


def as_environment(credentials: dict) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }


def api_event(method: str, path: str, client, body: dict | None = None, **path_parameters: str) -> dict:
    """The event that API Gateway makes of a request; the files in events/ have the same shape. `path` is as in
    the template, or has the values of the path parameters."""
    resource = path
    for name, value in path_parameters.items():
        resource = resource.replace(value, f"{{{name}}}")
    path = resource.format(**path_parameters)
    event = json.loads((ROOT / "events" / "subscribe" / "callback-url.json").read_text())
    headers = event["headers"] | {"x-api-key": client.api_key}
    return event | {
        "httpMethod": method,
        "path": path,
        "resource": resource,
        "requestContext": event["requestContext"] | {"resourcePath": resource, "httpMethod": method},
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "pathParameters": path_parameters or None,
        "body": None if body is None else json.dumps(body),
    }


def sqs_event(*bodies, group: str | None = None, ids: list[str] | None = None) -> dict:
    """The event that Lambda makes of messages of a queue."""
    ids = ids or [str(uuid.uuid4()) for _ in bodies]
    attributes = {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": "1795327944492",
        "SenderId": "000000000000",
        "ApproximateFirstReceiveTimestamp": "1795327944492",
    }
    if group:
        attributes |= {"MessageGroupId": group, "MessageDeduplicationId": str(uuid.uuid4()), "SequenceNumber": "1"}
    return {
        "Records": [
            {
                "messageId": message_id,
                "receiptHandle": "handle",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": attributes,
                "messageAttributes": {},
                "md5OfBody": "0",
                "eventSource": "aws:sqs",
                "eventSourceARN": NO_QUEUE,
                "awsRegion": "us-east-1",
            }
            for message_id, body in zip(ids, bodies, strict=True)
        ]
    }


def failures(invocation: Invocation) -> list[str]:
    """The messages that Lambda is to deliver again."""
    assert not invocation.failed, invocation.payload
    return [it["itemIdentifier"] for it in invocation.payload["batchItemFailures"]]
