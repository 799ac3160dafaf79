"""openapi.yaml as a judge: what is wrong with a request, with its response, and with what was sent to an endpoint.

The document says once in its introduction what holds for every path, and so it does here: `HEAD` is `GET` without a
body, `OPTIONS` is a 204 with the methods of the path in `Allow`, any other method a 405 with the same, and an unknown
path a 404 in the form of the errors that all calls have.

`x-bellwire-checked` beside a parameter, a schema or an operation says, in words, a rule that JSON Schema can't say. A
request that the document allows and that gets a 400 is a mistake of the document, unless the field that is refused has
such a rule.
"""

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from jsonschema_rs import Draft202012Validator
from schemas import compiled, inlined, parsed, plain, problems_of, typed

METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE")
CHECKED = "x-bellwire-checked"
# With this parameter the HTTP status is 200, and the body says the status.
ALWAYS_OK = "always_use_http_status_code_200"
# The headers of deliveries that are Bellwire's or Amazon SNS's, and so have to be in the document.
OWN_HEADERS = ("webhook-", "x-amz-sns-", "x-axway-streams-", "x-bellwire-")


@dataclass(frozen=True)
class Exchange:
    """A request to the API and its response. The path is below the API's URL and still percent-encoded; names of
    headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    response_headers: Mapping[str, str]
    response_body: bytes


@dataclass(frozen=True)
class Operation:
    """An operation of the document, with the parameters of its path and the security that it has or inherits."""

    name: str
    parameters: list[dict]
    security: list[dict]
    body: dict | None
    responses: dict
    # The fields with a rule that the schemas can't say; "" is all of them.
    checked: frozenset[str]


class Contract:
    """An OpenAPI 3.1 document whose references stay in it."""

    def __init__(self, document: dict):
        self.document: dict = inlined(document, document, {})
        security = self.document.get("security", [])
        self.paths: dict[str, dict[str, Operation]] = {
            path: {method: operation(method, path, item, security) for method in METHODS if method.lower() in item}
            for path, item in self.document["paths"].items()
        }
        self.webhooks: dict[str, tuple[str, Operation]] = {
            name: (method, operation(method, name, item, []))
            for name, item in self.document.get("webhooks", {}).items()
            for method in METHODS
            if method.lower() in item
        }
        # Paths without parameters first: they win (OpenAPI 3.1, 4.8.8.2).
        self._patterns = [(pattern_of(path), path) for path in sorted(self.paths, key=lambda path: path.count("{"))]
        self._validators: dict[int, Draft202012Validator] = {}
        every = [it for methods in self.paths.values() for it in methods.values()]
        self._failures = {id(it.responses["405"]): it.responses["405"] for it in every if "405" in it.responses}
        # The statuses that an answer can have whatever was called: 406, 429 and those of failures of ours.
        self.common = {
            status
            for status in (every[0].responses if every else ())
            if status > "405" and all(status in it.responses for it in every)
        }
        self._headers = {name.lower() for it in every for of in it.responses.values() for name in of.get("headers", {})}
        # The operations that were called, and with which status; the webhooks that were received, with "".
        self.seen: set[tuple[str, str]] = set()

    def operations(self) -> dict[str, Operation]:
        """By their names, those of webhooks as well."""
        called = (it for methods in self.paths.values() for it in methods.values())
        return {it.name: it for it in (*called, *(it for _, it in self.webhooks.values()))}

    def check(self, exchange: Exchange) -> list[str]:
        """What the document has no place for; nothing when it has one for all."""
        found = self._resource(exchange.path)
        if found is None:
            return self._unknown(exchange, {"404"})
        path, values = found
        methods = self.paths[path]
        head = exchange.method == "HEAD" and "GET" in methods
        operation = methods.get("GET" if head else exchange.method)
        if operation is None:
            return self._other_method(exchange, methods)
        statuses = self._statuses(exchange)
        if not head:
            self.seen |= {(operation.name, str(status)) for status in statuses}
        if exchange.status == 404 and "%2f" in exchange.path.lower():
            # API Gateway may have read it as another path.
            return self._unknown(exchange, {"404"})
        if exchange.status == 405:
            return ["the status is 405, though the document has the method"]
        problems = []
        for status in statuses:
            problems += self._response(operation.responses, status, exchange, head)
        return problems + self._verdict(operation, values, exchange, statuses[-1])

    def check_webhook(self, method: str, headers: Mapping[str, str], body: bytes) -> list[str]:
        """What is wrong with a request to an endpoint; of the webhook that is the least wrong with it."""
        ranked = []
        for name, (known, operation) in self.webhooks.items():
            if known == method:
                problems = self._own_headers(operation, headers)
                # Headers tell webhooks apart.
                wrong = len(problems)
                problems += self._body(operation, headers, body, True)
                if not problems:
                    self.seen.add((operation.name, ""))
                    return []
                ranked.append(((wrong, len(problems)), name, problems))
        if not ranked:
            return ["the document has no such webhook"]
        _, name, problems = min(ranked)
        return [f"is not the webhook {name}: {it}" for it in problems]

    def _own_headers(self, operation: Operation, headers: Mapping[str, str]) -> list[str]:
        named = {it["name"].lower() for it in operation.parameters}
        unknown = sorted(name for name in headers.keys() - named if name.startswith(OWN_HEADERS))
        documented = self._parameters(operation, {"header": headers})
        return [*documented, *(f"header {name}: {headers[name]!r} is not documented" for name in unknown)]

    def _resource(self, path: str) -> tuple[str, dict[str, str]] | None:
        """The path of the document, and the values of its parameters."""
        for pattern, template in self._patterns:
            if found := pattern.fullmatch(path):
                names = re.findall(r"{([^}]+)}", template)
                return template, dict(zip(names, map(unquote, found.groups()), strict=True))
        return None

    def _unknown(self, exchange: Exchange, expected: set[str]) -> list[str]:
        """A response without an operation: it has to be the error that is expected, or one that anything can get."""
        allowed = sorted(expected | self.common)
        if not {str(status) for status in self._statuses(exchange)} & set(allowed):
            return [f"the document has no such path or method; the status must be one of {', '.join(allowed)}"]
        if exchange.method == "HEAD":
            return ["the response to HEAD has a body"] if exchange.response_body else []
        # In any of the forms that errors have.
        verdicts = [
            self._content(failure.get("content", {}), "response", exchange.response_headers, exchange.response_body)
            for failure in self._failures.values()
        ]
        return min(verdicts, key=len, default=[])

    def _other_method(self, exchange: Exchange, methods: Iterable[str]) -> list[str]:
        expected = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        options = exchange.method == "OPTIONS"
        if options and exchange.status == 204:
            problems = ["the response to OPTIONS has a body"] if exchange.response_body else []
        else:
            problems = self._unknown(exchange, {"204"} if options else {"405"})
        if exchange.status not in (204, 405):
            return problems
        allow = exchange.response_headers.get("allow")
        if allow is None:
            return [*problems, "header Allow: is missing"]
        if {it.strip() for it in allow.split(",")} != expected:
            problems.append(f"header Allow: is {allow!r}; the document has {', '.join(sorted(expected))}")
        return problems

    def _statuses(self, exchange: Exchange) -> list[int]:
        """The status, and the true one if it is said in the body alone."""
        if exchange.status == 200 and dict(parse_qsl(exchange.query)).get(ALWAYS_OK) == "true":
            value, _ = parsed(exchange.response_body)
            said = value.get("status", {}).get("status_code") if isinstance(value, dict) else None
            if isinstance(said, int) and said != 200:
                return [200, said]
        return [exchange.status]

    def _response(self, responses: dict, status: int, exchange: Exchange, head: bool) -> list[str]:
        code = str(status)
        response = responses.get(code) or responses.get(f"{code[0]}XX") or responses.get("default")
        if response is None:
            return [f"the status {code} is not documented; there are {', '.join(sorted(responses))}"]
        problems, documented = [], {name.lower(): (name, it) for name, it in response.get("headers", {}).items()}
        for name, (spelling, header) in documented.items():
            value = exchange.response_headers.get(name)
            if value is None:
                problems += [f"response header {spelling}: is missing"] if header.get("required") else []
            else:
                problems += self._value(header["schema"], f"response header {spelling}", typed(header["schema"], value))
        for name in sorted(self._headers & exchange.response_headers.keys() - documented.keys()):
            problems.append(f"response header {name}: is not documented for the status {code}")
        content, body = response.get("content"), exchange.response_body
        if head or not content:
            return [*problems, "the response has a body"] if body else problems
        return problems + self._content(content, "response", exchange.response_headers, body)

    def _verdict(self, operation: Operation, values: dict[str, str], exchange: Exchange, status: int) -> list[str]:
        """Whether the request and the status fit: what is forbidden is refused, and what is allowed isn't."""
        if not (200 <= status < 300 or status in (400, 415)):
            return []
        query = parse_qsl(exchange.query, keep_blank_values=True)
        body = unpacked(exchange)
        problems = self._parameters(operation, {"path": values, "query": query, "header": exchange.headers})
        problems += self._body(operation, exchange.headers, body, "415" in operation.responses)
        if status == 207:
            # Each element of a list is judged by itself, and the response says of each what came of it.
            problems = [it for it in problems if not re.match(r"body at \w+\[", it)]
        if 200 <= status < 300:
            if not any(shown(alternative, exchange, self.document) for alternative in operation.security or [{}]):
                problems.append("it has no credentials")
            return [f"the document forbids the request, and the status is {status}: {it}" for it in problems]
        if problems or (body and not plain(body)):
            return []
        fields = fields_of(exchange.response_body)
        if any(belongs(field, checked) for field in fields or {""} for checked in operation.checked):
            return []
        message = exchange.response_body.decode(errors="replace")
        return [
            f"the document allows the request ({CHECKED} is nowhere at {sorted(fields)}), and it is refused: {message}"
        ]

    def _parameters(self, operation: Operation, given: Mapping[str, Any]) -> list[str]:
        problems = []
        for parameter in operation.parameters:
            place, name = parameter["in"], parameter["name"]
            there = given.get(place, {})
            pairs = there if isinstance(there, list) else list(there.items())
            known = name.lower() if place == "header" else name
            values = [value for key, value in pairs if key == known]
            if not values and parameter.get("required"):
                problems.append(f"{place} {name}: is missing")
            for value in values:
                schema = parameter["schema"]
                problems += self._value(schema, f"{place} {name}", typed(schema, value))
        return problems

    def _body(self, operation: Operation, headers: Mapping[str, str], body: bytes, strict: bool) -> list[str]:
        """`strict`: whether another media type is wrong. Without a media type, the body counts as the first one."""
        if operation.body is None:
            return []
        if not body:
            return ["body: is missing"] if operation.body.get("required") else []
        content = operation.body["content"]
        known = media_type(headers.get("content-type", "")) in map(media_type, content)
        return self._content(content, "body", headers if strict or known else {}, body)

    def _content(self, content: dict, place: str, headers: Mapping[str, str], body: bytes) -> list[str]:
        said = headers.get("content-type")
        found = [it for name, it in content.items() if said is None or media_type(name) == media_type(said)]
        if not found:
            return [f"{place}: has the media type {said!r}; documented: {', '.join(content)}"]
        name = next(name for name, it in content.items() if it is found[0])
        if place == "response" and said is None:
            return ["response header Content-Type: is missing"]
        value, error = parsed(body) if media_type(name).endswith("json") else (body.decode(errors="replace"), None)
        return [f"{place}: is not JSON: {error}"] if error else self._value(found[0].get("schema", {}), place, value)

    def _value(self, schema: dict, place: str, value: Any) -> list[str]:
        if id(schema) not in self._validators:
            self._validators[id(schema)] = compiled(schema)
        return [f"{place}{it}" for it in problems_of(self._validators[id(schema)], value)]


def operation(method: str, path: str, item: dict, security: list[dict]) -> Operation:
    here = item[method.lower()]
    own = {(it["in"], it["name"]): it for it in (*item.get("parameters", []), *here.get("parameters", []))}
    checked = {it["name"] for it in own.values() if CHECKED in it or CHECKED in it["schema"]}
    for media in here.get("requestBody", {}).get("content", {}).values():
        checked |= set(checked_fields(media.get("schema", {})))
    return Operation(
        here.get("operationId", f"{method} {path}"),
        list(own.values()),
        here.get("security", security),
        here.get("requestBody"),
        here["responses"],
        frozenset(checked | ({""} if CHECKED in here else set())),
    )


def checked_fields(schema: Any, at: str = "") -> Iterator[str]:
    """The fields of a body whose schemas say that more is checked; the elements of a list are `[]`."""
    if not isinstance(schema, dict):
        return
    if CHECKED in schema:
        yield at
    for name, inner in schema.get("properties", {}).items():
        yield from checked_fields(inner, f"{at}.{name}".lstrip("."))
    yield from checked_fields(schema.get("items"), f"{at}[]")
    for inner in [it for key in ("allOf", "anyOf", "oneOf") for it in schema.get(key, [])]:
        yield from checked_fields(inner, at)


def pattern_of(path: str) -> re.Pattern:
    return re.compile(
        "".join("([^/]+)" if it.startswith("{") else re.escape(it) for it in re.split(r"({[^}]+})", path))
    )


def media_type(text: str) -> str:
    return text.split(";")[0].strip().lower()


def unpacked(exchange: Exchange) -> bytes:
    if exchange.headers.get("content-encoding") != "gzip":
        return exchange.body
    try:
        return gzip.decompress(exchange.body)
    except (OSError, EOFError):
        return exchange.body


def shown(needed: dict, exchange: Exchange, document: dict) -> bool:
    """Whether a request has the credentials of an alternative; whether they are right is the API's to say."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    query = dict(parse_qsl(exchange.query))
    for scheme in (schemes[name] for name in needed):
        if scheme["type"] == "http":
            there = exchange.headers.get("authorization", "").lower().startswith(scheme["scheme"] + " ")
        else:
            there = scheme["name"] in query or scheme["name"].lower() in exchange.headers
        if not there:
            return False
    return True


def fields_of(body: bytes) -> set[str]:
    """The fields that an error names, in any of its forms; numbers of elements are left out."""
    value, _ = parsed(body)
    error = value.get("status") if isinstance(value, dict) and isinstance(value.get("status"), dict) else value
    if not isinstance(error, dict):
        return set()
    named = [error, *(it for it in error.get("errors", []) if isinstance(it, dict))]
    return {re.sub(r"\[\d+\]", "[]", it["field"]) for it in named if it.get("field")}


def belongs(field: str, checked: str) -> bool:
    return not checked or field.lower() == checked.lower() or field.startswith((f"{checked}.", f"{checked}["))
