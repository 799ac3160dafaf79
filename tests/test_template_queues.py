"""The template's queues: how long messages are kept and where they end, and what watches over them."""

import json
import re

import pytest
from settings import ROOT
from template import resources

DEAD_LETTERS = [
    "UndeliveredQueueUrl",
    "FailedCompletionsQueueUrl",
    "DeadPublicationsQueueUrl",
    "DeadFanOutsQueueUrl",
    "DeadClientTasksQueueUrl",
    "FailedCountsQueueUrl",
    "DeadDeliveriesQueueUrl",
    "DeadRenderingsQueueUrl",
]


def queues() -> dict[str, dict]:
    found = resources().items()
    return {name: it.get("Properties", {}) for name, it in found if it["Type"] == "AWS::SQS::Queue"}


def test_events_that_lambda_gives_up_on_go_to_the_dead_letter_queue():
    config = resources()["QueryCompletionFunction"]["Properties"]["EventInvokeConfig"]
    assert config["MaximumRetryAttempts"] == 2
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == "FailedCompletionsQueue.Arn"


def test_the_cli_knows_every_queue_that_no_function_takes_messages_from():
    functions = [it["Properties"] for it in resources().values() if it["Type"] == "AWS::Serverless::Function"]
    events = [event for function in functions for event in function.get("Events", {}).values()]
    taken = {event["Properties"]["Queue"].removesuffix(".Arn") for event in events if event["Type"] == "SQS"}
    left = {f"{name}Url" for name in queues().keys() - taken}
    known = set(re.findall(r'"(\w+QueueUrl)",\s*Again::', (ROOT / "crates/dead-letters/src/queues.rs").read_text()))
    assert known == left == set(DEAD_LETTERS)


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


def test_alarms_watch_ages_errors_and_throttles():
    found = [it["Properties"] for it in resources().values() if it["Type"] == "AWS::CloudWatch::Alarm"]
    watched = {(alarm["MetricName"], json.dumps(alarm["Dimensions"])) for alarm in found}
    metrics = {name for name, _ in watched}
    assert {"ApproximateAgeOfOldestMessage", "Errors", "Throttles", "FailureRate"} <= metrics
    assert all(alarm["AlarmActions"] for alarm in found)


def test_the_dashboard_shows_what_is_counted(stack):
    dashboard = stack.aws("cloudwatch").get_dashboard(DashboardName=stack.name)
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    rendered = json.dumps(widgets)
    for metric in ("Deliveries", "Failures", "Retries", "Exhausted", "Latency", "ApproximateAgeOfOldestMessage"):
        assert metric in rendered


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
