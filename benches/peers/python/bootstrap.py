"""The peer of `subscribe` in Python with boto3: what a team would write that knows Lambda.

It registers a callback URL: finds the client by its API key, checks the URL, subscribes it to
the client's topic and puts it on record. Lambda's own runtime client is replaced by a loop of a
few lines, so what is measured of the interpreter is at its best.
"""

import hashlib
import json
import os
from datetime import UTC, datetime
from http.client import HTTPConnection
from ipaddress import ip_address
from urllib.parse import urlsplit

import boto3

dynamodb = boto3.client("dynamodb")
sns = boto3.client("sns")


def answer(status: int, body: dict) -> dict:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def client_of(event: dict) -> dict | None:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    key = hashlib.sha256(headers.get("x-api-key", "").encode()).hexdigest()
    found = dynamodb.query(
        TableName=os.environ["CLIENTS_TABLE"],
        IndexName="by-api-key",
        KeyConditionExpression="api_key_sha256 = :hash",
        ExpressionAttributeValues={":hash": {"S": key}},
    )["Items"]
    return next((it for it in found if "disabled_at" not in it), None)


def problem_with(url) -> str | None:
    if not isinstance(url, str) or not 1 <= len(url) <= 2048:
        return "must have 1 to 2048 characters"
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return "must be an https URL"
    if parts.username or parts.password or parts.fragment:
        return "must have no user name, password or fragment"
    try:
        if not ip_address(parts.hostname).is_global:
            return "must not point at a private address"
    except ValueError:
        pass  # a name
    return None


def subscribe(event: dict) -> dict:
    client = client_of(event)
    if client is None:
        return answer(401, {"message": "a valid API key is needed"})
    body = json.loads(event.get("body") or "{}")
    url = body.get("callbackUrl")
    if problem := problem_with(url):
        return answer(400, {"message": f"callbackUrl: {problem}", "field": "callbackUrl"})
    client_id = client["client_id"]["S"]
    key = {"client_id": {"S": client_id}, "callback_id": {"S": hashlib.sha256(url.encode()).hexdigest()}}
    table = os.environ["CALLBACKS_TABLE"]
    known = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
    if known.get("status", {}).get("S") == "CONFIRMED":
        return answer(200, {"message": "confirmed", "callbackUrl": url, "status": "CONFIRMED"})
    topic = os.environ["TOPIC_PREFIX"] + client_id
    request = {
        "TopicArn": topic,
        "Protocol": "https",
        "Endpoint": url,
        "ReturnSubscriptionArn": True,
        "Attributes": {
            "RawMessageDelivery": "true",
            "FilterPolicy": json.dumps({"status": ["SUCCEEDED"]}),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": os.environ["UNDELIVERED_QUEUE_ARN"]}),
        },
    }
    try:
        arn = sns.subscribe(**request)["SubscriptionArn"]
    except sns.exceptions.NotFoundException:
        sns.create_topic(Name=topic.rsplit(":", 1)[1], Attributes={"SignatureVersion": "2"})
        arn = sns.subscribe(**request)["SubscriptionArn"]
    dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET callback_url = :url, #status = :pending, subscription_arn = :arn, "
        "created_at = if_not_exists(created_at, :now)",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={
            ":url": {"S": url},
            ":pending": {"S": "PENDING_CONFIRMATION"},
            ":arn": {"S": arn},
            ":now": {"S": datetime.now(UTC).isoformat()},
        },
    )
    return answer(200, {"message": "pending", "callbackUrl": url, "status": "PENDING_CONFIRMATION"})


def main() -> None:
    api = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        api.request("GET", "/2018-06-01/runtime/invocation/next")
        response = api.getresponse()
        event = json.loads(response.read())
        request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        body = json.dumps(subscribe(event))
        api.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", body)
        api.getresponse().read()


main()
