"""What every operation of the document has to do whatever it is for: refuse whoever shows no key or a wrong one, other
methods, and forms of responses that there are not."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import requests
from fuzz_bodies import basic
from fuzz_clients import Clients

# Bodies that are no JSON, or such as nobody has to read; with the commands that write them.
UNREADABLE = {
    "printf ''": b"",
    "printf '{'": b"{",
    "printf '{}}'": b"{}}",
    "printf 'nul'": b"nul",
    r"printf '\377\376'": b"\xff\xfe",
    "yes '[' | head -n 30000": b"[\n" * 30_000,
    """yes '{"a":' | head -n 10000""": b'{"a":\n' * 10_000,
}
TOO_LARGE = {"yes | head -c 2000000": b"y\n" * 1_000_000}
METHODS = ("get", "put", "post", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    # The names of the security schemes, of all alternatives; none where anybody may call.
    schemes: frozenset[str]
    # Whether one of the alternatives has no scheme.
    keyless: bool
    # What the document has for the path.
    methods: frozenset[str]
    needs_body: bool
    # Whether a body can be too large.
    has_limit: bool

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"


def operations(document: dict[str, Any]) -> list[Operation]:
    """The operations of a document, in its order."""
    found = []
    for path, item in document["paths"].items():
        methods = frozenset(method.upper() for method in METHODS if method in item)
        for method in METHODS:
            if method in item:
                security = item[method].get("security", document.get("security", []))
                schemes = frozenset(name for alternative in security for name in alternative)
                needs_body = item[method].get("requestBody", {}).get("required", False)
                has_limit = method != "get" and "413" in item[method]["responses"]
                found.append(Operation(method.upper(), path, schemes, {} in security, methods, needs_body, has_limit))
    return found


def needs_operator(path: str) -> bool:
    return path.startswith(("/v1/clients", "/v1/portal-links", "/v1/failing-endpoints"))


def needs_publisher(path: str) -> bool:
    return path.startswith("/entities/") or ("/topics" in path and "/subscribers/" not in path)


class Edge:
    """Calls operations for things that exist, in ways that change nothing."""

    def __init__(self, url: str, clients: Clients, kept: dict[str, list[str]]):
        self.url = url
        self.kept = kept
        self.client = clients.client
        self.publisher = clients.publisher
        self.operator = clients.operator
        self.calls: Counter[tuple[str, int]] = Counter()
        self.failures: list[str] = []
        self.failed_before: set[tuple[str, str]] = set()

    def test(self, operations: list[Operation]) -> list[str]:
        for operation in operations:
            self.credentials(operation)
            self.forms(operation)
            self.bodies(operation)
        for operation in {it.path: it for it in operations}.values():
            self.methods(operation)
        return self.failures

    def credentials(self, operation: Operation) -> None:
        for headers in self.wrong_credentials(operation):
            self.expect(operation, headers, 401)

    def wrong_credentials(self, operation: Operation) -> list[dict[str, str]]:
        if "apiKey" in operation.schemes:
            wrong = "bw_" + "a" * 40
            return [{}, {"x-api-key": wrong}, {"KeyId": wrong}, {"Authorization": f"Bearer {wrong}"}, {"x-api-key": ""}]
        if "basic" in operation.schemes:
            secret = basic(self.client | {"client_secret": "bws_wrong"})
            nobody = basic(self.client | {"client_id": "cl_" + "a" * 24})
            wrong_ones = [{"Authorization": it} for it in (secret, nobody, "Basic =")]
            # Where credentials can be in the body, whatever is wrong there may be said first.
            return wrong_ones if operation.keyless else [{}, *wrong_ones]
        return []

    def forms(self, operation: Operation) -> None:
        self.expect(operation, self.credentials_of(operation) | {"Accept": "text/html, image/*"}, 406)

    def bodies(self, operation: Operation) -> None:
        headers = self.credentials_of(operation)
        wrong = [(400, UNREADABLE)] if operation.needs_body else []
        limit = [(413, TOO_LARGE)] if operation.has_limit else []
        for status, bodies in wrong + limit:
            for command, body in bodies.items():
                answer = self.call(operation, headers, operation.method, body)
                # A patch is of something, which is looked for first.
                unknown = operation.method == "PATCH" and answer.status_code == 404
                if answer.status_code != status and not unknown:
                    self.failed(operation, answer, str(status), command)

    def methods(self, operation: Operation) -> None:
        headers = self.credentials_of(operation)
        for method in {method.upper() for method in METHODS} - operation.methods:
            answer = self.expect(operation, headers, 405, method)
            self.allows(operation, answer)
        self.allows(operation, self.expect(operation, {}, 204, "OPTIONS"))
        if "GET" not in operation.methods:
            self.expect(operation, headers, 405, "HEAD")

    def allows(self, operation: Operation, answer: requests.Response) -> None:
        expected = operation.methods | {"OPTIONS"} | ({"HEAD"} if "GET" in operation.methods else set())
        allowed = {method.strip() for method in answer.headers.get("Allow", "").split(",")}
        if allowed != expected:
            self.failed(operation, answer, f"`Allow` with {', '.join(sorted(expected))}")

    def credentials_of(self, operation: Operation) -> dict[str, str]:
        if "apiKey" in operation.schemes:
            if needs_operator(operation.path):
                return {"x-api-key": self.operator["api_key"]}
            return {"x-api-key": (self.publisher if needs_publisher(operation.path) else self.client)["api_key"]}
        return {"Authorization": basic(self.client)} if "basic" in operation.schemes else {}

    def expect(self, operation: Operation, headers: dict[str, str], status: int, method: str = "") -> requests.Response:
        answer = self.call(operation, headers, method or operation.method)
        if answer.status_code != status:
            self.failed(operation, answer, str(status))
        return answer

    def call(
        self, operation: Operation, headers: dict[str, str], method: str, body: bytes = b"{}"
    ) -> requests.Response:
        content = body if method in ("POST", "PUT", "PATCH") else None
        headers = headers if content is None else {"Content-Type": "application/json"} | headers
        url = self.url + self.path_of(operation)
        answer = requests.request(method, url, headers=headers, data=content, timeout=60)
        self.calls[operation.label, answer.status_code] += 1
        return answer

    def path_of(self, operation: Operation) -> str:
        """The path with what exists, which isn't risked where it could be deleted."""
        existing = {} if "DELETE" in operation.methods else {name: ids[0] for name, ids in self.kept.items() if ids}
        return re.sub(r"{(\w+)}", lambda name: existing.get(name[1], "0"), operation.path)

    def failed(self, operation: Operation, answer: requests.Response, expected: str, body: str = "printf '{}'") -> None:
        """Keeps a failure with the command that leads to it; one of each kind for an operation."""
        if (operation.label, expected) in self.failed_before:
            return
        self.failed_before.add((operation.label, expected))
        request = answer.request
        wanted = ("x-api-key", "keyid", "authorization", "accept", "content-type")
        headers = "".join(f" -H '{name}: {value}'" for name, value in request.headers.items() if name.lower() in wanted)
        writing, content = (f"{body} | ", " --data-binary @-") if request.body is not None else ("", "")
        command = f"{writing}curl -i -X {request.method}{headers}{content} '{request.url}'"
        found = f"it is {answer.status_code}: {answer.text[:300]}"
        self.failures.append(f"{operation.label}\n- expected {expected}; {found}\n    {command}")
