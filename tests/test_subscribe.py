"""`/v1/subscribe`: register, confirm, list."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import requests
from conftest import at_once, confirmation_token, is_confirmation, is_notification, new_query

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def sns_attributes(stack, client) -> list[dict]:
    sns = stack.aws("sns")
    topic = stack.outputs["TopicPrefix"] + client.client_id
    found = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return [sns.get_subscription_attributes(SubscriptionArn=it["SubscriptionArn"])["Attributes"] for it in found]


def test_a_url_is_registered_and_asked_for_its_confirmation(stack, client, receiver):
    url = f"{receiver.url}/callback"
    answer = stack.subscribe(client, url)
    assert answer.status_code == 201
    assert answer.headers["location"].endswith("/v1/subscribe")
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.pop("message")
    assert body == {"callbackUrl": url, "status": "PENDING_CONFIRMATION"}

    [confirmation] = receiver.wait_for(is_confirmation)
    assert confirmation.path == "/callback"
    assert confirmation.headers["content-type"] == "text/plain; charset=UTF-8"
    message = confirmation.json()
    assert message["Type"] == "SubscriptionConfirmation"
    assert message["TopicArn"] == stack.outputs["TopicPrefix"] + client.client_id
    assert {"Token", "SubscribeURL", "MessageId", "Timestamp", "Signature"} <= set(message)

    [listed] = stack.subscriptions(client)
    assert TIMESTAMP.fullmatch(listed.pop("created_at"))
    assert listed == {
        "callbackUrl": url,
        "status": "PENDING_CONFIRMATION",
        "statuses": ["SUCCEEDED"],
        "format": "raw",
        "confirmed_at": None,
    }


def test_the_token_confirms_it(stack, client, receiver):
    url = f"{receiver.url}/callback"
    stack.subscribe(client, url)
    answer = stack.confirm(client, confirmation_token(receiver))
    assert answer.status_code == 201
    assert answer.headers["location"].endswith("/v1/subscribe")
    body = answer.json()
    assert body.pop("message")
    assert body == {"callbackUrl": url, "status": "CONFIRMED"}
    [listed] = stack.subscriptions(client)
    assert listed["status"] == "CONFIRMED"
    assert TIMESTAMP.fullmatch(listed["confirmed_at"])
    assert listed["created_at"] < listed["confirmed_at"]


def test_the_same_token_again_gets_the_same_answer(stack, client, receiver):
    stack.subscribe(client, f"{receiver.url}/callback")
    token = confirmation_token(receiver)
    first, again = stack.confirm(client, token), stack.confirm(client, token)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert stack.subscriptions(client)[0]["confirmed_at"] is not None


def test_asking_again_while_pending_sends_the_confirmation_again(stack, client, receiver):
    # MiniStack sends nothing on a repeated Subscribe; local/aws.py makes it do what AWS does.
    url = f"{receiver.url}/callback"
    for count in (1, 2, 3):
        answer = stack.subscribe(client, url)
        assert answer.json()["status"] == "PENDING_CONFIRMATION"
        token = confirmation_token(receiver, count=count)
    assert len(stack.subscriptions(client)) == 1
    assert stack.confirm(client, token).json()["status"] == "CONFIRMED"


def test_asking_again_when_confirmed_sends_nothing(stack, client, publisher, receiver):
    url = stack.confirmed(client, receiver)
    answer = stack.subscribe(client, url)
    assert answer.status_code == 201
    assert answer.json()["status"] == "CONFIRMED"
    # Something later arrives, and there is nothing in between.
    query = new_query()
    stack.register(publisher, query, client)
    stack.complete(query)
    receiver.wait_for(is_notification)
    assert [it.message_type for it in receiver.arrivals] == ["SubscriptionConfirmation", "Notification"]


def test_spellings_of_a_url_are_one_subscription(stack, client, receiver):
    url = f"{receiver.url}/callback"
    stack.subscribe(client, url)
    stack.subscribe(client, url.replace("http://", "HTTP://").replace("127.0.0.1", "127.1"))
    assert [it["callbackUrl"] for it in stack.subscriptions(client)] == [url]


def test_many_subscribe_at_once_and_it_is_one_subscription(stack, client, receiver):
    url = f"{receiver.url}/callback"
    answers = at_once(*[lambda: stack.subscribe(client, url)] * 8)
    assert {(it.status_code, it.json()["status"]) for it in answers} == {(201, "PENDING_CONFIRMATION")}
    assert len(stack.subscriptions(client)) == 1
    assert stack.confirm(client, confirmation_token(receiver)).json()["status"] == "CONFIRMED"


def test_many_confirm_at_once(stack, client, receiver):
    stack.subscribe(client, f"{receiver.url}/callback")
    token = confirmation_token(receiver)
    answers = at_once(*[lambda: stack.confirm(client, token)] * 8)
    # MiniStack forgets a token as soon as it is used.
    assert {(it.status_code, it.json().get("status")) for it in answers} == {(201, "CONFIRMED")}
    assert [it["status"] for it in stack.subscriptions(client)] == ["CONFIRMED"]


def test_subscribing_while_confirming_ends_confirmed(stack, client, receiver):
    url = f"{receiver.url}/callback"
    stack.subscribe(client, url)
    token = confirmation_token(receiver)
    confirmed, *_ = at_once(lambda: stack.confirm(client, token), *[lambda: stack.subscribe(client, url)] * 4)
    assert confirmed.status_code == 201
    assert [it["status"] for it in stack.subscriptions(client)] == ["CONFIRMED"]


def test_another_clients_token_is_refused_and_changes_nothing(stack, client, other_client, receiver):
    stack.subscribe(client, f"{receiver.url}/callback")
    stack.subscribe(other_client, f"{receiver.url}/other")
    token = confirmation_token(receiver)
    refused = stack.confirm(other_client, token)
    assert refused.status_code == 400
    assert refused.json()["field"] == "token"
    for it in (client, other_client):
        assert [listed["status"] for listed in stack.subscriptions(it)] == ["PENDING_CONFIRMATION"]
    assert stack.confirm(client, token).status_code == 201
    # Used, it is as foreign as before.
    assert stack.confirm(other_client, token).status_code == 400


def test_a_token_is_void_once_its_subscription_has_ended(stack, client, receiver):
    stack.subscribe(client, f"{receiver.url}/callback")
    token = confirmation_token(receiver)
    stack.confirm(client, token)
    stack.unsubscribe(client, f"{receiver.url}/callback")
    assert stack.confirm(client, token).status_code == 400
    assert stack.subscriptions(client) == []


def test_opening_the_subscribe_url_confirms_too(stack, client, receiver):
    stack.subscribe(client, f"{receiver.url}/callback")
    [confirmation] = receiver.wait_for(is_confirmation)
    assert requests.get(confirmation.json()["SubscribeURL"], timeout=10).status_code == 200
    [listed] = stack.subscriptions(client)
    assert listed["status"] == "CONFIRMED"
    assert TIMESTAMP.fullmatch(listed["confirmed_at"])


def test_a_confirmation_counts_whichever_arn_is_on_record(stack, client, receiver):
    # A repeated Subscribe of what is pending may give another ARN: SNS's documentation doesn't say.
    url = f"{receiver.url}/callback"
    stack.subscribe(client, url)
    [confirmation] = receiver.wait_for(is_confirmation)
    dynamodb, table = stack.aws("dynamodb"), stack.outputs["CallbacksTable"]
    [item] = dynamodb.query(
        TableName=table,
        KeyConditionExpression="client_id = :client",
        ExpressionAttributeValues={":client": {"S": client.client_id}},
    )["Items"]
    another = f"{confirmation.json()['TopicArn']}:{uuid4()}"
    dynamodb.put_item(TableName=table, Item=item | {"subscription_arn": {"S": another}})
    assert requests.get(confirmation.json()["SubscribeURL"], timeout=10).status_code == 200
    [listed] = stack.subscriptions(client)
    assert listed["status"] == "CONFIRMED"
    assert stack.unsubscribe(client, url).status_code == 200
    assert sns_attributes(stack, client) == []


def test_sns_gets_the_attributes_of_the_protocol(stack, client, receiver):
    stack.subscribe(client, f"{receiver.url}/callback")
    [attributes] = sns_attributes(stack, client)
    assert attributes["Protocol"] == "http"
    assert attributes["RawMessageDelivery"] == "true"
    assert json.loads(attributes["FilterPolicy"]) == {"status": ["SUCCEEDED"]}
    queue = stack.outputs["UndeliveredQueueUrl"].rsplit("/", 1)[1]
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].endswith(f":{queue}")
    policy = json.loads(attributes["DeliveryPolicy"])
    # SNS refuses names that it doesn't know, and a schedule of more than an hour; MiniStack
    # takes anything. https://docs.aws.amazon.com/sns/latest/dg/creating-delivery-policy.html
    assert set(policy) == {"healthyRetryPolicy"}
    retries = policy["healthyRetryPolicy"]
    assert retries.pop("backoffFunction") == "exponential"
    no_delay, max_delay = retries["numNoDelayRetries"], retries["numMaxDelayRetries"]
    assert set(retries) == {
        "numRetries",
        "numNoDelayRetries",
        "numMaxDelayRetries",
        "minDelayTarget",
        "maxDelayTarget",
    }
    steps = retries["numRetries"] - no_delay - max_delay
    ratio = (retries["maxDelayTarget"] / retries["minDelayTarget"]) ** (1 / (steps - 1))
    growing = sum(retries["minDelayTarget"] * ratio**n for n in range(steps))
    assert 3000 < growing + max_delay * retries["maxDelayTarget"] < 3600


def test_options_are_kept_and_carried_out(stack, client, receiver):
    url = f"{receiver.url}/callback"
    stack.confirmed(client, receiver, statuses=["CANCELLED", "FAILED", "FAILED"], format="envelope")
    [listed] = stack.subscriptions(client)
    assert (listed["statuses"], listed["format"]) == (["FAILED", "CANCELLED"], "envelope")
    [attributes] = sns_attributes(stack, client)
    assert json.loads(attributes["FilterPolicy"]) == {"status": ["FAILED", "CANCELLED"]}
    assert attributes["RawMessageDelivery"] == "false"

    # What isn't said stays; what is said changes, and nothing is sent to the URL.
    assert stack.subscribe(client, url).json()["status"] == "CONFIRMED"
    assert stack.subscriptions(client)[0]["statuses"] == ["FAILED", "CANCELLED"]
    assert stack.subscribe(client, url, statuses=["SUCCEEDED"]).json()["status"] == "CONFIRMED"
    [listed] = stack.subscriptions(client)
    assert (listed["statuses"], listed["format"]) == (["SUCCEEDED"], "envelope")
    [attributes] = sns_attributes(stack, client)
    assert json.loads(attributes["FilterPolicy"]) == {"status": ["SUCCEEDED"]}
    assert len(receiver.arrivals) == 1


def test_options_that_change_while_pending_count_once_confirmed(stack, client, receiver):
    url = f"{receiver.url}/callback"
    stack.subscribe(client, url)
    stack.subscribe(client, url, statuses=["FAILED"], format="envelope")
    stack.confirm(client, confirmation_token(receiver))
    [attributes] = sns_attributes(stack, client)
    assert json.loads(attributes["FilterPolicy"]) == {"status": ["FAILED"]}
    assert attributes["RawMessageDelivery"] == "false"


def test_clients_see_only_their_own(stack, client, other_client, receiver):
    stack.subscribe(client, f"{receiver.url}/a")
    stack.subscribe(client, f"{receiver.url}/b")
    stack.subscribe(other_client, f"{receiver.url}/c")
    paths = [it["callbackUrl"].rsplit("/", 1)[1] for it in stack.subscriptions(client)]
    assert paths == ["a", "b"]


def test_a_client_has_at_most_a_hundred_urls(stack, client, receiver):
    def register(n):
        return stack.subscribe(client, f"{receiver.url}/{n}").status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(register, range(99))) == {201}
    assert register(99) == 201
    refused = stack.subscribe(client, f"{receiver.url}/100")
    assert refused.status_code == 409
    assert "100" in refused.json()["message"]
    # One that is registered already is not counted again.
    assert register(5) == 201
    assert len(stack.subscriptions(client)) == 100
