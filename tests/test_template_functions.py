"""The template's functions: what they may do, what starts them, and how many run at once."""

import json

import pytest
from conftest import role_credentials
from template import read as read_template
from template import resources

# Actions for which IAM has no resource that a policy could name.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
WITHOUT_RESOURCE = {
    "sns:GetSubscriptionAttributes",
    "sns:SetSubscriptionAttributes",
    "sns:Unsubscribe",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "lakeformation:GetDataAccess",
}

FUNCTIONS = [
    "Subscribe",
    "Unsubscribe",
    "Queries",
    "QueryCompletion",
    "Topics",
    "Publish",
    "Commit",
    "Fanout",
    "Deliver",
    "WebhookSubscriptions",
    "EntitySubscriptions",
    "EntityEvents",
    "Results",
    "Render",
]


def physical(stack, logical_id: str) -> str:
    answer = stack.aws("cloudformation").describe_stack_resource(StackName=stack.name, LogicalResourceId=logical_id)
    return answer["StackResourceDetail"]["PhysicalResourceId"]


@pytest.mark.parametrize("role", [f"{function}Role" for function in FUNCTIONS])
def test_roles_name_what_they_may_touch(stack, role):
    iam = stack.aws("iam")
    name = physical(stack, role)
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    [policy] = iam.list_role_policies(RoleName=name)["PolicyNames"]
    document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    for statement in document["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert all("*" not in action for action in actions)
        if statement["Resource"] == "*":
            assert set(actions) <= WITHOUT_RESOURCE


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_logs_into_a_group_that_forgets(function):
    group = resources()[f"{function}Logs"]["Properties"]
    assert group["RetentionInDays"] == "LogRetentionDays"
    assert resources()[f"{function}Function"]["Properties"]["LoggingConfig"]["LogGroup"] == f"{function}Logs"


def test_functions_run_on_arm64_unless_told_otherwise():
    template = read_template()
    assert template["Parameters"]["Architecture"]["Default"] == "arm64"
    function = template["Globals"]["Function"]
    assert (function["Architectures"], function["Tracing"]) == (["Architecture"], "Active")
    assert function["Runtime"] == "provided.al2023"


def test_athenas_events_reach_the_function(stack):
    events = stack.aws("events")
    rule = physical(stack, "QueryCompletionFunctionAthena")
    pattern = json.loads(events.describe_rule(Name=rule)["EventPattern"])
    assert pattern == {"source": ["aws.athena"], "detail-type": ["Athena Query State Change"]}
    [target] = events.list_targets_by_rule(Rule=rule)["Targets"]
    assert target["Arn"].endswith(f":{stack.outputs['QueryCompletionFunction']}")
    assert target["DeadLetterConfig"]["Arn"]


def test_events_of_entities_are_passed_on_and_nothing_else(stack):
    events = stack.aws("events")
    for rule, bus in {"EntityEvents": stack.outputs["EventBusName"], "EntityEventsOfDefaultBus": "default"}.items():
        name = physical(stack, rule).split("|")[-1]
        described = events.describe_rule(Name=name, EventBusName=bus)
        pattern = {"source": ["bellwire.entities"], "detail-type": ["Entity Event"]}
        assert json.loads(described["EventPattern"]) == pattern
        [target] = events.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]
        assert target["DeadLetterConfig"]["Arn"]
    # Read from the template: who may put something into the queues. Only these two rules.
    statements = resources()["EntityEventsQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    [statement] = [it for it in statements if it["Effect"] == "Allow"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert len(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == 2


def test_functions_that_send_themselves_messages_may():
    # https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
    allowed = [name for name in FUNCTIONS if resources()[f"{name}Function"]["Properties"].get("RecursiveLoop")]
    assert allowed == ["Fanout", "Deliver"]
    assert {resources()[f"{name}Function"]["Properties"]["RecursiveLoop"] for name in allowed} == {"Allow"}


def sources() -> dict[str, dict]:
    """The event sources of functions that are queues, by the queue."""
    found = {}
    for name in FUNCTIONS:
        for event in resources()[f"{name}Function"]["Properties"].get("Events", {}).values():
            if event["Type"] == "SQS":
                found[event["Properties"]["Queue"].removesuffix(".Arn")] = event["Properties"]
    return found


def test_no_queue_takes_the_whole_account_s_concurrency():
    assert set(sources()) == {"PublicationsQueue", "FanOutsQueue", "DeliveriesQueue", "RetriesQueue", "RenderingsQueue"}
    for queue, source in sources().items():
        assert source["ScalingConfig"]["MaximumConcurrency"], queue


@pytest.mark.parametrize(
    ("function", "parameter"), [("Queries", "QueriesConcurrency"), ("Results", "ResultsConcurrency")]
)
def test_concurrency_is_reserved_for_functions_that_wait_if_the_stack_says_so(function, parameter):
    _, reserved, otherwise = resources()[f"{function}Function"]["Properties"]["ReservedConcurrentExecutions"]
    assert (reserved, otherwise) == (parameter, "AWS::NoValue")
    assert read_template()["Parameters"][parameter]["Default"] == 0


def test_the_scheduler_is_the_only_one_to_get_the_role_of_retries():
    [policy] = resources()["DeliverRole"]["Properties"]["Policies"]
    [passing] = [it for it in policy["PolicyDocument"]["Statement"] if "iam:PassRole" in str(it)]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


def test_only_urls_can_be_subscribed(stack, client):
    credentials = role_credentials(stack, "SubscribeRole")
    sns = stack.aws("sns", credentials)
    topic = sns.create_topic(Name=f"{stack.name}-{client.client_id}")["TopicArn"]
    queue = stack.outputs["DeliveriesQueueUrl"].rsplit("/", 1)[1]
    with pytest.raises(sns.exceptions.AuthorizationErrorException):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:000000000000:{queue}")
    assert sns.subscribe(TopicArn=topic, Protocol="https", Endpoint="https://example.com/")["SubscriptionArn"]
