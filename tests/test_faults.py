"""AWS throttles, refuses or breaks off in the middle: the caller gets a 5xx, the log gets the
cause, and the state is as it was or as it should be. Then the same call again makes it good.
"""

import json

import pytest
from conftest import completion, confirmation_token, is_confirmation, is_notification, new_query
from fault_proxy import FaultProxy
from runtime_api import Function, api_event


@pytest.fixture
def aws(stack):
    with FaultProxy(stack.env["AWS_ENDPOINT_URL"]) as proxy:
        yield proxy


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
    """A 500 that tells the caller nothing but a request id, under which the log has the cause."""
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
    wish = api_event("POST", "/v1/subscribe", client, {"callbackUrl": f"{receiver.url}/callback"})
    aws.set("Subscribe", fault)
    assert is_internal_error(subscribe.invoke(wish), subscribe)
    assert statuses(stack, client) == []
    aws.heal()
    assert subscribe.invoke(wish).body["status"] == "PENDING_CONFIRMATION"
    assert stack.confirm(client, confirmation_token(receiver)).status_code == 200


@pytest.mark.parametrize("fault", FAULTS)
def test_subscribing_when_dynamodb_fails_can_be_repeated_or_confirmed(
    stack, client, receiver, aws, subscribe, fault
):
    url = f"{receiver.url}/callback"
    wish = {"callbackUrl": url, "statuses": ["FAILED"], "format": "envelope"}
    aws.set("UpdateItem", fault)
    assert is_internal_error(subscribe.invoke(api_event("POST", "/v1/subscribe", client, wish)), subscribe)
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
    wish = api_event("POST", "/v1/subscribe", client, {"token": token})
    aws.set("ConfirmSubscription", fault)
    assert is_internal_error(subscribe.invoke(wish), subscribe)
    assert statuses(stack, client) == ["PENDING_CONFIRMATION"]
    aws.heal()
    assert subscribe.invoke(wish).body["status"] == "CONFIRMED"
    assert token not in subscribe.log()


@pytest.mark.parametrize("operation", ["GetSubscriptionAttributes", "UpdateItem"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_confirmation_cut_off_behind_sns_is_made_good_when_somebody_looks(
    stack, client, publisher, receiver, aws, subscribe, operation, fault
):
    stack.subscribe(client, f"{receiver.url}/callback")
    wish = api_event("POST", "/v1/subscribe", client, {"token": confirmation_token(receiver)})
    aws.set(operation, fault)
    assert is_internal_error(subscribe.invoke(wish), subscribe)
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
    wish = api_event("POST", "/v1/subscribe", client, {"token": confirmation_token(receiver)})
    aws.set("SetSubscriptionAttributes", "throttle")
    assert is_internal_error(subscribe.invoke(wish), subscribe)
    aws.heal()
    assert [(it["status"], it["statuses"]) for it in stack.subscriptions(client)] == [("CONFIRMED", ["CANCELLED"])]
    sns = stack.aws("sns")
    topic = stack.outputs["TopicPrefix"] + client.client_id
    [subscription] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])["Attributes"]
    assert json.loads(attributes["FilterPolicy"]) == {"status": ["CANCELLED"]}


@pytest.mark.parametrize("operation", ["Unsubscribe", "DeleteItem"])
@pytest.mark.parametrize("fault", FAULTS)
def test_unsubscribing_can_be_repeated_until_it_is_done(
    stack, client, receiver, aws, unsubscribe, operation, fault
):
    url = stack.confirmed(client, receiver)
    wish = api_event("POST", "/v1/unsubscribe", client, {"callbackUrl": url})
    aws.set(operation, fault)
    assert is_internal_error(unsubscribe.invoke(wish), unsubscribe)
    aws.heal()
    again = unsubscribe.invoke(wish)
    # A delete that was cut off has been carried out.
    assert again.status == (404 if (operation, fault) == ("DeleteItem", "break off") else 200)
    assert statuses(stack, client) == []
    assert unsubscribe.invoke(wish).status == 404


@pytest.mark.parametrize("fault", FAULTS)
def test_authentication_that_can_not_be_looked_up_is_no_401(stack, client, aws, subscribe, fault):
    wish = api_event("GET", "/v1/subscribe", client)
    aws.set("Query", fault)
    assert is_internal_error(subscribe.invoke(wish), subscribe)
    aws.heal()
    assert subscribe.invoke(wish).status == 200


@pytest.mark.parametrize("fault", FAULTS)
def test_registering_a_query_when_dynamodb_fails(stack, client, publisher, receiver, aws, queries, fault):
    stack.confirmed(client, receiver)
    query = new_query()
    body = {"QueryExecutionId": query, "client_id": client.client_id}
    wish = api_event("POST", "/v1/queries", publisher, body)
    aws.set("UpdateItem", fault)
    assert is_internal_error(queries.invoke(wish), queries)
    aws.heal()
    assert queries.invoke(wish).status == 200
    stack.complete(query)
    assert len(receiver.wait_for(is_notification)) == 1


@pytest.mark.parametrize("fault", ["throttle", "refuse"])
def test_a_late_owner_whose_notification_fails_is_told_on_repetition(
    stack, client, publisher, receiver, aws, queries, fault
):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.complete(query)
    wish = api_event("POST", "/v1/queries", publisher, {"QueryExecutionId": query, "client_id": client.client_id})
    aws.set("Publish", fault)
    assert is_internal_error(queries.invoke(wish), queries)
    assert receiver.matching(is_notification) == []
    aws.heal()
    assert queries.invoke(wish).status == 200
    [notification] = receiver.wait_for(is_notification)
    assert notification.json()["QueryExecutionId"] == query
    assert queries.invoke(wish).status == 200
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


def test_a_publisher_that_dies_behind_sns_tells_nobody_twice_while_its_turn_lasts(
    stack, client, publisher, receiver, aws, query_completion
):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    event = completion(query, "SUCCEEDED")
    # The mark can't be set, and the turn not be given back: as if the process were gone.
    aws.set("Publish", "break off", times=1)
    assert not query_completion.invoke(event).failed
    # The SDK repeated the publication: at least once is what SNS gives.
    assert aws.calls["Publish"] == 2
    assert stack.play(event) is None
    assert len(receiver.wait_for(is_notification, 2)) == 2


def test_a_mark_that_can_not_be_set_is_no_second_notification(
    stack, client, publisher, receiver, aws, query_completion
):
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    event = completion(query, "SUCCEEDED")
    # The first update is the fact, the second the mark.
    assert not query_completion.invoke(completion(new_query(), "SUCCEEDED")).failed
    first = FaultAfter(aws, "UpdateItem", 1)
    with first:
        assert query_completion.invoke(event).failed
    error = stack.play(event)
    assert error is not None and "has the turn" in error
    assert len(receiver.wait_for(is_notification)) == 1


class FaultAfter:
    """Lets so many calls of an operation through, and throttles the rest."""

    def __init__(self, aws: FaultProxy, operation: str, good: int):
        self.aws, self.operation, self.good = aws, operation, good

    def __enter__(self):
        original = self.aws._fault
        self.original = original
        left = [self.good]

        def fault(operation: str):
            known = original(operation)
            if operation != self.operation:
                return known
            left[0] -= 1
            return None if left[0] >= 0 else "throttle"

        self.aws._fault = fault

    def __exit__(self, *_):
        self.aws._fault = self.original


def test_the_deployed_functions_say_500_when_iam_refuses(stack, client, receiver):
    iam = stack.aws("iam")
    cloudformation = stack.aws("cloudformation")
    resource = cloudformation.describe_stack_resource(StackName=stack.name, LogicalResourceId="SubscribeRole")
    role = resource["StackResourceDetail"]["PhysicalResourceId"]
    deny = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "sns:Subscribe", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName=role, PolicyName="test-deny", PolicyDocument=json.dumps(deny))
    try:
        answer = stack.subscribe(client, f"{receiver.url}/callback")
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="test-deny")
    assert answer.status_code == 500
    assert set(answer.json()) == {"message", "request_id"}
    assert statuses(stack, client) == []
    assert stack.subscribe(client, f"{receiver.url}/callback").status_code == 200
    receiver.wait_for(is_confirmation)
