"""IAM as on AWS: what MiniStack's does otherwise, as far as the product depends on it; and a record
of what was allowed and refused."""

import json
from urllib.parse import parse_qs

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id
from settings import PERMISSIONS


def correct() -> None:
    correct_condition_keys()
    correct_transport()
    record()


def correct_condition_keys() -> None:
    """The condition keys of SNS's Subscribe.

    MiniStack has none. On AWS a policy can say which protocols and endpoints may be subscribed.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
    """
    original = iam_actions.request_tag_context

    def request_tag_context(service: str, iam_action: str, body: bytes, params: dict) -> dict:
        context = original(service, iam_action, body, params)
        if iam_action == "sns:Subscribe":
            request = parse_qs((body or b"").decode(errors="replace"))
            for name in ("Protocol", "Endpoint"):
                context |= {f"sns:{name}": request[name][0]} if name in request else {}
        return context

    iam_actions.request_tag_context = request_tag_context


def correct_transport() -> None:
    """`aws:SecureTransport`, which policies of buckets and queues ask for.

    MiniStack speaks http on loopback, which nobody else can listen to: that counts as TLS here.
    """
    original = iam_evaluator._resolve_condition_key

    def resolve(key: str, context):
        loopback = context.source_ip in ("127.0.0.1", "::1", "localhost")
        return "true" if key.lower() == "aws:securetransport" and loopback else original(key, context)

    iam_evaluator._resolve_condition_key = resolve


def record() -> None:
    """Writes down, for permissions.py, what roles ask for: each action on each kind of resource once, allowed or not."""
    original = iam_evaluator.enforce
    seen = set()
    PERMISSIONS.unlink(missing_ok=True)

    def enforce(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
        result = original(access_key_id, iam_action, service, region, resource_arn, service_context)
        principal = iam_evaluator.resolve_principal(access_key_id or "", get_account_id())
        arn = getattr(principal, "arn", "")
        if ":assumed-role/" in arn:
            _, role, session = arn.split("/", 2)
            request = {"role": role, "action": iam_action, "resource": kind(resource_arn), "refused": None}
            if result is not None:
                decision = getattr(result, "decision", "error")
                request |= {"refused": decision, "session": session, "resource": resource_arn}
            line = json.dumps(request)
            if line not in seen:
                seen.add(line)
                with PERMISSIONS.open("a") as file:
                    file.write(f"{line}\n")
        return result

    iam_evaluator.enforce = enforce


def kind(arn: str) -> str:
    """The resource, without what differs from object to object."""
    if arn.startswith("arn:aws:s3:::") and "/" in arn:
        bucket, key = arn.split("/", 1)
        return f"{bucket}/{key.split('/')[0]}/*" if "/" in key else f"{bucket}/*"
    if arn.startswith("arn:aws:sns:") and "-cl_" in arn:
        return arn.split("-cl_")[0] + "-cl_client"
    if arn.startswith("arn:aws:scheduler:"):
        return arn.rsplit("/", 1)[0] + "/schedule"
    return arn
