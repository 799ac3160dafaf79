"""AWS throttles, refuses or breaks off in the middle: the caller gets a 5xx, the log gets the
cause, and the state is as it was or as it should be. Then the same call again repairs it.
"""

import hashlib
import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from conftest import completion, confirmation_token, dead_letter, is_confirmation, is_notification, new_query
from runtime_api import Function, api_event


@pytest.fixture
def subscribe(stack, aws):
    with Function(stack, "SubscribeFunction", aws.endpoint) as function:
        yield function


@pytest.fixture
def unsubscribe(stack, aws):
    with Function(stack, "UnsubscribeFunction", aws.endpoint) as function:
        yield function


@pytest.fixture
def queries(stack, aws):
    with Function(stack, "QueriesFunction", aws.endpoint) as function:
        yield function


@pytest.fixture
def query_completion(stack, aws):
    with Function(stack, "QueryCompletionFunction", aws.endpoint) as function:
        yield function


def is_internal_error(invocation, function) -> bool:
    """A 500 that gives the caller nothing but a request id, under which the log has the cause."""
    assert invocation.status == 500, invocation.payload
    assert set(invocation.body) == {"message", "request_id"}
    assert "DynamoDB" not in invocation.payload["body"] and "SNS" not in invocation.payload["body"]
    errors = [line for line in function.log_lines() if line["level"] == "ERROR"]
    last = errors[-1]
    assert last["cause"].startswith(("DynamoDB:", "SNS:"))
    assert any(span.get("requestId") == invocation.body["request_id"] for span in last["spans"])
    return True


def statuses(stack, client):
    return [it["status"] for it in stack.subscriptions(client)]


FAULTS = ["throttle", "refuse", "break off"]


@pytest.mark.parametrize("fault", FAULTS)
def test_subscribing_when_sns_fails_records_nothing(stack, client, receiver, aws, subscribe, fault):
    request = api_event("POST", "/v1/subscribe", client, {"callbackUrl": f"{receiver.url}/callback"})
    aws.set("Subscribe", fault)
    assert is_internal_error(subscribe.invoke(request), subscribe)
    assert statuses(stack, client) == []
    aws.heal()
    assert subscribe.invoke(request).body["status"] == "PENDING_CONFIRMATION"
    assert stack.confirm(client, confirmation_token(receiver)).status_code == 200


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


@pytest.mark.parametrize("fault", FAULTS)
def test_registering_a_query_when_dynamodb_fails(stack, client, publisher, receiver, aws, queries, fault):
    stack.confirmed(client, receiver)
    query = new_query()
    body = {"QueryExecutionId": query, "client_id": client.client_id}
    request = api_event("POST", "/v1/queries", publisher, body)
    aws.set("UpdateItem", fault)
    assert is_internal_error(queries.invoke(request), queries)
    aws.heal()
    assert queries.invoke(request).status == 200
    stack.complete(query)
    assert len(receiver.wait_for(is_notification)) == 1


@pytest.mark.parametrize("fault", ["throttle", "refuse"])
def test_a_late_owner_whose_notification_fails_is_notified_on_repetition(
    stack, client, publisher, receiver, aws, queries, fault
):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.complete(query)
    request = api_event("POST", "/v1/queries", publisher, {"QueryExecutionId": query, "client_id": client.client_id})
    aws.set("Publish", fault)
    assert is_internal_error(queries.invoke(request), queries)
    assert receiver.matching(is_notification) == []
    aws.heal()
    assert queries.invoke(request).status == 200
    [notification] = receiver.wait_for(is_notification)
    assert notification.json()["QueryExecutionId"] == query
    assert queries.invoke(request).status == 200
    assert len(receiver.matching(is_notification)) == 1


@pytest.mark.parametrize("operation", ["UpdateItem", "Publish"])
@pytest.mark.parametrize("fault", ["throttle", "refuse"])
def test_a_completion_that_fails_is_an_error_of_the_function_and_made_good_by_its_repetition(
    stack, client, publisher, receiver, aws, query_completion, operation, fault
):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    event = completion(query, "SUCCEEDED")
    aws.set(operation, fault)
    assert query_completion.invoke(event).failed
    assert any(line["level"] == "ERROR" for line in query_completion.log_lines())
    assert receiver.matching(is_notification) == []
    aws.heal()
    for _ in range(3):
        assert not query_completion.invoke(event).failed
    assert len(receiver.wait_for(is_notification)) == 1


def test_short_throttling_is_not_noticed(stack, client, publisher, receiver, aws, query_completion):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    for operation in ("UpdateItem", "Publish"):
        aws.set(operation, "throttle", times=1)
    assert not query_completion.invoke(completion(query, "SUCCEEDED")).failed
    assert len(receiver.wait_for(is_notification)) == 1
    assert aws.calls["Publish"] == 2


def test_a_publication_whose_answer_is_lost_is_sent_again(stack, client, publisher, receiver, aws, query_completion):
    # The one case in which an owner is notified twice: SNS accepted, and the answer was lost.
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    aws.set("Publish", "break off", times=1)
    assert not query_completion.invoke(completion(query, "SUCCEEDED")).failed
    assert aws.calls["Publish"] == 2
    assert len(receiver.wait_for(is_notification, 2)) == 2


def test_a_function_that_dies_while_it_publishes_keeps_its_lease(
    stack, client, publisher, receiver, aws, query_completion
):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    event = completion(query, "SUCCEEDED")
    # The first update is the fact; on the second, the mark, the function hangs, and is killed.
    aws.set("UpdateItem", "hang", after=1)
    query_completion.send(event)
    receiver.wait_for(is_notification)
    query_completion.kill()
    # While the lease lasts, nobody publishes in the place of the function that died.
    error = stack.play(event)
    assert error is not None and "holds the lease" in error
    assert len(receiver.matching(is_notification)) == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mark_that_can_not_be_set_is_no_second_notification(
    stack, client, publisher, receiver, aws, query_completion, fault
):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    aws.set("UpdateItem", fault, after=1)
    # To fail would be to have it published again by Lambda's repetition.
    assert not query_completion.invoke(completion(query, "SUCCEEDED")).failed
    [error] = [line for line in query_completion.log_lines() if line["level"] == "ERROR"]
    assert "could not be marked" in error["message"] and error["query"] == query
    assert len(receiver.wait_for(is_notification)) == 1


def test_a_publication_that_is_refused_ends_in_the_dead_letter_queue(stack, client, publisher, receiver):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    event = completion(query, "SUCCEEDED")
    with denied(stack, "QueryCompletionRole", "sns:Publish", client):
        stack.play(event, "Event")
        dead = dead_letter(stack, event["id"])
    assert "SNS" in dead["responsePayload"]["errorMessage"]
    # When it is played again, the owner is notified.
    assert stack.play(dead["requestPayload"]) is None
    assert len(receiver.wait_for(is_notification)) == 1


@contextmanager
def denied(stack, role: str, action: str, client):
    """Takes a permission on a client's topic from a role of the deployed stack."""
    iam = stack.aws("iam")
    resource = stack.aws("cloudformation").describe_stack_resource(StackName=stack.name, LogicalResourceId=role)
    name = resource["StackResourceDetail"]["PhysicalResourceId"]
    statement = {"Effect": "Deny", "Action": action, "Resource": stack.outputs["TopicPrefix"] + client.client_id}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName=f"test-{client.client_id}", PolicyDocument=policy)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName=f"test-{client.client_id}")


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


@pytest.mark.parametrize("fault", ["throttle", "refuse"])
def test_a_topic_that_can_not_be_written_is_not_there_and_its_name_is_free(stack, publisher, aws, fault):
    body = {
        "name": f"test-{new_query()}",
        "publisher": {"type": "http-post", "payload": {"type": "event"}},
    }
    with Function(stack, "TopicsFunction", aws.endpoint) as topics:
        aws.set("TransactWriteItems", fault)
        assert is_internal_error(topics.invoke(api_event("POST", "/topics", publisher, body)), topics)
        aws.heal()
        listed = stack.call("GET", "/topics", publisher, params={"search": f"name:{body['name']}"})
        assert listed.json()["items"] == []
        made = topics.invoke(api_event("POST", "/topics", publisher, body))
    assert made.status == 201
    stack.topics.append(made.body["id"])


def test_sns_is_asked_for_signed_unsubscribing_and_sha_256(stack, client, receiver, aws, subscribe):
    # MiniStack takes no notice of either; on AWS they keep whoever sees an envelope from
    # ending the subscription, and sign envelopes with SHA-256.
    body = {"callbackUrl": f"{receiver.url}/callback"}
    assert subscribe.invoke(api_event("POST", "/v1/subscribe", client, body)).status == 200
    made = parse_qs(aws.last["CreateTopic"].decode())
    assert made["Attributes.entry.1.key"] == ["SignatureVersion"]
    assert made["Attributes.entry.1.value"] == ["2"]
    body = {"token": confirmation_token(receiver)}
    assert subscribe.invoke(api_event("POST", "/v1/subscribe", client, body)).status == 200
    confirmed = parse_qs(aws.last["ConfirmSubscription"].decode())
    assert confirmed["AuthenticateOnUnsubscribe"] == ["true"]


def test_a_client_is_looked_up_once_in_a_while(stack, client, aws, subscribe):
    for _ in range(3):
        assert subscribe.invoke(api_event("POST", "/v1/subscribe", client, {"token": ""})).status == 400
    assert aws.calls["Query"] == 1


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
    assert stack.subscribe(client, f"{receiver.url}/callback").status_code == 200
    receiver.wait_for(is_confirmation)
