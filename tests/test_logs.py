"""Logs are JSON, say what a request was about, and hold no secret."""

import json
import re
import time

import pytest
from conftest import confirmation_token, is_confirmation
from entities import new_key
from runtime_api import Function, api_event
from template import resources

SECRET_URL = "/callback?secret=hunter2"


@pytest.fixture
def subscribe(stack):
    with Function(stack, "SubscribeFunction") as function:
        yield function


def test_every_line_is_json_with_request_id_and_client(stack, client, receiver, subscribe):
    url = receiver.url + SECRET_URL
    answer = subscribe.invoke(api_event("POST", "/v1/subscribe", client, {"callbackUrl": url}))
    assert answer.status == 201
    [line] = subscribe.log_lines()
    assert (line["level"], line["status"]) == ("INFO", 201)
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


def test_secrets_of_query_strings_are_in_no_log(stack, entities, aws):
    """On the deployed stack, whatever the answer; and with the cause of a failure of ours."""
    customer, key, since = entities.customer, new_key(), int(time.time() * 1000)
    made = customer.create_subscription(key, "https://example.com/" + SECRET_URL)
    customer.get_subscriptions(key)
    customer.callback_log(made["key"])
    entities.call("GET", "/subscriptions", client_secret="hunter2-wrong")
    entities.call("GET", "/subscriptions", cursor="hunter2-garbage")
    entities.call("GET", "/subscriptions/hunter2?more=hunter2-more", limit="hunter2-limit")
    entities.call("GET", "/webhook_callback_logs", entity_key="hunter2-entity", cursor="hunter2-cursor")
    stack.call("GET", "/v1/webhooks", headers={"Authorization": "Basic hunter2-basic"})
    entities.post({**customer.credentials, "hunter2-field": 1})
    customer.unsubscribe(made["key"])
    logs, found = stack.aws("logs"), ""
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"], startTime=since)
        found += "".join(event["message"] for page in pages for event in page["events"])
    assert made["key"] in found and entities.client.client_id in found
    with Function(stack, "EntitySubscriptionsFunction", aws.endpoint) as function:
        aws.set("GetItem", "refuse")
        event = api_event("GET", "/subscriptions", entities.client)
        event["queryStringParameters"] = customer.credentials
        event["multiValueQueryStringParameters"] = {k: [v] for k, v in customer.credentials.items()}
        answer = function.invoke(event)
        assert answer.status == 500 and set(answer.body["status"]) == {"status_code", "message", "request_id", "errors"}
        assert "DynamoDB" in function.log()
        found += function.log()
    for secret in (customer.credentials["client_secret"], made["secret"], "hunter2-", SECRET_URL, "entity_key="):
        assert secret not in found


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
        "error.responseType",
    }
    assert json.loads(re.sub(r"\$context\.[\w.]+", "-", form))["path"] == "-"
