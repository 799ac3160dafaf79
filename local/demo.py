"""`make demo`: the main job, step by step, with what was sent and what came back."""

import json
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime

import boto3
import requests

import data
import stack
from console import Failed
from receiver import Answer, Receiver
from settings import AWS, ENDPOINT, ROOT, environment

BELLWIRE = ROOT / "target" / "debug" / "bellwire"
FUNCTION = "bellwire-local-query-completion"


def main() -> int:
    try:
        env = stack.up()
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    url = env["BELLWIRE_URL"]

    title(1, "Two clients of the API: a customer, and the provider's own publisher")
    customer = create_client(env, "demo-customer")
    publisher = create_client(env, "demo-publisher", "--publisher")

    with Receiver() as receiver:
        callback = f"{receiver.url}/callback"
        title(2, f"The customer's receiver listens on {receiver.url}")

        title(3, "The customer registers its callback URL")
        call("POST", f"{url}/v1/subscribe", customer, {"callbackUrl": callback})

        title(4, "SNS asks the URL for a confirmation")
        [confirmation] = receiver.wait_for(lambda it: it.message_type == "SubscriptionConfirmation")
        arrived(confirmation, ["Type", "Token", "SubscribeURL"])

        title(5, "The receiver sends the token back: whoever registered the URL can read it")
        call("POST", f"{url}/v1/subscribe", customer, {"token": confirmation.json()["Token"]})

        title(6, "The provider puts a query on record for the customer")
        query = str(uuid.uuid4())
        wish = {"QueryExecutionId": query, "client_id": customer["client_id"]}
        call("POST", f"{url}/v1/queries", publisher, wish)

        title(7, "The query finishes: Athena's event reaches the function query-completion")
        sent_at = play_completion(query)

        title(8, "The customer is told")
        [notification] = receiver.wait_for(lambda it: it.message_type == "Notification")
        arrived(notification, list(notification.json()))
        print(f"\n   from event to arrival: {(notification.at - sent_at) * 1000:.0f} ms")

    title(9, "The customer looks at the query")
    call("GET", f"{url}/v1/queries/{query}", customer)
    show_streams(url, customer, publisher)
    show_entities(url, customer, publisher)
    show_queries(url, customer)
    what_next(url, customer, publisher, callback)
    return 0


def show_streams(url: str, customer: dict, publisher: dict) -> None:
    """Topics: documents in two modes, events in the third, and an endpoint that fails twice."""
    title(10, "The provider makes two topics: a document that changes, and events")
    documents, events = (make_topic(url, publisher, payload) for payload in ("snapshot", "event"))

    failures = [Answer(503), Answer(503)]
    with Receiver(answer=lambda it: failures.pop() if it.path == "/events" and failures else Answer()) as receiver:
        title(11, f"The customer subscribes in three modes; its receiver listens on {receiver.url}")
        wishes = [(documents, "snapshot-only"), (documents, "snapshot-patch"), (events, "event")]
        for topic, mode in wishes:
            path = "events" if mode == "event" else mode
            wish = {"webhookUrl": f"{receiver.url}/{path}", "subscriptionMode": mode}
            made = call("POST", f"{url}/subscribers/webhook/topics/{topic}/subscriptions", customer, wish, shown=150)

        title(12, "The document is published: both subscriptions to it get it whole")
        orders = [{"id": n, "state": "packed", "to": f"{n} Long Street, Springfield"} for n in (6, 7)]
        publish(url, publisher, documents, orders)
        show_deliveries(receiver, 2)

        title(13, "It changes: one gets the new document, the other what has changed")
        orders[1]["state"] = "shipped"
        publish(url, publisher, documents, orders)
        show_deliveries(receiver, 4, seen=2)

        title(14, "An event; the endpoint fails twice, and recovers")
        publish(url, publisher, events, {"order": 7, "delivered": True})
        show_deliveries(receiver, 7, seen=4)

    title(15, "What the customer sees of it afterwards")
    show_history(url, customer, made["id"])


def show_entities(url: str, customer: dict, publisher: dict) -> None:
    """One document that a customer follows, a callback that fails once, and its log."""
    entity = f"document-{uuid.uuid4().hex[:6]}"
    credentials = {"client_id": customer["client_id"], "client_secret": customer["client_secret"]}
    failures = [Answer(500)]
    with Receiver(answer=lambda _: failures.pop() if failures else Answer()) as receiver:
        title(16, "The customer follows one document of the provider's, with its client id and secret")
        wish = {"entity_key": entity, "callback": f"{receiver.url}/documents"}
        print(f"   → POST {url}/subscriptions\n     {cut(json.dumps({'subscription': wish}))}")
        answer = requests.post(f"{url}/subscriptions", json={**credentials, "subscription": wish}, timeout=30)
        print(f"   ← {answer.status_code}\n     {cut(answer.text, 400)}", flush=True)
        answer.raise_for_status()
        key = answer.json()["data"]["subscription"]["key"]

        title(17, "The provider says that the document was updated; the callback fails once")
        event = {
            "client_ids": [customer["client_id"]],
            "entity_key": entity,
            "entity_type": "Document",
            "callback_event": "entity_updated",
        }
        call("POST", f"{url}/entities/events", publisher, event)
        for arrival in receiver.wait_for(lambda _: True, 2):
            print(f"   ⇒ {arrival.method} {arrival.path}, attempt {arrival.headers['x-bellwire-attempt']}")
            print(f"     {arrival.body.decode()}", flush=True)

        title(18, "The callback log, newest first")
        address = f"{url}/subscriptions/{key}/callbacks"
        print(f"   → GET {address}\n")
        log = when_there(2, lambda: requests.get(address, params=credentials, timeout=30).json()["data"]["callbacks"])
        table(
            ["date", "callback_event", "attempt", "status_code", "duration", "error"],
            [it | it.get("response", {}) for it in log],
        )


def show_queries(url: str, customer: dict) -> None:
    """A query of the customer's own on the demo's data: run, told, read."""
    title(19, "The provider has data: a CSV file in a bucket, and a table over it")
    data.put(aws, data.DATABASE, "orders", data.ORDERS)
    print("   " + data.ORDERS.replace("\n", "\n   ").rstrip())

    with Receiver() as receiver:
        title(20, f"The customer has its receiver on {receiver.url} confirmed, and runs a query")
        callback = f"{receiver.url}/queries"
        call("POST", f"{url}/v1/subscribe", customer, {"callbackUrl": callback}, shown=120)
        [confirmation] = receiver.wait_for(lambda it: it.message_type == "SubscriptionConfirmation")
        call("POST", f"{url}/v1/subscribe", customer, {"token": confirmation.json()["Token"]}, shown=120)
        sql = "SELECT country, count(*) AS orders FROM orders GROUP BY country ORDER BY country"
        query = call("POST", f"{url}/v1/queries", customer, {"QueryString": sql})["QueryExecutionId"]

        title(21, "Athena finishes, and its event reaches the function query-completion; the customer is told")
        athena = aws("athena")
        when_there(
            1,
            lambda: [
                it
                for it in [athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]]
                if it["Status"]["State"] == "SUCCEEDED"
            ],
        )
        play_completion(query)
        [notification] = receiver.wait_for(lambda it: it.message_type == "Notification")
        arrived(notification, list(notification.json()))
        call("POST", f"{url}/v1/unsubscribe", customer, {"callbackUrl": callback}, shown=120)

    title(22, "The customer reads the result: as rows, and as files")
    call("POST", f"{url}/v1/scrollResults", customer, {"QueryExecutionId": query})
    links = call("POST", f"{url}/v1/results", customer, {"QueryExecutionId": query}, shown=120)
    for name in ("csv", "json"):
        print(f"\n   → GET the link {name}")
        print("     " + requests.get(links[name], timeout=30).text.replace("\n", "\n     ").rstrip(), flush=True)


def make_topic(url: str, publisher: dict, payload: str) -> str:
    wish = {
        "name": f"demo-{payload}-{uuid.uuid4().hex[:6]}",
        "publisher": {"type": "http-post", "config": {}, "payload": {"type": payload}},
    }
    return call("POST", f"{url}/topics", publisher, wish, shown=120)["id"]


def publish(url: str, publisher: dict, topic: str, document) -> None:
    call("POST", f"{url}/publishers/http-post/topics/{topic}", publisher, document)


def show_deliveries(receiver: Receiver, count: int, seen: int = 0) -> None:
    for arrival in receiver.wait_for(lambda _: True, count)[seen:]:
        headers = arrival.headers
        print(f"   ⇒ {arrival.method} {arrival.path}")
        for name in ("x-axway-streams-event-type", "x-bellwire-attempt", "webhook-signature"):
            print(f"     {name}: {cut(headers[name], 30)}")
        print(f"     {cut(arrival.body.decode())}", flush=True)


def show_history(url: str, customer: dict, subscription: str) -> None:
    address = f"{url}/subscribers/webhook/subscriptions/{subscription}/exchanges"
    headers = {"x-api-key": customer["api_key"]}
    print(f"   → GET {address}\n")
    exchanges = when_there(3, lambda: requests.get(address, headers=headers, timeout=30).json())
    table(
        ["requestDatetime", "eventType", "requestRetryAttempts", "responseCode", "requestDuration", "errorMessage"],
        exchanges,
    )


def when_there(count: int, look) -> list[dict]:
    """What is on record, as soon as there is so much of it."""
    deadline = time.monotonic() + 20
    while len(found := look()) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(found)} of {count} attempts are on record")
        time.sleep(0.1)
    return found


def table(columns: list[str], items: list[dict]) -> None:
    rows = [columns, *([str(it.get(column, "")) for column in columns] for it in items)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(columns))]
    for row in rows:
        print("   " + "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


def title(number: int, text: str) -> None:
    print(f"\n{number}. {text}\n", flush=True)


def create_client(env: dict[str, str], name: str, *options: str) -> dict:
    command = [str(BELLWIRE), "clients", "create", name, *options, "--json"]
    print(f"   $ bellwire {' '.join(command[1:])}")
    done = subprocess.run(command, env=environment(**env), capture_output=True, text=True, check=True)
    client = json.loads(done.stdout)
    print(f"   {short(client)}")
    return client


def short(client: dict) -> str:
    """The client as it was printed, with its secrets cut off."""
    return json.dumps(
        {k: f"{v[:8]}…" if k in ("api_key", "client_secret") else v for k, v in client.items()}, ensure_ascii=False
    )


def call(method: str, url: str, client: dict, body=None, shown: int = 400) -> dict:
    print(f"   → {method} {url}\n     x-api-key: {client['api_key'][:8]}…  ({client['name']})")
    if body is not None:
        print(f"     {cut(json.dumps(body))}")
    answer = requests.request(method, url, headers={"x-api-key": client["api_key"]}, json=body, timeout=30)
    print(f"   ← {answer.status_code}\n     {cut(answer.text, shown)}", flush=True)
    answer.raise_for_status()
    return answer.json()


def arrived(arrival, keys: list[str]) -> None:
    print(f"   ⇒ {arrival.method} {arrival.path}")
    for name in ("content-type", "x-amz-sns-message-type"):
        print(f"     {name}: {arrival.headers.get(name)}")
    body = arrival.json()
    shown = {key: body[key] for key in keys}
    more = ", …" if len(shown) < len(body) else ""
    print(f"     {cut(json.dumps(shown)[:-1] + more + '}', 400)}", flush=True)


def cut(text: str, length: int = 160) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def play_completion(query: str) -> float:
    """Athena's part: EventBridge takes events of `aws.athena` from nobody but Athena."""
    event = json.loads((ROOT / "events" / "query-completion" / "succeeded.json").read_text())
    event["time"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event["detail"]["queryExecutionId"] = query
    print(f"   ⇒ {event['detail-type']} ({event['source']}, {event['time']})\n     {json.dumps(event['detail'])}", flush=True)
    sent_at = time.time()
    aws("lambda").invoke(FunctionName=FUNCTION, InvocationType="Event", Payload=json.dumps(event))
    return sent_at


def aws(service: str):
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=AWS["AWS_REGION"],
        aws_access_key_id=AWS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=AWS["AWS_SECRET_ACCESS_KEY"],
    )


def what_next(url: str, customer: dict, publisher: dict, callback: str) -> None:
    query = f"my-query-{uuid.uuid4().hex[:8]}"
    print(
        f"""
The stack is still running. Try next, in a shell:

   URL={url}
   CUSTOMER={customer["api_key"]}
   PUBLISHER={publisher["api_key"]}

   # what is registered
   curl -sw '\\n' -H "x-api-key: $CUSTOMER" $URL/v1/subscribe

   # a URL of the internal network is refused
   curl -sw '\\n' -H "x-api-key: $CUSTOMER" $URL/v1/subscribe -d '{{"callbackUrl": "https://10.0.0.1/"}}'

   # another query for the same customer, and how it stands
   curl -sw '\\n' -H "x-api-key: $PUBLISHER" $URL/v1/queries -d '{{"QueryExecutionId": "{query}", "client_id": "{customer["client_id"]}"}}'
   curl -sw '\\n' -H "x-api-key: $CUSTOMER" $URL/v1/queries/{query}

   # no more notifications
   curl -sw '\\n' -H "x-api-key: $CUSTOMER" $URL/v1/unsubscribe -d '{{"callbackUrl": "{callback}"}}'

A receiver that prints what arrives: .venv/bin/python local/receiver.py 8000
Stop the stack: make down"""
    )


if __name__ == "__main__":
    sys.exit(main())
