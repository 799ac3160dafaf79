"""The local AWS: MiniStack, with some of its answers corrected to AWS's.

Each correction names what MiniStack 1.5 does and what AWS does. They are applied to
the functions of the pinned version (see requirements.txt); a version that lacks one of
them makes this program end with an error instead of going on without it.
"""

import asyncio
import json

import aws_athena
import aws_gateway
import aws_iam
import aws_s3
import aws_sns_headers
from ministack import app
from ministack.core import iam_actions
from ministack.services import eventbridge, lambda_svc, sns, sqs


def subscription_of(params: dict) -> dict | None:
    """The subscription that a Subscribe request is about, if there is one."""
    topic = sns._topic_by_arn_any_scope(sns._normalize_arn(sns._p(params, "TopicArn")))
    wanted = (sns._p(params, "Protocol"), sns._p(params, "Endpoint"))
    for subscription in topic["subscriptions"] if topic else []:
        if (subscription["protocol"], subscription["endpoint"]) == wanted:
            return subscription
    return None


def correct_subscribe() -> None:
    """SNS Subscribe to an endpoint that is subscribed and not confirmed.

    MiniStack answers with the subscription's ARN and sends nothing; it ignores
    ReturnSubscriptionArn. AWS sends the confirmation again, and answers with the ARN
    of an unconfirmed subscription only when ReturnSubscriptionArn asks for it.
    https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
    """
    original = sns._subscribe
    sending = set()  # keeps them from being collected half way

    def subscribe(params: dict) -> tuple:
        known = subscription_of(params)
        answer = original(params)
        subscription = subscription_of(params)
        if subscription is None or subscription["confirmed"]:
            return answer
        if known is not None:
            sending.add(
                asyncio.ensure_future(sns._send_subscription_confirmation(subscription["topic_arn"], subscription))
            )
        asked = sns._p(params, "ReturnSubscriptionArn") == "true"
        arn = subscription["arn"] if asked else "pending confirmation"
        return sns._xml(
            200,
            "SubscribeResponse",
            f"<SubscribeResult><SubscriptionArn>{arn}</SubscriptionArn></SubscribeResult>",
        )

    sns._subscribe = subscribe
    confirmation = sns._send_subscription_confirmation

    def send_confirmation(topic_arn: str, subscription: dict):
        # As it is now: a confirmation that comes before it is sent takes the token away.
        return confirmation(topic_arn, dict(subscription))

    sns._send_subscription_confirmation = send_confirmation


def correct_concurrency_of_queues() -> None:
    """How many batches of a queue a function is handed at once.

    In a template the number may be a parameter's. CloudFormation takes it as the number
    that it is; MiniStack keeps it as text, and its poller fails for all queues.
    """
    original = lambda_svc._sqs_esm_concurrency

    def concurrency(mapping: dict, *arguments) -> int:
        scaling = mapping.get("ScalingConfig") or {}
        if "MaximumConcurrency" in scaling:
            scaling["MaximumConcurrency"] = int(scaling["MaximumConcurrency"])
        return original(mapping, *arguments)

    lambda_svc._sqs_esm_concurrency = concurrency


def correct_actions_of_batches() -> None:
    """The permission that a batch of SQS messages needs.

    MiniStack asks for `sqs:SendMessageBatch`, which is no action of IAM. On AWS a batch
    needs what a single message needs.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
    """
    original = iam_actions.extract_iam_action

    def extract_iam_action(*arguments) -> str | None:
        action = original(*arguments)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    iam_actions.extract_iam_action = extract_iam_action


def correct_resources_of_schedules() -> None:
    """The resource that the permission for a schedule is asked of.

    MiniStack asks for `schedule/default/…`, whatever group the schedule is in. On AWS the
    group is a part of the name.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridgescheduler.html
    """
    original = iam_actions.extract_resource_arn

    def extract_resource_arn(service: str, method: str, path: str, headers: dict, body: bytes, *rest) -> str:
        arn = original(service, method, path, headers, body, *rest)
        if service == "scheduler" and method in ("POST", "PUT") and ":schedule/default/" in arn:
            group = json.loads(body or b"{}").get("GroupName", "default")
            return arn.replace(":schedule/default/", f":schedule/{group}/")
        return arn

    iam_actions.extract_resource_arn = extract_resource_arn


def correct_universal_targets() -> None:
    """Schedules that call an API of AWS, of which SQS's SendMessage alone.

    MiniStack knows no such targets. Scheduler calls the API with the schedule's input as parameters.
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
    """
    original = eventbridge._invoke_target

    def invoke_target(target: dict, *arguments) -> None:
        if target["Arn"] == "arn:aws:scheduler:::aws-sdk:sqs:sendMessage":
            call = json.loads(target["Input"])
            sqs._act_send_message(call, call["QueueUrl"])
        else:
            original(target, *arguments)

    eventbridge._invoke_target = invoke_target


if __name__ == "__main__":
    correct_universal_targets()
    correct_resources_of_schedules()
    correct_actions_of_batches()
    correct_concurrency_of_queues()
    correct_subscribe()
    aws_athena.correct()
    aws_gateway.correct()
    aws_iam.correct()
    aws_s3.correct()
    aws_sns_headers.correct()
    app.main()
