"""What the deployed template promises to whoever runs it."""

import json
import re

import pytest
import yaml
from conftest import role_credentials
from settings import ROOT
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


# What can be lost: a few days' history, and marks without which events are sent, or something made, once more.
UNRECOVERABLE = {"ExchangesTable", "DeliveriesTable", "AnswersTable"}


@pytest.mark.parametrize("table", tables())
def test_tables_are_on_demand_encrypted_and_recoverable(table):
    # Read from the template: MiniStack's CloudFormation leaves encryption, recovery and
    # time to live out of the table that it makes; AWS's doesn't.
    properties = tables()[table]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    key = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": "KmsKeyArn"}
    assert properties["SSESpecification"] == ["HasKmsKey", key, "AWS::NoValue"]
    recovery = properties.get("PointInTimeRecoverySpecification")
    assert recovery == (None if table in UNRECOVERABLE else {"PointInTimeRecoveryEnabled": True})


@pytest.mark.parametrize(
    "table",
    [
        "AnswersTable",
        "QueriesTable",
        "TopicsTable",
        "SubscriptionsTable",
        "EventsTable",
        "ExchangesTable",
        "DeliveriesTable",
    ],
)
def test_what_expires_has_a_time_to_live(table):
    expected = {"AttributeName": "expires_at", "Enabled": True}
    assert resources()[table]["Properties"]["TimeToLiveSpecification"] == expected


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_logs_into_a_group_that_forgets(function):
    group = resources()[f"{function}Logs"]["Properties"]
    assert group["RetentionInDays"] == "LogRetentionDays"
    assert resources()[f"{function}Function"]["Properties"]["LoggingConfig"]["LogGroup"] == f"{function}Logs"


def test_the_api_is_throttled_and_logged():
    api = resources()["Api"]["Properties"]
    [settings] = api["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"] == "RequestsPerSecond"
    assert settings["ThrottlingBurstLimit"] == "RequestBurst"
    assert api["AccessLogSetting"]["DestinationArn"] == "AccessLogs.Arn"
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
    [statement] = [it for it in json.loads(attributes["Policy"])["Statement"] if it["Effect"] == "Allow"]
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
    statements = resources()["EntityEventsQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    [statement] = [it for it in statements if it["Effect"] == "Allow"]
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
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    assert properties["VisibilityTimeout"] >= 6 * resources()[f"{function}Function"]["Properties"]["Timeout"]
    assert properties["RedrivePolicy"]["maxReceiveCount"] >= 5
    dead = properties["RedrivePolicy"]["deadLetterTargetArn"].removesuffix(".Arn")
    assert queues()[dead].get("FifoQueue") == properties.get("FifoQueue")


def test_the_bucket_is_private_encrypted_and_forgets():
    # Read from the template: MiniStack's CloudFormation leaves the rules out of the bucket
    # that it makes; AWS's doesn't.
    bucket = resources()["PayloadsBucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    rules = {rule["Prefix"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    days = {f"events-{days}/": days for days in (45, 90, 180, 400)}
    assert set(rules) == {"events/", "documents/", *days}
    assert {prefix: rules[prefix]["ExpirationInDays"] for prefix in days} == days
    assert not any("TagFilters" in rules[prefix] for prefix in ("events/", *days))
    # What the functions choose from (crates/objects) is enough for the longest that is allowed.
    assert read_template()["Parameters"]["EventsKeptDays"]["MaxValue"] + 30 <= max(days.values())
    assert rules["documents/"]["TagFilters"] == [{"Key": "retired", "Value": "true"}]


def test_the_workgroup_decides_on_results_and_costs():
    properties = resources()["Workgroup"]["Properties"]["WorkGroupConfiguration"]
    assert properties["EnforceWorkGroupConfiguration"] is True
    assert properties["BytesScannedCutoffPerQuery"] == "QueryScanLimitBytes"
    result = properties["ResultConfiguration"]
    assert result["OutputLocation"] == "s3://${ResultsBucket}/results/"
    with_key = {"EncryptionOption": "SSE_KMS", "KmsKey": "KmsKeyArn"}
    assert result["EncryptionConfiguration"] == ["HasKmsKey", with_key, {"EncryptionOption": "SSE_S3"}]


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
    assert {it[0] for it in conditional} == {"HasKmsKey", "RunsQueries", "ReadsEncryptedFiles", "ReadsBuckets"}
    assert not [it for it in always if "StartQueryExecution" in str(it) or "glue:" in str(it) or "s3:" in str(it)]
    # Nothing that changes data or the catalog, but for the results' own folder.
    for _, statement, _ in conditional:
        for action in [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]:
            writes = action in ("s3:PutObject", "s3:AbortMultipartUpload")
            reads = action == "glue:BatchGetPartition" or action.startswith("kms:")
            assert action.split(":")[1].startswith(("Get", "List", "StartQuery")) or reads or writes, action
            if writes:
                # The names of results, which an UNLOAD can't choose.
                name = "${ResultsBucket.Arn}/results/????????-????-????-????-????????????.csv"
                assert statement["Resource"] == [name, f"{name}.metadata"]


def test_alarms_watch_ages_errors_and_throttles():
    found = [it["Properties"] for it in resources().values() if it["Type"] == "AWS::CloudWatch::Alarm"]
    watched = {(alarm["MetricName"], json.dumps(alarm["Dimensions"])) for alarm in found}
    metrics = {name for name, _ in watched}
    assert {"ApproximateAgeOfOldestMessage", "Errors", "Throttles", "FailureRate"} <= metrics
    assert all(alarm["AlarmActions"] for alarm in found)


def test_addresses_are_limited_if_the_stack_says_so():
    """Not shown by the local AWS, which has no WAF."""
    template = read_template()
    parameter = template["Parameters"]["RateLimitPerAddress"]
    assert parameter["Default"] == "0"
    for text, fits in (("0", True), ("10", True), ("2000", True), ("9", False), ("-1", False), ("1e3", False)):
        assert bool(re.fullmatch(parameter["AllowedPattern"], text)) == fits, text
    acl, association = resources()["AddressLimits"], resources()["AddressLimitsOfApi"]
    assert acl["Condition"] == association["Condition"] == "LimitsAddresses"
    assert template["Conditions"]["LimitsAddresses"] == [["RateLimitPerAddress", "0"]]
    [rule] = acl["Properties"]["Rules"]
    statement = rule["Statement"]["RateBasedStatement"]
    assert (statement["AggregateKeyType"], statement["Limit"]) == ("IP", "RateLimitPerAddress")
    assert rule["Action"] == {"Block": {}}
    # A sample would have headers and query.
    assert rule["VisibilityConfig"]["SampledRequestsEnabled"] is False
    definition = resources()["Api"]["Properties"]["DefinitionBody"]
    assert definition["x-amazon-apigateway-gateway-responses"]["WAF_FILTERED"]["statusCode"] == "429"


@pytest.mark.parametrize(
    "parameter",
    [
        "WebhookSubscriptionsPerClient",
        "WebhookSubscriptionsPerHost",
        "EntitySubscriptionsPerClient",
        "EntitySubscriptionsPerHost",
        "RunningQueriesPerClient",
        "WaitingRequestsPerClient",
    ],
)
def test_what_a_client_may_have_is_a_parameter(parameter):
    template = read_template()
    assert template["Parameters"][parameter]["MinValue"] == 1
    functions = [it for it in resources().values() if it["Type"] == "AWS::Serverless::Function"]
    variables = [it["Properties"]["Environment"]["Variables"] for it in functions]
    assert sum(parameter in it.values() for it in variables) == 1


def test_api_gateway_logs_no_requests_beside_the_access_log():
    # Its execution logs would have query strings, which carry secrets.
    [settings] = resources()["Api"]["Properties"]["MethodSettings"]
    assert not {"LoggingLevel", "DataTraceEnabled"} & settings.keys()


def test_the_dashboard_shows_what_is_counted(stack):
    dashboard = stack.aws("cloudwatch").get_dashboard(DashboardName=stack.name)
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    rendered = json.dumps(widgets)
    for metric in ("Deliveries", "Failures", "Retries", "Exhausted", "Latency", "ApproximateAgeOfOldestMessage"):
        assert metric in rendered


def test_the_stage_is_not_traced():
    # API Gateway records the URL of a request, with its query, and protocol C has its secret there.
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-using-xray-maps.html
    assert not resources()["Api"]["Properties"].get("TracingEnabled")


def test_no_answer_and_no_log_repeats_what_api_gateway_says_of_a_header():
    # Its message on an Authorization header at an unknown path has the header's value.
    api = resources()["Api"]["Properties"]
    assert "error.message" not in api["AccessLogSetting"]["Format"]
    responses = api["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]
    assert "error.message" not in str(responses)
    for unknown in ("MISSING_AUTHENTICATION_TOKEN", "INVALID_SIGNATURE"):
        assert responses[unknown]["statusCode"] == "404"


def test_nothing_is_paid_for_that_nobody_reads():
    [settings] = resources()["Api"]["Properties"]["MethodSettings"]
    assert not settings.get("MetricsEnabled")


def test_the_setting_of_the_account_waits_for_the_first_api():
    assert resources()["ApiGatewayAccount"]["DependsOn"] == "Api"


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


def test_queues_and_buckets_refuse_what_is_not_encrypted_on_its_way():
    queued, stored = set(), set()
    for it in resources().values():
        statements = it.get("Properties", {}).get("PolicyDocument", {}).get("Statement", [])
        denied = [s for s in statements if s["Effect"] == "Deny"]
        for statement in denied:
            assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            assert statement["Principal"] == "*"
        if it["Type"] == "AWS::SQS::QueuePolicy" and denied:
            queued |= set(it["Properties"]["Queues"])
        if it["Type"] == "AWS::S3::BucketPolicy" and denied:
            stored.add(it["Properties"]["Bucket"])
    assert queued == set(queues())
    assert stored == {"PayloadsBucket", "ResultsBucket"}


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


@pytest.mark.parametrize(
    "queue", ["PublicationsQueue", "FanOutsQueue", "DeliveriesQueue", "RetriesQueue", "RenderingsQueue"]
)
def test_an_alarm_watches_the_age_of_what_waits(queue):
    alarms = [it["Properties"] for it in resources().values() if it["Type"] == "AWS::CloudWatch::Alarm"]
    [alarm] = [
        it
        for it in alarms
        if it["MetricName"] == "ApproximateAgeOfOldestMessage" and it["Dimensions"][0]["Value"] == f"{queue}.QueueName"
    ]
    assert alarm["Threshold"] >= 300


def test_one_key_is_used_for_all_that_is_kept_if_the_stack_has_one():
    for name, it in resources().items():
        properties = it.get("Properties", {})
        match it["Type"]:
            case "AWS::SQS::Queue":
                assert properties["KmsMasterKeyId"] == ["HasKmsKey", "KmsKeyArn", "AWS::NoValue"], name
            case "AWS::Logs::LogGroup":
                assert properties["KmsKeyId"] == ["HasKmsKey", "KmsKeyArn", "AWS::NoValue"], name
            case "AWS::S3::Bucket":
                [rule] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
                assert rule[0] == "HasKmsKey" and "KmsKeyArn" in str(rule[1]), name
            case "AWS::IAM::Role" if name != "ApiGatewayAccountRole":
                [policy] = properties["Policies"]
                assert "kms:GenerateDataKey" in str(policy), name
    assert read_template()["Parameters"]["KmsKeyArn"]["Default"] == ""


def test_no_key_is_written_twice():
    # Read from the text: YAML takes the second, and cfn-lint doesn't look into mappings that merge others.
    def check(node) -> None:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(set(keys)) == len(keys), f"line {node.start_mark.line + 1}: {keys}"
            children = [value for _, value in node.value]
        else:
            children = node.value if isinstance(node, yaml.SequenceNode) else []
        for child in children:
            check(child)

    check(yaml.compose((ROOT / "template.yaml").read_text()))
