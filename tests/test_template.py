"""What the deployed template promises to whoever runs it."""

import json

import pytest
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
DEAD_LETTERS = [
    "UndeliveredQueueUrl",
    "FailedCompletionsQueueUrl",
    "DeadPublicationsQueueUrl",
    "DeadFanOutsQueueUrl",
    "DeadDeliveriesQueueUrl",
    "DeadRenderingsQueueUrl",
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


def tables() -> dict[str, dict]:
    found = resources().items()
    return {name: it["Properties"] for name, it in found if it["Type"] == "AWS::DynamoDB::Table"}


# What can be lost: a few days' history, and marks without which events are sent once more.
UNRECOVERABLE = {"ExchangesTable", "DeliveriesTable"}


@pytest.mark.parametrize("table", tables())
def test_tables_are_on_demand_encrypted_and_recoverable(table):
    # Read from the template: MiniStack's CloudFormation leaves encryption, recovery and
    # time to live out of the table that it makes; AWS's doesn't.
    properties = tables()[table]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    recovery = properties.get("PointInTimeRecoverySpecification")
    assert recovery == (None if table in UNRECOVERABLE else {"PointInTimeRecoveryEnabled": True})


@pytest.mark.parametrize(
    "table", ["QueriesTable", "TopicsTable", "SubscriptionsTable", "EventsTable", "ExchangesTable", "DeliveriesTable"]
)
def test_what_expires_has_a_time_to_live(table):
    expected = {"AttributeName": "expires_at", "Enabled": True}
    assert resources()[table]["Properties"]["TimeToLiveSpecification"] == expected


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_logs_into_a_group_that_forgets(function):
    group = resources()[f"{function}Logs"]["Properties"]
    assert group["RetentionInDays"] == "LogRetentionDays"
    assert resources()[f"{function}Function"]["Properties"]["LoggingConfig"]["LogGroup"] == f"{function}Logs"


def test_the_api_is_throttled_logged_and_traced():
    api = resources()["Api"]["Properties"]
    [settings] = api["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"] == "RequestsPerSecond"
    assert settings["ThrottlingBurstLimit"] == "RequestBurst"
    assert api["AccessLogSetting"]["DestinationArn"] == "AccessLogs.Arn"
    assert api["TracingEnabled"] is True
    # API Gateway takes a log setting only once its role is set.
    assert "ApiGatewayAccount" in str(api["Variables"])


def test_functions_run_on_arm64_unless_told_otherwise():
    template = read_template()
    assert template["Parameters"]["Architecture"]["Default"] == "arm64"
    function = template["Globals"]["Function"]
    assert (function["Architectures"], function["Tracing"]) == (["Architecture"], "Active")
    assert function["Runtime"] == "provided.al2023"


def test_events_that_lambda_gives_up_on_go_to_the_dead_letter_queue():
    config = resources()["QueryCompletionFunction"]["Properties"]["EventInvokeConfig"]
    assert config["MaximumRetryAttempts"] == 2
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == "FailedCompletionsQueue.Arn"


@pytest.mark.parametrize("output", DEAD_LETTERS)
def test_dead_letters_are_kept_for_two_weeks_and_raise_an_alarm(stack, output):
    url = stack.outputs[output]
    attributes = stack.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["MessageRetentionPeriod"] == "1209600"
    assert attributes["SqsManagedSseEnabled"] == "true"
    alarms = stack.aws("cloudwatch").describe_alarms()["MetricAlarms"]
    watched = {d["Value"] for alarm in alarms for d in alarm["Dimensions"] if d["Name"] == "QueueName"}
    assert url.rsplit("/", 1)[1] in watched


def test_undelivered_notifications_may_be_put_into_their_queue_by_sns(stack):
    url = stack.outputs["UndeliveredQueueUrl"]
    attributes = stack.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]
    [statement] = json.loads(attributes["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
    # MiniStack never carries out a subscription's redrive policy, so nothing arrives there
    # locally. AWS puts a notification there after the last retry.
    assert statement["Condition"]["ArnLike"]["aws:SourceArn"] == stack.outputs["TopicPrefix"] + "cl_*"


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
    [statement] = resources()["EntityEventsQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert len(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == 2


def queues() -> dict[str, dict]:
    found = resources().items()
    return {name: it.get("Properties", {}) for name, it in found if it["Type"] == "AWS::SQS::Queue"}


@pytest.mark.parametrize(
    "queue", ["PublicationsQueue", "FanOutsQueue", "DeliveriesQueue", "RetriesQueue", "RenderingsQueue"]
)
def test_messages_outlive_the_function_and_end_among_the_dead_letters(queue):
    properties = queues()[queue]
    function = {"Publications": "Commit", "FanOuts": "Fanout", "Renderings": "Render"}.get(
        queue.removesuffix("Queue"), "Deliver"
    )
    assert properties["VisibilityTimeout"] > resources()[f"{function}Function"]["Properties"]["Timeout"]
    dead = properties["RedrivePolicy"]["deadLetterTargetArn"].removesuffix(".Arn")
    assert queues()[dead].get("FifoQueue") == properties.get("FifoQueue")


def test_the_functions_time_out_is_what_deliver_is_told():
    properties = resources()["DeliverFunction"]["Properties"]
    assert properties["Environment"]["Variables"]["FUNCTION_SECONDS"] == str(properties["Timeout"])


def test_the_bucket_is_private_encrypted_and_forgets():
    # Read from the template: MiniStack's CloudFormation leaves the rules out of the bucket
    # that it makes; AWS's doesn't.
    bucket = resources()["PayloadsBucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    rules = {rule["Prefix"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert set(rules) == {"events/", "documents/"}
    assert "TagFilters" not in rules["events/"]
    assert rules["documents/"]["TagFilters"] == [{"Key": "retired", "Value": "true"}]


def test_the_workgroup_decides_on_results_and_costs():
    properties = resources()["Workgroup"]["Properties"]["WorkGroupConfiguration"]
    assert properties["EnforceWorkGroupConfiguration"] is True
    assert properties["BytesScannedCutoffPerQuery"] == "QueryScanLimitBytes"
    result = properties["ResultConfiguration"]
    assert result["OutputLocation"] == "s3://${ResultsBucket}/results/"
    assert result["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}


def test_the_bucket_of_results_is_private_encrypted_and_forgets():
    bucket = resources()["ResultsBucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    [rule] = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Prefix"], rule["ExpirationInDays"]) == ("results/", "QueryResultsKeptDays")
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_no_query_is_run_unless_the_stack_says_on_what():
    assert read_template()["Parameters"]["QueryDatabases"]["Default"] == ""
    [policy] = resources()["QueriesRole"]["Properties"]["Policies"]
    conditional = [it for it in policy["PolicyDocument"]["Statement"] if isinstance(it, list)]
    always = [it for it in policy["PolicyDocument"]["Statement"] if isinstance(it, dict)]
    assert {it[0] for it in conditional} == {"RunsQueries", "ReadsBuckets"}
    assert not [it for it in always if "StartQueryExecution" in str(it) or "glue:" in str(it) or "s3:" in str(it)]
    # Nothing that changes data or the catalog, but for the results' own folder.
    for _, statement, _ in conditional:
        for action in statement["Action"]:
            writes = action in ("s3:PutObject", "s3:AbortMultipartUpload")
            assert action.split(":")[1].startswith(("Get", "List", "StartQuery")) or writes, action
            assert not writes or statement["Resource"] == "${ResultsBucket.Arn}/results/*"


def test_alarms_watch_ages_errors_and_throttles():
    found = [it["Properties"] for it in resources().values() if it["Type"] == "AWS::CloudWatch::Alarm"]
    watched = {(alarm["MetricName"], json.dumps(alarm["Dimensions"])) for alarm in found}
    metrics = {name for name, _ in watched}
    assert {"ApproximateAgeOfOldestMessage", "Errors", "Throttles", "FailureRate"} <= metrics
    assert all(alarm["AlarmActions"] for alarm in found)


def test_api_gateway_logs_no_requests_beside_the_access_log():
    # Its execution logs would have query strings, which carry secrets.
    [settings] = resources()["Api"]["Properties"]["MethodSettings"]
    assert not {"LoggingLevel", "DataTraceEnabled"} & settings.keys()


def test_the_dashboard_shows_what_is_counted(stack):
    dashboard = stack.aws("cloudwatch").get_dashboard(DashboardName=stack.name)
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    shown = json.dumps(widgets)
    for metric in ("Deliveries", "Failures", "Retries", "Exhausted", "Latency", "ApproximateAgeOfOldestMessage"):
        assert metric in shown
