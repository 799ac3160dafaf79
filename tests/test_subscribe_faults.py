"""AWS throttles, refuses or breaks off while somebody subscribes, confirms or unsubscribes: the caller gets
a 5xx, the log gets the cause, and the state is as it was or as it should be. Then the same call again repairs it.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from conftest import confirmation_token, is_confirmation, is_notification, new_query
from faults import FAULTS, denied, is_internal_error
from runtime_api import Function, api_event


@pytest.fixture
def subscribe(stack, aws):
    with Function(stack, "SubscribeFunction", aws.endpoint) as function:
        yield function


@pytest.fixture
def unsubscribe(stack, aws):
    with Function(stack, "UnsubscribeFunction", aws.endpoint) as function:
        yield function


def statuses(stack, client):
    return [it["status"] for it in stack.subscriptions(client)]


@pytest.mark.parametrize("fault", FAULTS)
def test_subscribing_when_sns_fails_records_nothing(stack, client, receiver, aws, subscribe, fault):
    request = api_event("POST", "/v1/subscribe", client, {"callbackUrl": f"{receiver.url}/callback"})
    aws.set("Subscribe", fault)
    assert is_internal_error(subscribe.invoke(request), subscribe)
    assert statuses(stack, client) == []
    aws.heal()
    assert subscribe.invoke(request).body["status"] == "PENDING_CONFIRMATION"
    assert stack.confirm(client, confirmation_token(receiver)).status_code == 201


@pytest.mark.parametrize("fault", FAULTS)
def test_subscribing_when_dynamodb_fails_can_be_repeated_or_confirmed(stack, client, receiver, aws, subscribe, fault):
    url = f"{receiver.url}/callback"
    body = {"callbackUrl": url, "statuses": ["FAILED"], "format": "envelope"}
    aws.set("UpdateItem", fault)
    assert is_internal_error(subscribe.invoke(api_event("POST", "/v1/subscribe", client, body)), subscribe)
    # SNS has asked for the confirmation already. Whoever sends it back has a
    # subscription with all that was asked for, although nothing was recorded.
    answer = stack.confirm(client, confirmation_token(receiver))
    assert answer.json()["callbackUrl"] == url
    [listed] = stack.subscriptions(client)
    assert (listed["status"], listed["statuses"], listed["format"]) == ("CONFIRMED", ["FAILED"], "envelope")


@pytest.mark.parametrize("fault", ["throttle", "refuse"])
def test_confirming_when_sns_fails_leaves_it_pending(stack, client, receiver, aws, subscribe, fault):
    stack.subscribe(client, f"{receiver.url}/callback")
    token = confirmation_token(receiver)
    request = api_event("POST", "/v1/subscribe", client, {"token": token})
    aws.set("ConfirmSubscription", fault)
    assert is_internal_error(subscribe.invoke(request), subscribe)
    assert statuses(stack, client) == ["PENDING_CONFIRMATION"]
    aws.heal()
    assert subscribe.invoke(request).body["status"] == "CONFIRMED"
    assert token not in subscribe.log()


@pytest.mark.parametrize("operation", ["GetSubscriptionAttributes", "UpdateItem"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_confirmation_cut_off_behind_sns_is_made_good_when_somebody_looks(
    stack, client, publisher, receiver, aws, subscribe, operation, fault
):
    stack.subscribe(client, f"{receiver.url}/callback")
    request = api_event("POST", "/v1/subscribe", client, {"token": confirmation_token(receiver)})
    aws.set(operation, fault)
    assert is_internal_error(subscribe.invoke(request), subscribe)
    aws.heal()
    assert statuses(stack, client) == ["CONFIRMED"]
    query = new_query()
    stack.register(publisher, query, client)
    stack.complete(query)
    assert len(receiver.wait_for(is_notification)) == 1


def test_options_cut_off_while_confirming_are_made_good(stack, client, receiver, aws, subscribe):
    url = f"{receiver.url}/callback"
    stack.subscribe(client, url)
    stack.subscribe(client, url, statuses=["CANCELLED"])
    request = api_event("POST", "/v1/subscribe", client, {"token": confirmation_token(receiver)})
    aws.set("SetSubscriptionAttributes", "throttle")
    assert is_internal_error(subscribe.invoke(request), subscribe)
    aws.heal()
    assert [(it["status"], it["statuses"]) for it in stack.subscriptions(client)] == [("CONFIRMED", ["CANCELLED"])]
    sns = stack.aws("sns")
    topic = stack.outputs["TopicPrefix"] + client.client_id
    [subscription] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])["Attributes"]
    assert json.loads(attributes["FilterPolicy"]) == {"status": ["CANCELLED"]}


def test_unsubscribing_from_what_was_confirmed_unnoticed_ends_it(stack, client, receiver, aws, subscribe):
    url = f"{receiver.url}/callback"
    stack.subscribe(client, url)
    stack.subscribe(client, url, statuses=["CANCELLED"])
    request = api_event("POST", "/v1/subscribe", client, {"token": confirmation_token(receiver)})
    aws.set("SetSubscriptionAttributes", "throttle")
    assert is_internal_error(subscribe.invoke(request), subscribe)
    # The deployed function finds that SNS has it confirmed, with other options than asked for.
    assert stack.unsubscribe(client, url).status_code == 200
    assert statuses(stack, client) == []


@pytest.mark.parametrize("operation", ["Unsubscribe", "DeleteItem"])
@pytest.mark.parametrize("fault", FAULTS)
def test_unsubscribing_can_be_repeated_until_it_is_done(stack, client, receiver, aws, unsubscribe, operation, fault):
    url = stack.confirmed(client, receiver)
    request = api_event("POST", "/v1/unsubscribe", client, {"callbackUrl": url})
    aws.set(operation, fault)
    assert is_internal_error(unsubscribe.invoke(request), unsubscribe)
    aws.heal()
    again = unsubscribe.invoke(request)
    # A delete that was cut off has been carried out.
    assert again.status == (404 if (operation, fault) == ("DeleteItem", "break off") else 200)
    assert statuses(stack, client) == []
    assert unsubscribe.invoke(request).status == 404


@pytest.mark.parametrize("fault", FAULTS)
def test_authentication_that_can_not_be_looked_up_is_no_401(stack, client, aws, subscribe, fault):
    request = api_event("GET", "/v1/subscribe", client)
    aws.set("Query", fault)
    assert is_internal_error(subscribe.invoke(request), subscribe)
    aws.heal()
    assert subscribe.invoke(request).status == 200


def test_a_url_that_sns_refuses_is_the_callers_mistake(stack, client, receiver, aws, subscribe):
    # MiniStack takes every URL; AWS refuses some, such as a host name with an underscore.
    aws.set("Subscribe", "invalid")
    body = {"callbackUrl": f"{receiver.url}/callback"}
    invocation = subscribe.invoke(api_event("POST", "/v1/subscribe", client, body))
    assert (invocation.status, invocation.body["field"]) == (400, "callbackUrl")
    assert aws.calls["Subscribe"] == 1
    assert statuses(stack, client) == []


def test_a_subscription_that_sns_has_with_other_attributes_is_taken_as_it_is(stack, client, receiver, aws, subscribe):
    # MiniStack takes no notice of different attributes; AWS refuses the request that has them.
    url = f"{receiver.url}/callback"
    stack.subscribe(client, url)
    aws.set("Subscribe", "different", times=1)
    body = {"callbackUrl": url, "statuses": ["FAILED"]}
    answer = subscribe.invoke(api_event("POST", "/v1/subscribe", client, body))
    assert answer.body["status"] == "PENDING_CONFIRMATION"
    assert aws.calls["Subscribe"] == 2
    stack.confirm(client, confirmation_token(receiver, count=2))
    sns = stack.aws("sns")
    topic = stack.outputs["TopicPrefix"] + client.client_id
    [subscription] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])["Attributes"]
    assert json.loads(attributes["FilterPolicy"]) == {"status": ["FAILED"]}


def test_sns_is_asked_for_signed_unsubscribing_and_sha_256(stack, client, receiver, aws, subscribe):
    # MiniStack takes no notice of either; on AWS they keep whoever sees an envelope from
    # ending the subscription, and sign envelopes with SHA-256.
    body = {"callbackUrl": f"{receiver.url}/callback"}
    assert subscribe.invoke(api_event("POST", "/v1/subscribe", client, body)).status == 201
    made = parse_qs(aws.last["CreateTopic"].decode())
    assert made["Attributes.entry.1.key"] == ["SignatureVersion"]
    assert made["Attributes.entry.1.value"] == ["2"]
    body = {"token": confirmation_token(receiver)}
    assert subscribe.invoke(api_event("POST", "/v1/subscribe", client, body)).status == 201
    confirmed = parse_qs(aws.last["ConfirmSubscription"].decode())
    assert confirmed["AuthenticateOnUnsubscribe"] == ["true"]


def test_a_client_is_looked_up_once_in_a_while(stack, client, aws, subscribe):
    for _ in range(3):
        assert subscribe.invoke(api_event("POST", "/v1/subscribe", client, {"token": ""})).status == 400
    # Of its key alone.
    assert (aws.calls["GetItem"], aws.calls["Query"]) == (1, 0)


def test_what_sns_has_dropped_is_no_longer_listed(stack, client, receiver):
    # SNS drops what nobody confirms for two days, and what is ended by its UnsubscribeURL.
    confirmed, pending = stack.confirmed(client, receiver, "/confirmed"), f"{receiver.url}/pending"
    stack.subscribe(client, pending)
    receiver.wait_for(is_confirmation, 2)
    sns = stack.aws("sns")
    topic = stack.outputs["TopicPrefix"] + client.client_id
    for subscription in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    three_days_ago(stack, client, pending)
    assert stack.subscriptions(client) == []
    assert stack.unsubscribe(client, confirmed).status_code == 404
    # Registered anew, it is asked for its confirmation again.
    assert stack.subscribe(client, confirmed).json()["status"] == "PENDING_CONFIRMATION"
    receiver.wait_for(lambda it: is_confirmation(it) and it.path == "/confirmed", 2)


def three_days_ago(stack, client, url: str) -> None:
    """Makes a registration one of three days ago."""
    key = {"client_id": {"S": client.client_id}, "callback_id": {"S": hashlib.sha256(url.encode()).hexdigest()}}
    then = datetime.now(UTC) - timedelta(days=3)
    stack.aws("dynamodb").update_item(
        TableName=stack.outputs["CallbacksTable"],
        Key=key,
        UpdateExpression="SET created_at = :then",
        ExpressionAttributeValues={":then": {"S": then.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}},
        ConditionExpression="attribute_exists(client_id)",
    )


def test_the_deployed_functions_say_500_when_iam_refuses(stack, client, receiver):
    with denied(stack, "SubscribeRole", "sns:Subscribe", client):
        answer = stack.subscribe(client, f"{receiver.url}/callback")
    assert answer.status_code == 500
    assert set(answer.json()) == {"message", "request_id"}
    assert statuses(stack, client) == []
    assert stack.subscribe(client, f"{receiver.url}/callback").status_code == 201
    receiver.wait_for(is_confirmation)
