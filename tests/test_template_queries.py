"""The template's part for running queries: what they may read, where their results go, and what they may cost."""

from template import read as read_template
from template import resources


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
