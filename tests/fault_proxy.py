"""A way to AWS that throttles, refuses, and breaks off half way, on demand."""

import json
import threading
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from settings import AWS

THROTTLED = {
    "dynamodb": (400, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"),
    "sns": (400, "Throttling"),
    "sqs": (400, "com.amazonaws.sqs#RequestThrottled"),
    "athena": (400, "TooManyRequestsException"),
    "s3": (503, "SlowDown"),
}
REFUSED = {
    "dynamodb": (400, "com.amazon.coral.service#AccessDeniedException"),
    "sns": (403, "AuthorizationError"),
    "sqs": (403, "com.amazonaws.sqs#AccessDenied"),
    "athena": (400, "AccessDeniedException"),
    "events": (400, "AccessDeniedException"),
    "s3": (403, "AccessDenied"),
}


INVALID = {
    "dynamodb": (400, "com.amazon.coral.validate#ValidationException"),
    "sns": (400, "InvalidParameter"),
}
# What AWS says to a Subscribe whose endpoint is subscribed with other attributes.
DIFFERENT = "Invalid parameter: Attributes Reason: Subscription already exists with different attributes"
# What the APIs of AWS say beside a service's own limits.
BUSY = {"athena": (400, "ThrottlingException")}
ERRORS = {"busy": BUSY, "throttle": THROTTLED, "refuse": REFUSED, "invalid": INVALID, "different": INVALID}


class FaultProxy:
    """Passes every call of an AWS API on, but for the faults that are set; a context manager."""

    def __init__(self, endpoint: str):
        self.calls: Counter[str] = Counter()
        self.last: dict[str, bytes] = {}  # the body of the last call, by operation
        self.paths: dict[str, str] = {}  # and its path
        self.hung: list[bytes] = []  # the bodies of calls that hang
        self._faults: dict[str, tuple[str | None, int, int]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.do_POST()

            def do_PUT(self):
                self.do_POST()

            def do_HEAD(self):
                self.do_POST()

            def do_DELETE(self):
                self.do_POST()

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                operation = operation_of(self.command, self.path, self.headers, body)
                proxy.last[operation], proxy.paths[operation] = body, self.path
                fault = proxy._fault(operation)
                service = service_of(self.path, self.headers)
                if fault == "hang":
                    proxy.hung.append(body)
                    proxy._closed.wait()
                    self.close_connection = True
                    return
                if fault in ERRORS:
                    status, code = ERRORS[fault][service]
                    message = DIFFERENT if fault == "different" else "no"
                    self.answer(status, {}, error_body(service, code, message))
                    return
                left_out: list = []
                sent: dict[str, str] = dict(self.headers)
                if fault == "nothing":
                    unprocessed = {"Responses": {}, "UnprocessedKeys": json.loads(body)["RequestItems"]}
                    self.answer(200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(unprocessed).encode())
                    return
                if fault == "wrong":
                    refusal = {"Code": "InvalidMessageContents", "SenderFault": True, "Message": "no"}
                    failed = [refusal | {"Id": it["Id"]} for it in json.loads(body)["Entries"]]
                    content = json.dumps({"Successful": [], "Failed": failed}).encode()
                    self.answer(200, {"Content-Type": "application/x-amz-json-1.0"}, content)
                    return
                if fault == "partial":
                    body, left_out = leave_out(operation, body)
                    sent = signed(service, endpoint + self.path, self.headers, body)
                request = urllib.request.Request(
                    f"{endpoint}{self.path}",
                    body,
                    sent,
                    method=self.command,
                )
                try:
                    with urllib.request.urlopen(request, timeout=10) as answer:
                        status, headers, content = answer.status, answer.headers, answer.read()
                except urllib.error.HTTPError as error:
                    status, headers, content = error.code, error.headers, error.read()
                if fault == "partial" and status == 200:
                    content = with_left_out(operation, content, left_out)
                if fault == "break off":
                    # The call was carried out; its answer is lost.
                    self.close_connection = True
                    return
                self.answer(status, headers, content)

            def answer(self, status, headers, content):
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
                self.send_header("Content-Length", length)
                self.end_headers()
                try:
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # the function was killed

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def set(self, operation: str, fault: str, times: int = 1_000_000, after: int = 0) -> None:
        """From its `after`-th call on the operation ends, so many times, in one of ERRORS, in
        `break off` (it is carried out, and its answer is lost), in `hang`, or in `partial`: of a batch only
        the first is carried out, and the answer says so; in `nothing`, of a BatchGetItem, not even that; in
        `wrong`, of a SendMessageBatch, every message is refused for good."""
        with self._lock:
            self._faults[operation] = (fault, times, after)

    def heal(self) -> None:
        with self._lock:
            self._faults.clear()

    def _fault(self, operation: str) -> str | None:
        with self._lock:
            self.calls[operation] += 1
            fault, times, after = self._faults.get(operation, (None, 0, 0))
            if after > 0:
                self._faults[operation] = (fault, times, after - 1)
                return None
            if times <= 0:
                return None
            self._faults[operation] = (fault, times - 1, 0)
            return fault

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()


def service_of(path: str, headers) -> str:
    services = {"DynamoDB": "dynamodb", "AmazonSQS": "sqs", "AmazonAthena": "athena", "AWSEvents": "events"}
    for target, service in services.items():
        if headers.get("X-Amz-Target", "").startswith(target):
            return service
    return "sns" if path == "/" else "s3"


def operation_of(method: str, path: str, headers, body: bytes) -> str:
    if "X-Amz-Target" in headers:
        return headers["X-Amz-Target"].split(".")[-1]
    if path != "/":
        parameters = parse_qs(urlsplit(path).query, keep_blank_values=True)
        named = parameters.get("x-id")
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        multipart = "CompleteMultipartUpload" if "uploadId" in parameters and method == "POST" else method
        return named[0] if named else multipart
    if "Action=" not in body.decode(errors="replace"):
        return method
    return parse_qs(body.decode()).get("Action", ["?"])[0]


def signed(service: str, url: str, headers, body: bytes) -> dict[str, str]:
    """The headers of a request whose body was changed, signed by the account's root user."""
    kept = {name: headers.get(name, "") for name in ("Content-Type", "X-Amz-Target")}
    request = AWSRequest("POST", url, headers=kept, data=body)
    SigV4Auth(Credentials(AWS["AWS_ACCESS_KEY_ID"], AWS["AWS_SECRET_ACCESS_KEY"]), service, AWS["AWS_REGION"]).add_auth(
        request
    )
    return dict(request.headers)


def leave_out(operation: str, body: bytes) -> tuple[bytes, list]:
    """The request with the first part of its batch alone, and the others."""
    request = json.loads(body)
    if operation == "SendMessageBatch":
        first, *others = request["Entries"]
        request["Entries"] = [first]
        return json.dumps(request).encode(), others
    parts = [(table, it) for table, its in request["RequestItems"].items() for it in requests_of(operation, its)]
    request["RequestItems"] = together(operation, request["RequestItems"], parts[:1])
    return json.dumps(request).encode(), [together(operation, json.loads(body)["RequestItems"], parts[1:])]


def requests_of(operation: str, its) -> list:
    return its["Keys"] if operation == "BatchGetItem" else its


def together(operation: str, tables: dict, parts: list) -> dict:
    """The part of a batch of DynamoDB's that has these requests."""
    found: dict = {}
    for table, it in parts:
        if operation == "BatchGetItem":
            found.setdefault(table, tables[table] | {"Keys": []})["Keys"].append(it)
        else:
            found.setdefault(table, []).append(it)
    return found


def with_left_out(operation: str, content: bytes, left_out: list) -> bytes:
    answer = json.loads(content)
    if operation == "SendMessageBatch":
        answer["Failed"] = [
            {"Id": it["Id"], "Code": "ServiceUnavailable", "SenderFault": False, "Message": "no"} for it in left_out
        ]
    else:
        answer["UnprocessedKeys" if operation == "BatchGetItem" else "UnprocessedItems"] = left_out[0]
    return json.dumps(answer).encode()


def error_body(service: str, code: str, message: str) -> bytes:
    if service == "s3":
        return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    if service in ("dynamodb", "sqs", "athena", "events"):
        return json.dumps({"__type": code, "message": message}).encode()
    return (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    ).encode()
