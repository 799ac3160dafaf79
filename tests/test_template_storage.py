"""The template's tables and its bucket of payloads: what is encrypted, forgotten, and can be restored."""

import pytest
from template import read as read_template
from template import resources

# What can be lost: a few days' history, and marks without which events are sent, or something made, once more.
UNRECOVERABLE = {"SignInsTable", "ExchangesTable", "CountsTable", "DeliveriesTable", "AnswersTable"}


def tables() -> dict[str, dict]:
    found = resources().items()
    return {name: it["Properties"] for name, it in found if it["Type"] == "AWS::DynamoDB::Table"}


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
        "CountsTable",
    ],
)
def test_what_expires_has_a_time_to_live(table):
    expected = {"AttributeName": "expires_at", "Enabled": True}
    assert resources()[table]["Properties"]["TimeToLiveSpecification"] == expected


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
