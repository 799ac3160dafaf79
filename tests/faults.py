"""How a way to AWS fails in tests, and what a caller of the API may see of it."""

import json
from contextlib import contextmanager

FAULTS = ["throttle", "refuse", "break off"]


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
