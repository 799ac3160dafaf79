"""`bellwire doctor`: whether the stack is well."""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from build import CLI
from conftest import dead_letters_lock
from settings import environment
from streams import eventually

CHECKS = ["versions", "functions", "queues", "alarms", "roles", "quotas"]


def examine(stack, *checks: str, **more: str) -> tuple[int, list[dict]]:
    """The exit code and the findings of these checks."""
    skipped = [f"--skip={check}" for check in CHECKS if check not in checks]
    done = stack.cli("doctor", "--json", *skipped, **more)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def problems(findings: list[dict]) -> list[tuple[str, str]]:
    return [(it["check"], it["what"]) for it in findings if it["health"] == "problem"]


def test_a_stack_that_is_well(stack):
    code, findings = examine(stack, "versions", "functions", "roles")
    assert (code, problems(findings)) == (0, [])
    messages = {it["what"]: it["message"] for it in findings}
    assert int(messages["functions"].removesuffix(" can run")) >= 18
    assert int(messages["queues and streams"].removesuffix(" are read")) >= 7
    assert messages["rules"] != "0 are enabled"
    assert int(messages["roles"].removesuffix(" are there")) >= 19
    assert messages["API Gateway's role for logs"].startswith("arn:")
    assert [it["health"] for it in findings if it["check"] == "versions"] == ["ok", "ok"]


def test_for_people_it_is_a_table(stack):
    done = stack.cli("doctor", "--skip", "quotas", "--skip", "queues", "--skip", "alarms")
    assert (done.returncode, done.stderr) == (0, "")
    [head, *rows] = done.stdout.splitlines()
    assert head.split() == ["HEALTH", "CHECK", "WHAT", "FOUND"]
    assert all(row.split()[0] == "ok" for row in rows)


def test_what_can_not_be_examined_is_said(stack):
    # The local AWS has no Service Quotas.
    code, findings = examine(stack, "quotas")
    assert code == 2
    # What is found before that is there.
    [concurrency, finding] = findings
    assert concurrency["what"] == "lambda: concurrent executions"
    assert (finding["check"], finding["what"], finding["health"]) == ("quotas", "the rest", "unknown")
    assert finding["message"].startswith("could not be examined: the quotas of apigateway could not be read")


@contextmanager
def a_dead_letter(stack) -> Iterator[None]:
    sqs, url = stack.aws("sqs"), stack.outputs["FailedCountsQueueUrl"]
    with dead_letters_lock():
        text = str(uuid.uuid4())
        sqs.send_message(QueueUrl=url, MessageBody=text)
        yield
        messages = eventually(
            lambda: sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", []),
            lambda found: any(it["Body"] == text for it in found),
            "dead letter",
        )
        for message in messages:
            if message["Body"] == text:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_dead_letters_are_a_problem(stack):
    with a_dead_letter(stack):
        code, findings = examine(stack, "queues")
    assert code == 1 and ("queues", "dead letters: counts") in problems(findings)
    waiting = [it for it in findings if it["what"].startswith("queue ")]
    assert {it["health"] for it in waiting} == {"ok"}
    assert len(waiting) == 6


def test_an_alarm_that_has_gone_off_is_a_problem(stack):
    cloudwatch = stack.aws("cloudwatch")
    resource = stack.aws("cloudformation").describe_stack_resource(
        StackName=stack.name, LogicalResourceId="FailedCountsAlarm"
    )
    name = resource["StackResourceDetail"]["PhysicalResourceId"]
    set_state = lambda state: cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")  # noqa: E731
    set_state("ALARM")
    try:
        code, findings = examine(stack, "alarms")
    finally:
        set_state("OK")
    assert code == 1 and ("alarms", name) in problems(findings)
    [message] = [it["message"] for it in findings if it["what"] == name]
    assert message == "Attempts could not be counted."
    warnings = [it["message"] for it in findings if it["health"] == "warning"]
    assert len(warnings) == 1 and "AlarmTopicArn" in warnings[0]


def test_the_code_is_the_same_when_nobody_reads(stack):
    reading, writing = os.pipe()
    os.close(reading)
    command = [str(CLI), "doctor", *(f"--skip={check}" for check in CHECKS if check != "quotas")]
    try:
        done = subprocess.run(
            command, env=environment(**stack.env), stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (2, "")


def test_what_was_found_stays_when_the_rest_can_not_be_examined(stack, aws):
    # The last of the queues.
    aws.set("GetQueueAttributes", "refuse", after=13)
    with a_dead_letter(stack):
        code, findings = examine(stack, "queues", AWS_ENDPOINT_URL=aws.endpoint)
    assert code == 1 and ("queues", "dead letters: counts") in problems(findings)
    assert findings[-1]["health"] == "unknown"


def test_a_stack_that_is_none_can_not_be_examined(stack):
    done = stack.cli("doctor", "--stack", "no-such-stack")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bellwire: the stack no-such-stack could not be read")


def test_a_check_that_is_none(stack):
    done = stack.cli("doctor", "--skip", "weather")
    assert done.returncode == 2 and "possible values: versions, functions" in done.stderr
