"""The judge of the exchanges: a small document, and what is and isn't in it."""

import copy
import json
from dataclasses import replace

import pytest
import yaml
from contract import Contract, Exchange
from verdict import unanswered, uncalled

DOCUMENT = """
openapi: 3.1.0
info: {title: Things, version: "1"}
security: [{key: []}]
paths:
  /things:
    get:
      operationId: listThings
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1}}
        - {name: deep, in: query, schema: {type: boolean}}
      responses: &responses
        "200": &thing
          description: A thing.
          headers:
            ETag: {required: true, schema: {type: string, pattern: '^".*"$'}}
          content:
            application/json: {schema: {$ref: "#/components/schemas/Thing"}}
        "400": &error
          description: An error.
          content:
            application/json: {schema: {$ref: "#/components/schemas/Error"}}
        "405": *error
        "500": *error
    post:
      operationId: createThing
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: "#/components/schemas/NewThing"}}
      responses:
        "201":
          description: It is there.
          headers: {Location: {schema: {type: string}}}
        "204": {description: There is nothing to say.}
        "415": *error
        <<: *responses
  /things/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string, maxLength: 5}}
    get:
      operationId: getThing
      security: []
      responses: *responses
  /things/special:
    get: {operationId: getSpecial, responses: *responses}
webhooks:
  changed:
    post: &webhook
      operationId: receiveChange
      parameters:
        - {name: X-Bellwire-Type, in: header, required: true, schema: {const: changed}}
        - {name: webhook-id, in: header, required: true, schema: {type: string, format: uuid}}
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: "#/components/schemas/Thing"}}
      responses: {2XX: {description: Thanks.}}
  told:
    post:
      <<: *webhook
      operationId: receiveText
      parameters:
        - {name: X-Bellwire-Type, in: header, required: true, schema: {const: told}}
      requestBody:
        required: true
        content:
          text/plain; charset=UTF-8:
            schema:
              type: string
              contentMediaType: application/json
              contentSchema: {$ref: "#/components/schemas/Thing"}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: x-api-key}
  schemas:
    Thing:
      type: object
      additionalProperties: false
      required: [id]
      properties:
        id: {type: string, format: uuid}
        at: {description: When., $ref: "#/components/schemas/Time"}
    Time: {type: string, format: date-time}
    NewThing:
      type: object
      additionalProperties: false
      required: [name]
      properties:
        name: {type: string, minLength: 1, x-bellwire-checked: No other thing has it.}
        size:
          oneOf:
            - {type: integer, minimum: 0}
            - type: object
              additionalProperties: false
              required: [width]
              properties: {width: {type: integer}}
    Error:
      type: object
      additionalProperties: false
      required: [message]
      properties: {message: {type: string}, field: {type: string}}
"""
ID = "694e7d20-076a-404a-8adf-d5c58a194a09"
JSON = {"content-type": "application/json"}
GET = Exchange(
    "GET", "/things", "", {"x-api-key": "k"}, b"", 200, JSON | {"etag": '"1"'}, b'{"id": "%s"}' % ID.encode()
)
POST = Exchange("POST", "/things", "", JSON | {"x-api-key": "k"}, b'{"name": "a"}', 201, {"location": "/things/1"}, b"")
WEBHOOK = {"x-bellwire-type": "changed", "webhook-id": ID} | JSON


@pytest.fixture
def contract() -> Contract:
    return Contract(yaml.safe_load(DOCUMENT))


def error(exchange: Exchange, status: int, **body: str) -> Exchange:
    body = {"message": "no"} | body
    return replace(exchange, status=status, response_headers=JSON, response_body=json.dumps(body).encode())


def test_what_is_documented_passes(contract):
    for exchange in (
        GET,
        POST,
        replace(GET, query="limit=5&deep=true&other=1"),
        replace(GET, path="/things/1", headers={}),
        replace(GET, path="/things/special"),
        replace(POST, status=204, response_headers={}),
        error(GET, 400),
    ):
        # Of a request that the document allows, a 400 has to have a reason.
        found = contract.check(replace(exchange, query="limit=0") if exchange.status == 400 else exchange)
        assert found == [], exchange


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": 202}, "the status 202 is not documented; there are 200, 400, 405, 500"),
        ({"status": 405}, "the status is 405, though the document has the method"),
        ({"path": "/thing"}, "the document has no such path or method; the status must be one of 404, 500"),
        ({"method": "PUT"}, "the document has no such path or method; the status must be one of 405, 500"),
        ({"path": "/things/"}, "the document has no such path or method"),
        ({"response_headers": JSON}, "response header ETag: is missing"),
        ({"response_headers": JSON | {"etag": "1"}}, 'response header ETag: "1" does not match'),
        ({"response_headers": JSON | {"etag": '"1"', "location": "/"}}, "response header location: is not documented"),
        ({"response_headers": {"etag": '"1"'}}, "response header Content-Type: is missing"),
        ({"response_headers": {"content-type": "text/html", "etag": '"1"'}}, "response: has the media type 'text/html'"),
        ({"response_body": b""}, "response: is not JSON"),
        ({"response_body": b'{"id": "1"}'}, 'response at id: "1" is not a "uuid"'),
        ({"response_body": b"{}"}, 'response: "id" is a required property'),
        ({"response_body": b'{"id": "%s", "more": 1}' % ID.encode()}, "response: Additional properties are not allowed ('more'"),
        ({"response_body": b'{"id": "%s", "at": "now"}' % ID.encode()}, 'response at at: "now" is not a "date-time"'),
        ({"query": "limit=0"}, "the document forbids the request, and the status is 200: query limit: 0 is less than"),
        ({"query": "limit=x"}, 'query limit: "x" is not of type "integer"'),
        ({"query": "limit="}, 'query limit: "" is not of type "integer"'),
        ({"query": "deep=yes"}, 'query deep: "yes" is not of type "boolean"'),
        ({"path": "/things/t%C3%B6%C3%B6%20long"}, 'path id: "töö long" is longer than 5 characters'),
        ({"headers": {}}, "the document forbids the request, and the status is 200: it has no credentials"),
    ],
)  # fmt: skip
def test_what_is_not_is_named(contract, change, problem):
    found = contract.check(replace(GET, **change))
    assert any(problem in it for it in found), found


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "body: is missing"),
        (b"{", "body: is not JSON"),
        (b'{"name": NaN}', "NaN is no number"),
        (b"\xff", "body: is not JSON"),
        (b"[" * 100_000, "body: is not JSON"),
        (b"[]", 'body: [] is not of type "object"'),
        (b'{"name": ""}', 'body at name: "" is shorter than 1 character'),
        (b'{"name": "a", "size": -1}', "body at size: -1 is less than the minimum of 0"),
        (b'{"name": "a", "size": {"width": "1"}}', 'body at size.width: "1" is not of type "integer"'),
    ],
)
def test_a_request_that_is_forbidden_has_to_be_refused(contract, body, problem):
    found = contract.check(replace(POST, body=body))
    assert any(problem in it for it in found), found
    assert contract.check(error(replace(POST, body=body), 400)) == []


def test_a_request_that_is_allowed_must_not_be_refused_without_a_rule(contract):
    [problem] = contract.check(error(POST, 400, field="size"))
    assert "the document allows the request" in problem and '"field": "size"' in problem
    assert len(contract.check(error(POST, 400))) == 1
    # `name` has a rule in words.
    assert contract.check(error(POST, 400, field="name")) == []
    assert contract.check(error(POST, 400, field="name[0].first")) == []
    # Readers of JSON don't agree on these.
    for body in (b'{"name": "a", "name": "b"}', b'{"name": "\\ud800"}', b'{"name": "a", "size": 1e999}'):
        assert contract.check(error(replace(POST, body=body), 400, field="size")) == [], body


def test_a_rule_of_a_whole_operation(contract):
    document = yaml.safe_load(DOCUMENT)
    document["paths"]["/things"]["post"]["x-bellwire-checked"] = "There is room."
    assert Contract(document).check(error(POST, 400)) == []


def test_media_types_count_where_others_are_refused(contract):
    text = replace(POST, headers={**POST.headers, "content-type": "text/plain"})
    assert "body: has the media type 'text/plain'" in str(contract.check(text))
    assert contract.check(error(text, 415)) == []
    assert "the document allows the request" in str(contract.check(error(POST, 415)))
    assert contract.check(replace(POST, headers={"x-api-key": "k"})) == []


def test_what_every_path_has(contract):
    unknown = error(replace(GET, path="/other"), 404)
    assert contract.check(unknown) == []
    assert "response: " in str(contract.check(replace(unknown, response_body=b"[]")))
    head = replace(GET, method="HEAD")
    assert contract.check(head) == ["the response has a body"]
    assert contract.check(replace(head, response_body=b"")) == []
    allow = {"allow": "GET, POST, HEAD, OPTIONS"}
    options = Exchange("OPTIONS", "/things", "", {}, b"", 204, allow, b"")
    assert contract.check(options) == []
    assert contract.check(replace(options, response_headers={})) == ["header Allow: is missing"]
    assert "header Allow: is 'GET'" in str(contract.check(replace(options, response_headers={"allow": "GET"})))
    wrong = error(replace(GET, method="PUT"), 405)
    assert contract.check(wrong) == ["header Allow: is missing"]
    assert contract.check(replace(wrong, response_headers=JSON | allow)) == []


def test_a_status_that_the_body_says(contract):
    told = replace(GET, query="always_use_http_status_code_200=true", response_body=b'{"status": {"status_code": 409}}')
    found = contract.check(told)
    assert any("the status 409 is not documented" in it for it in found), found


@pytest.mark.parametrize(
    ("headers", "body", "problem"),
    [
        ({"x-bellwire-type": "other"}, GET.response_body, 'header X-Bellwire-Type: "changed" was expected'),
        ({"webhook-id": "1"}, GET.response_body, 'header webhook-id: "1" is not a "uuid"'),
        ({"x-bellwire-more": "1"}, GET.response_body, "header x-bellwire-more: '1' is not documented"),
        ({"content-type": "text/html"}, GET.response_body, "body: has the media type 'text/html'"),
        ({}, b"{}", "is not the webhook changed: body: "),
        ({}, b"", "body: is missing"),
    ],
)
def test_webhooks(contract, headers, body, problem):
    assert contract.check_webhook("POST", WEBHOOK, GET.response_body) == []
    assert contract.check_webhook("POST", WEBHOOK | {"x-tenant": "1"}, GET.response_body) == []
    found = contract.check_webhook("POST", WEBHOOK | headers, body)
    assert problem in str(found)
    assert contract.check_webhook("PUT", WEBHOOK, GET.response_body) == ["the document has no such webhook"]


def test_json_in_a_text(contract):
    told = {"x-bellwire-type": "told", "content-type": "text/plain; charset=UTF-8"}
    assert contract.check_webhook("POST", told, GET.response_body) == []
    [problem] = contract.check_webhook("POST", told, b"{}")
    assert problem == 'is not the webhook told: body: "id" is a required property'
    assert "is not JSON" in str(contract.check_webhook("POST", told, b"{"))


def test_what_nobody_has_called(contract):
    contract.check(GET)
    contract.check(error(replace(GET, query="limit=0"), 400))
    contract.check_webhook("POST", WEBHOOK, GET.response_body)
    assert uncalled(contract) == ["createThing", "getSpecial", "getThing", "receiveText"]
    assert unanswered(contract) == {}
    contract.check(POST)
    assert unanswered(contract) == {"createThing": ["200", "204", "400", "415"]}


def test_a_document_is_not_changed_and_formats_have_to_be_known():
    document = yaml.safe_load(DOCUMENT)
    before = copy.deepcopy(document)
    Contract(document).check(GET)
    assert document == before
    document["components"]["schemas"]["Time"]["format"] = "datetime"
    with pytest.raises(ValueError, match="datetime"):
        Contract(document).check(GET)
