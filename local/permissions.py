"""Compares what the roles of the stack grant with what its functions have asked for, as the local AWS
has written it down (see aws_iam.py), after the end-to-end tests.

Fails on a permission that nothing has used, and on a request that was refused where no test meant it to be.
"""

import json
import sys
from fnmatch import fnmatchcase

import template
from clients import aws
from settings import PERMISSIONS, STACK

# What the tests can't use, and why it is granted all the same.
EXCEPTIONS = {
    "sqs:ReceiveMessage": "Lambda's pollers",
    "sqs:DeleteMessage": "Lambda's pollers",
    "sqs:GetQueueAttributes": "Lambda's pollers",
    "dynamodb:DescribeStream": "Lambda's pollers",
    "dynamodb:GetRecords": "Lambda's pollers",
    "dynamodb:GetShardIterator": "Lambda's pollers",
    "dynamodb:ListStreams": "Lambda's pollers",
    "logs:CreateLogStream": "Lambda's logging",
    "logs:PutLogEvents": "Lambda's logging",
    "xray:PutTraceSegments": "Lambda's tracing",
    "xray:PutTelemetryRecords": "Lambda's tracing",
    "iam:PassRole": "not evaluated by the local AWS",
    "kms:Decrypt": "only with a key",
    "kms:DescribeKey": "only with a key",
    "kms:Encrypt": "only with a key",
    "kms:GenerateDataKey": "only with a key",
    "kms:ReEncryptFrom": "only with a key",
    "kms:ReEncryptTo": "only with a key",
    "lakeformation:GetDataAccess": "asked for by Athena itself, where Lake Formation governs",
    "glue:GetTables": "asked for by Athena itself; the local one reads a table at a time",
    "glue:GetPartition": "asked for by Athena itself; the local one has no partitions",
    "glue:GetPartitions": "asked for by Athena itself; the local one has no partitions",
    "glue:BatchGetPartition": "asked for by Athena itself; the local one has no partitions",
    "cloudwatch:DescribeAlarms": "asked for in a form (CBOR) in which the local AWS doesn't evaluate it",
    "cloudwatch:GetMetricData": "asked for in a form (CBOR) in which the local AWS doesn't evaluate it",
    "s3:GetBucketLocation": "asked for by Athena itself",
    "s3:ListBucketMultipartUploads": "asked for by Athena itself",
    "s3:ListMultipartUploadParts": "asked for by Athena itself",
}
# The same, of single roles.
EXCEPTIONS_OF_ROLES = {
    ("QueriesRole", "s3:PutObject"): "asked for by Athena itself, which writes results past IAM here",
    ("QueriesRole", "s3:AbortMultipartUpload"): "asked for by Athena itself",
    ("QueriesRole", "s3:ListBucket"): "asked for by Athena itself",
    ("QueriesRole", "s3:GetObject"): "of results: asked for by Athena itself",
    ("QueryCompletionRole", "sqs:SendMessage"): "Lambda's destination for failures",
    ("AttemptCountsRole", "sqs:SendMessage"): "Lambda's destination for failures",
    ("PublishRole", "dynamodb:UpdateItem"): "of topics: when a partition takes no more, which never happens here",
    ("RetrySchedulesRole", "sqs:SendMessage"): "the scheduler's, which sends past IAM here",
}
# What tests have functions ask for to see it refused.
EXPECTED = {("QueriesRole", "glue:GetDatabase", "database/secret")}
# Tests that act as a role themselves, to see what it may not do, call their session so.
TESTS_OWN = "test"


def main() -> int:
    roles = physical_names()
    used, refused = read_record(roles)
    problems = [f"{line['role']} was refused {line['action']} on {line['resource']}" for line in refused]
    print(f"{'role':30} {'action':36} used on")
    for logical, name in sorted(roles.items()):
        for action, resources in sorted(granted(name)):
            found = sorted(it for it in used.get((name, action), ()) if fits(it, resources))
            reason = EXCEPTIONS.get(action) or EXCEPTIONS_OF_ROLES.get((logical, action))
            print(f"{logical:30} {action:36} {len(found) or (f'({reason})' if reason else 'NOTHING')}")
            if not found and not reason:
                problems.append(f"{logical} grants {action} on {', '.join(resources)}, and nothing has used it")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def physical_names() -> dict[str, str]:
    wanted = [name for name, it in template.resources().items() if it["Type"] == "AWS::IAM::Role"]
    found = aws("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    names = {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in found}
    return {name: names[name] for name in wanted if name in names and name != "ApiGatewayAccountRole"}


def granted(role: str) -> list[tuple[str, tuple[str, ...]]]:
    """Each action that a role allows, with the resources of its statement."""
    iam, found = aws("iam"), []
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        for statement in document["Statement"]:
            found += [(action, tuple(listed(statement["Resource"]))) for action in listed(statement["Action"])]
    return found


def listed(value) -> list[str]:
    return value if isinstance(value, list) else [value]


def fits(resource: str, patterns: tuple[str, ...]) -> bool:
    """Whether a resource, or a kind of resources, is among those of a statement."""
    return any(fnmatchcase(resource, pattern) or fnmatchcase(pattern, resource) for pattern in patterns)


def read_record(roles: dict[str, str]) -> tuple[dict[tuple[str, str], set[str]], list[dict]]:
    """What was allowed, by role and action; and what was refused."""
    used: dict[tuple[str, str], set[str]] = {}
    expected = {(roles.get(role), action, resource) for role, action, resource in EXPECTED}
    refused = []
    for line in map(json.loads, PERMISSIONS.read_text().splitlines()):
        if line["refused"] is None:
            used.setdefault((line["role"], line["action"]), set()).add(line["resource"])
            continue
        # An explicit Deny is one that a test has put there: the template has none for roles.
        meant = line["refused"] == "Deny" or line["session"] == TESTS_OWN
        if not meant and (line["role"], line["action"], line["resource"].split(":")[-1]) not in expected:
            refused.append(line)
    return used, refused


if __name__ == "__main__":
    sys.exit(main())
