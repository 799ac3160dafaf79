"""Logs are JSON, say what a request was about, and hold no secret."""

import json
import re

import pytest
from conftest import confirmation_token, is_confirmation, resources
from runtime_api import Function, api_event

SECRET_URL = "/callback?secret=hunter2"


@pytest.fixture
def subscribe(stack):
    with Function(stack, "SubscribeFunction") as function:
        yield function


def test_every_line_is_json_with_request_id_and_client(stack, client, receiver, subscribe):
    url = receiver.url + SECRET_URL
    answer = subscribe.invoke(api_event("POST", "/v1/subscribe", client, {"callbackUrl": url}))
    assert answer.status == 200
    [line] = subscribe.log_lines()
    assert (line["level"], line["status"]) == ("INFO", 200)
    fields = {name: value for span in line["spans"] for name, value in span.items()}
    assert fields["client"] == client.client_id
    assert fields["requestId"] and fields["method"] == "POST" and fields["path"].endswith("/v1/subscribe")


def test_no_key_no_token_and_no_url_is_logged(stack, client, receiver, subscribe):
    url = receiver.url + SECRET_URL
    for body in ({"callbackUrl": url}, {"callbackUrl": "https://user:hunter2@example.com/"}, {"token": "wrong"}):
        subscribe.invoke(api_event("POST", "/v1/subscribe", client, body))
    receiver.wait_for(is_confirmation)
    token = confirmation_token(receiver, SECRET_URL)
    subscribe.invoke(api_event("POST", "/v1/subscribe", client, {"token": token}))
    assert len(subscribe.log_lines()) >= 4
    for secret in (client.api_key, client.client_secret, token, "hunter2", receiver.url):
        assert secret not in subscribe.log()


def test_access_logs_are_json_without_the_query_and_the_headers():
    form = resources()["Api"]["Properties"]["AccessLogSetting"]["Format"]
    used = set(re.findall(r"\$context\.([\w.]+)", form))
    assert used == {
        "requestId",
        "requestTime",
        "identity.sourceIp",
        "httpMethod",
        "path",
        "status",
        "responseLatency",
        "responseLength",
        "error.message",
    }
    assert json.loads(re.sub(r"\$context\.[\w.]+", "-", form))["path"] == "-"
