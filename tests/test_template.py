"""What the deployed template promises as a whole to whoever runs it; its parts are in `test_template_*.py`."""

import pytest
import yaml
from settings import ROOT
from template import read as read_template
from template import resources


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
            # The contract is kept nowhere, and what the console shows is others' to keep.
            case "AWS::IAM::Role" if name not in ("ApiGatewayAccountRole", "OpenapiRole", "ConsoleRole"):
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
