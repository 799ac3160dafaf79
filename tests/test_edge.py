"""What every call of the API has in common: methods, forms of responses, compression, origins."""

import gzip
import json

import pytest
import requests
from conftest import Client, Stack
from streams import Streams, definition

ORIGIN = "https://app.example.com"

# A path of each function, with its methods.
PATHS = [
    ("/v1/subscribe", "GET, POST, HEAD, OPTIONS"),
    ("/v1/unsubscribe", "POST, OPTIONS"),
    ("/v1/queries/694e7d20-076a-404a-8adf-d5c58a194a09", "GET, HEAD, OPTIONS"),
    ("/topics", "GET, POST, HEAD, OPTIONS"),
    ("/streams/hub/api/v1/topics", "GET, POST, HEAD, OPTIONS"),
    ("/publishers/http-post/topics/1", "POST, OPTIONS"),
    ("/subscribers/webhook/subscriptions/1/test", "POST, OPTIONS"),
    ("/entities/events", "POST, OPTIONS"),
    ("/subscriptions", "POST, GET, DELETE, HEAD, OPTIONS"),
    ("/openapi.json", "GET, HEAD, OPTIONS"),
]


def methods(allow: str) -> set[str]:
    return set(allow.split(", "))


@pytest.mark.parametrize(("path", "allow"), PATHS)
def test_a_path_says_which_methods_it_has(stack: Stack, path: str, allow: str):
    options = stack.call("OPTIONS", path)
    assert (options.status_code, options.content) == (204, b"")
    assert methods(options.headers["Allow"]) == methods(allow)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods(allow):
        refused = stack.call(method, path, json={})
        assert refused.status_code == 405, (method, refused.text)
        assert methods(refused.headers["Allow"]) == methods(allow)


def test_head_is_get_without_a_body(stack: Stack, client: Client):
    got = stack.call("GET", "/topics", client)
    head = stack.call("HEAD", "/topics", client)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert stack.call("HEAD", "/topics").status_code == 401


@pytest.mark.parametrize(
    "path",
    ["/", "/topic", "/topics/1/2", "/v1", "/v1/subscribe/1", "/streams", "/subscribers/webhook", "/%20", "/a/b/c/d"],
)
def test_other_paths_are_unknown(stack: Stack, client: Client, path: str):
    for method in ("GET", "POST", "DELETE"):
        answer = stack.call(method, path, client)
        assert answer.status_code == 404, (method, answer.text)
        assert answer.json()["message"] == "there is no such path"


@pytest.mark.parametrize("path", ["/subscriptions/1/2/3", "/v1/webhooks/1/2/3", "/webhook_callback_logs/1"])
def test_unknown_paths_of_protocol_c_are_in_its_envelope(stack: Stack, path: str):
    answer = stack.call("GET", path)
    status = answer.json()["status"]
    assert (answer.status_code, status["status_code"]) == (404, 404)
    assert status["errors"] == [{"code": 404, "message": "there is no such path"}]


@pytest.mark.parametrize("accept", ["text/html", "application/xml, text/*", "application/json;q=0, image/png"])
def test_who_takes_no_json_gets_a_406(stack: Stack, client: Client, accept: str):
    answer = stack.call("GET", "/topics", client, headers={"Accept": accept})
    assert (answer.status_code, answer.json()["field"]) == (406, "Accept")
    assert stack.call("GET", "/topics", client, headers={"Accept": f"{accept}, */*;q=0.1"}).status_code in (200, 406)


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json; charset=utf-8", "nonsense"])
def test_who_takes_json_gets_it(stack: Stack, client: Client, accept: str):
    answer = stack.call("GET", "/topics", client, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


def test_problems_are_those_of_rfc_9457(stack: Stack, client: Client):
    accept = {"Accept": "application/json, application/problem+json"}
    answer = stack.call("POST", "/v1/unsubscribe", client, json={}, headers=accept)
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem.pop("request_id")
    assert problem == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "callbackUrl: is missing",
        "field": "callbackUrl",
    }
    # What succeeds is as always.
    assert stack.call("GET", "/topics", client, headers=accept).headers["Content-Type"] == "application/json"


def test_errors_know_json_and_not_rust(stack: Stack, publisher: Client):
    publishing = {"type": "http-post", "payload": {"type": "event"}}
    for body, field, message in [
        ({"name": 1, "publisher": publishing}, "name", "must be a string, and is the number 1"),
        ({"publisher": publishing}, "name", "is missing"),
        ({"name": "x", "publisher": []}, "publisher", "must be an object, and is an array"),
        ({"name": "x", "publisher": "http-post"}, "publisher", 'must be an object, and is the string "http-post"'),
        (
            {"name": "x", "publisher": {"type": "http-post", "payload": {"type": "events"}}},
            "publisher.payload.type",
            'can\'t be "events"; known: snapshot, event',
        ),
        (
            {"name": "x", "publisher": publishing | {"payloads": 1}},
            "publisher.payloads",
            "there is no such field; known: ",
        ),
    ]:
        answer = stack.call("POST", "/topics", publisher, json=body)
        error = answer.json()
        assert (answer.status_code, error["field"]) == (400, field), error
        assert error["message"].startswith(f"{field}: {message}"), error


def test_several_mistakes_are_named_at_once(stack: Stack, publisher: Client, client: Client):
    topic = Streams(stack, publisher, client).topic()
    wrong = {"webhookUrl": "ftp://example.com", "webhookHeaders": {"Host": "x"}, "subscriptionMode": "snapshot-only"}
    path = f"/subscribers/webhook/topics/{topic}/subscriptions"
    error = stack.call("POST", path, client, json=wrong).json()
    assert [it["field"] for it in error["errors"]] == ["webhookUrl", "webhookHeaders", "subscriptionMode"]
    assert error["field"] == "webhookUrl"
    assert error["message"] == error["errors"][0]["message"]
    error = stack.subscribe(client, "ftp://example.com", statuses=["RUNNING"], format="xml").json()
    assert [it["field"] for it in error["errors"]] == ["callbackUrl", "statuses", "format"]


def test_large_responses_are_compressed_for_whoever_asks(stack: Stack):
    url = f"{stack.url}/openapi.json"
    plain = requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=30)
    assert "Content-Encoding" not in plain.headers
    with requests.get(url, headers={"Accept-Encoding": "gzip"}, timeout=30, stream=True) as answer:
        packed = answer.raw.read(decode_content=False)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(packed) < len(plain.content) / 3
    assert gzip.decompress(packed) == plain.content


def test_compressed_requests_are_unpacked(stack: Stack, publisher: Client):
    body = gzip.compress(json.dumps(definition()).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = stack.call("POST", "/topics", publisher, data=body, headers=headers)
    assert answer.status_code == 201, answer.text
    stack.topics.append(answer.json()["id"])


def test_pages_of_allowed_origins_may_call(stack: Stack, client: Client):
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = stack.call("OPTIONS", "/topics", headers=asked)
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "X-Api-Key" in preflight.headers["Access-Control-Allow-Headers"]
    for answer in (
        stack.call("GET", "/topics", client, headers={"Origin": ORIGIN}),
        stack.call("GET", "/topics", headers={"Origin": ORIGIN}),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Link" in answer.headers["Access-Control-Expose-Headers"]
    for origin in ("https://evil.example.com", "null", f"{ORIGIN}.evil.com"):
        answer = stack.call("OPTIONS", "/topics", headers={"Origin": origin})
        assert "Access-Control-Allow-Methods" not in answer.headers
        assert answer.headers.get("Access-Control-Allow-Origin") != origin
        assert answer.headers["Vary"] == "Origin"


def test_a_key_has_three_spellings(stack: Stack, client: Client):
    for headers in (
        {"x-api-key": client.api_key},
        {"KeyId": client.api_key},
        {"Authorization": f"Bearer {client.api_key}"},
    ):
        assert stack.call("GET", "/topics", headers=headers).status_code == 200
    assert stack.call("GET", "/topics", headers={"KeyId": "wrong"}).status_code == 401


def test_the_contract_names_its_own_stack(stack: Stack):
    document = stack.call("GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": stack.url}]
    assert {"/topics", "/v1/subscribe", "/subscriptions"} <= document["paths"].keys()
