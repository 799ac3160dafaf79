"""Results of queries: as files, and as rows."""

import json
import urllib.parse

import pytest
import requests
from conftest import dead_letters, new_query
from runtime_api import Function, api_event, failures, sqs_event
from streams import eventually

ORDERS = "SELECT id, customer, NULL AS nothing, '' AS empty FROM orders ORDER BY id"


def key(query: str, ending: str) -> str:
    return f"results/{query}.{ending}"


class TestFiles:
    def test_the_csv_of_athena_and_the_same_as_json_lines(self, running):
        query = running.finish(ORDERS)
        answer = running.results(query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert set(body) == {"QueryExecutionId", "csv", "json"} and body["QueryExecutionId"] == query
        # Whoever has the link needs nothing else.
        csv, lines = requests.get(body["csv"], timeout=30), requests.get(body["json"], timeout=30)
        assert csv.status_code == lines.status_code == 200
        assert csv.text.splitlines()[0] == '"id","customer","nothing","empty"'
        assert lines.headers["content-type"] == "application/x-ndjson"
        rows = [json.loads(line) for line in lines.text.splitlines()]
        assert rows == running.rows(query)
        assert rows[3] == {"id": "4", "customer": None, "nothing": None, "empty": ""}
        assert rows[5]["customer"] == 'Dennis "dmr" R., C'

    def test_links_are_good_for_an_hour(self, running):
        body = running.results(running.finish("SELECT 1 AS one")).json()
        for link in (body["csv"], body["json"]):
            parameters = urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)
            assert parameters["X-Amz-Expires"] == ["3600"]

    def test_it_is_rendered_once(self, running, stack):
        query = running.finish(ORDERS)
        s3, bucket = stack.aws("s3"), stack.outputs["ResultsBucket"]
        before = {it["Key"] for it in s3.list_objects_v2(Bucket=bucket, Prefix="results/").get("Contents", [])}
        assert key(query, "jsonl") not in before
        running.results(query)
        # A mark shows that nothing is written any more.
        s3.put_object(Bucket=bucket, Key=key(query, "jsonl"), Body=b"marked")
        body = running.results(query).json()
        assert requests.get(body["json"], timeout=30).text == "marked"

    def test_no_rows_are_an_empty_file(self, running):
        body = running.results(running.finish("SELECT id FROM orders WHERE id = '99'")).json()
        assert requests.get(body["json"], timeout=30).text == ""
        assert requests.get(body["csv"], timeout=30).text == '"id"\n'

    def test_a_query_that_failed_has_a_status(self, running):
        query = running.finish("SELECT * FROM nothing", "FAILED")
        for answer in (running.results(query), running.scroll(query)):
            assert answer.status_code == 200
            assert set(answer.json()) == {"QueryExecutionId", "Status"}
            status = answer.json()["Status"]
            assert status["State"] == "FAILED"
            assert status["Message"] == status["StateChangeReason"] != ""

    def test_a_result_that_is_not_kept_any_more_is_gone(self, running, stack):
        query = running.finish(ORDERS)
        stack.aws("s3").delete_object(Bucket=stack.outputs["ResultsBucket"], Key=key(query, "csv"))
        answer = running.results(query)
        assert answer.status_code == 410 and "not kept any more" in answer.json()["message"]

    def test_a_rendering_that_takes_long_is_asked_for_again(self, running, stack, client):
        query = running.finish(ORDERS)
        with Function(stack, "ResultsFunction", RENDERING_SECONDS="0") as function:
            event = api_event("POST", "/v1/results", client, {"QueryExecutionId": query})
            first = function.invoke(event)
            assert first.status == 200 and first.body["csv"] and first.body["json"] is None
        body = eventually(lambda: running.results(query).json(), lambda it: it["json"], "rendering")
        assert len(requests.get(body["json"], timeout=30).text.splitlines()) == 6

    def test_a_rendering_that_could_not_be_asked_for_is_by_the_next_request(self, running, stack, client, aws):
        query = running.finish(ORDERS)
        event = api_event("POST", "/v1/results", client, {"QueryExecutionId": query})
        with Function(stack, "ResultsFunction", aws.endpoint) as function:
            aws.set("SendMessage", "refuse")
            assert function.invoke(event).status == 500
            aws.heal()
            again = function.invoke(event)
            assert again.status == 200 and again.body["json"]


class TestRendering:
    @pytest.fixture
    def render(self, stack, aws):
        with Function(stack, "RenderFunction", aws.endpoint) as function:
            yield function

    def test_memory_does_not_grow_with_the_result(self, stack, render):
        """A result eight times as large as a part: all of it never lies in memory."""
        query = new_query()
        row = f'"{"x" * 990}","1",\n'
        rows = 64_000
        s3, bucket = stack.aws("s3"), stack.outputs["ResultsBucket"]
        s3.put_object(Bucket=bucket, Key=key(query, "csv"), Body=('"a","b","c"\n' + row * rows).encode())
        assert failures(render.invoke(sqs_event({"execution_id": query}))) == [], render.log()
        assert render.peak_memory() < 100 * 1024 * 1024
        found = s3.get_object(Bucket=bucket, Key=key(query, "jsonl"))["Body"].read()
        expected = json.dumps({"a": "x" * 990, "b": "1", "c": None}, separators=(",", ":")).encode() + b"\n"
        assert len(found) == rows * len(expected)
        assert found[: len(expected)] == found[-len(expected) :] == expected
        for ending in ("csv", "jsonl"):
            s3.delete_object(Bucket=bucket, Key=key(query, ending))

    @pytest.mark.parametrize("operation", ["GetObject", "UploadPart", "CompleteMultipartUpload"])
    def test_one_that_fails_is_repeated_and_leaves_nothing_half_way(self, running, stack, render, aws, operation):
        query = running.finish(ORDERS)
        message = sqs_event({"execution_id": query})
        [message_id] = [record["messageId"] for record in message["Records"]]
        aws.set(operation, "refuse")
        assert failures(render.invoke(message)) == [message_id]
        aws.heal()
        s3, bucket = stack.aws("s3"), stack.outputs["ResultsBucket"]
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"results/{query}")
        assert {it["Key"] for it in listed["Contents"]} <= {key(query, "csv"), key(query, "csv.metadata")}
        assert not [it for it in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) if query in it["Key"]]
        assert failures(render.invoke(message)) == [], render.log()
        assert s3.get_object(Bucket=bucket, Key=key(query, "jsonl"))["Body"].read().count(b"\n") == 6

    def test_what_is_no_rendering_is_a_dead_letter(self, stack, render):
        body = f"no rendering {new_query()}"
        assert failures(render.invoke(sqs_event(body))) == []
        [dead_letter] = eventually(lambda: dead_letters(stack, "DeadRenderingsQueueUrl", body), bool, "dead letter")
        assert dead_letter["Body"] == body and dead_letter["MessageAttributes"]["reason"]["StringValue"]
        assert stack.cli("dead-letters", "drop", dead_letter["MessageId"]).returncode == 0

    def test_one_that_is_done_and_one_of_nothing_are_no_failures(self, running, render):
        query = running.finish(ORDERS)
        running.results(query)
        assert failures(render.invoke(sqs_event({"execution_id": query}))) == [], render.log()
        assert failures(render.invoke(sqs_event({"execution_id": new_query()}))) == []
        assert "rendered before" in render.log() and "not kept any more" in render.log()


class TestRows:
    @pytest.mark.parametrize("size", [1, 2, 999, 1000, None])
    def test_all_rows_come_in_pages(self, running, size):
        # One at a time would be many requests.
        table = "orders" if size in (1, 2) else "many"
        column = "id" if table == "orders" else "n"
        query = running.finish(f"SELECT {column} FROM {table}")
        rows = [row[column] for row in running.rows(query, size)]
        expected = range(1, 7) if table == "orders" else range(2500)
        assert rows == [str(n) for n in expected]

    def test_columns_of_the_same_name_are_told_apart(self, running):
        query = running.finish("SELECT 1 AS a, 2 AS a, 3 AS b")
        assert running.rows(query) == [{"a": "1", "a_2": "2", "b": "3"}]
        body = running.results(query).json()
        assert requests.get(body["json"], timeout=30).json() == {"a": "1", "a_2": "2", "b": "3"}

    def test_columns_are_in_their_order(self, running):
        query = running.finish("SELECT 1 AS z, 2 AS a, 3 AS m")
        [row] = running.rows(query)
        assert list(row) == ["z", "a", "m"]

    def test_a_page_that_would_be_too_large_has_fewer_rows(self, running):
        query = running.finish("SELECT n, repeat('x', 20000) AS x FROM many LIMIT 400")
        first = running.scroll(query).json()
        assert 0 < len(first["results"]) < 400
        assert [row["n"] for row in running.rows(query)] == [str(n) for n in range(400)]

    @pytest.mark.parametrize("number", [0, 1001, -1, 1.5, "ten", True])
    def test_numbers_of_rows_that_make_no_sense(self, running, number):
        answer = running.scroll(running.finish("SELECT 1"), MaxResults=number)
        assert (answer.status_code, answer.json()["field"]) == (400, "MaxResults")

    def test_tokens_that_are_none_or_of_another_query(self, running):
        query, other = running.finish("SELECT n FROM many"), running.finish("SELECT n FROM many")
        token = running.scroll(other).json()["NextToken"]
        for wrong in (token, "", "garbage", "🔑", "x" * 5000, token[:-4]):
            answer = running.scroll(query, NextToken=wrong)
            assert (answer.status_code, answer.json()["field"]) == (400, "NextToken"), wrong
        assert running.scroll(other, NextToken=token).status_code == 200


class TestForms:
    """The id of a query may come as it is copied from elsewhere."""

    def test_the_whole_object_of_a_query_will_do(self, running, stack, client):
        query = running.finish(ORDERS)
        copied = stack.call("GET", f"/v1/queries/{query}", client).json()
        assert set(copied) == {"QueryExecutionId", "Status"}
        assert set(running.post("results", copied).json()) == {"QueryExecutionId", "csv", "json"}
        rows = running.post("scrollResults", copied).json()["results"]
        assert rows == running.rows(query)
        # Athena's own object has more, and none of it counts here.
        copied |= {"Query": "DROP TABLE orders", "Statistics": {"DataScannedInBytes": 1}, "WorkGroup": None}
        assert running.post("scrollResults", copied).json()["results"] == rows

    def test_parameters_will_do(self, running):
        query = running.finish(ORDERS)
        by_post, by_get = running.results(query).json(), running.get("results", QueryExecutionId=query).json()
        assert set(by_get) == set(by_post) == {"QueryExecutionId", "csv", "json"}
        rows: list[dict] = []
        token: dict[str, str | None] = {}
        for _ in range(3):
            page = running.get("scrollResults", QueryExecutionId=query, MaxResults=2, **token).json()
            assert len(page["results"]) == 2
            rows += page["results"]
            token = {"NextToken": page.get("NextToken")}
        assert rows == running.rows(query) and token == {"NextToken": None}

    @pytest.mark.parametrize(
        ("parameters", "field"),
        [
            ({}, "QueryExecutionId"),
            ({"QueryExecutionId": ""}, "QueryExecutionId"),
            ({"QueryExecutionId": "a b"}, "QueryExecutionId"),
            ({"QueryExecutionId": "x" * 200}, "QueryExecutionId"),
            ({"QueryExecutionId": ["a", "b"]}, "QueryExecutionId"),
            ({"QueryExecutionId": "a", "MaxResults": "0"}, "MaxResults"),
            ({"QueryExecutionId": "a", "MaxResults": "1001"}, "MaxResults"),
            ({"QueryExecutionId": "a", "MaxResults": "ten"}, "MaxResults"),
            ({"QueryExecutionId": "a", "MaxResults": ["1", "2"]}, "MaxResults"),
            ({"QueryExecutionId": "a", "NextToken": ["x", "y"]}, "NextToken"),
        ],
    )
    def test_parameters_that_make_no_sense(self, running, parameters, field):
        answer = running.get("scrollResults", **parameters)
        assert (answer.status_code, answer.json()["field"]) == (400, field)

    def test_a_token_that_is_none(self, running):
        query = running.finish("SELECT 1 AS one")
        answer = running.get("scrollResults", QueryExecutionId=query, NextToken="garbage")
        assert (answer.status_code, answer.json()["field"]) == (400, "NextToken")

    @pytest.mark.parametrize("path", ["results", "scrollResults"])
    def test_another_clients_query_and_none_at_all_are_the_same_404(self, running, other_client, path):
        query = running.finish("SELECT 1")
        foreign = running.of(other_client).get(path, QueryExecutionId=query)
        unknown = running.get(path, QueryExecutionId=new_query())
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json()["message"] == unknown.json()["message"]


@pytest.mark.parametrize("path", ["results", "scrollResults"])
class TestBadInput:
    def test_another_clients_query_and_none_at_all_are_the_same_404(self, running, other_client, path):
        query = running.finish("SELECT 1")
        other = running.of(other_client)
        foreign = other.post(path, {"QueryExecutionId": query})
        unknown = other.post(path, {"QueryExecutionId": new_query()})
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json()["message"] == unknown.json()["message"]

    def test_a_query_of_the_providers_own_has_its_result_elsewhere(self, running, publisher, stack, path):
        query = new_query()
        stack.register(publisher, query, running.client)
        stack.complete(query)
        answer = running.post(path, {"QueryExecutionId": query})
        assert answer.status_code == 409 and "not kept here" in answer.json()["message"]

    @pytest.mark.parametrize("wrong", [None, "", 5, ["a"], "a b", "x" * 3000])
    def test_an_id_that_is_none(self, running, path, wrong):
        answer = running.post(path, {"QueryExecutionId": wrong})
        assert answer.status_code == 400 and "QueryExecutionId" in answer.json()["message"]

    def test_bodies_that_are_none(self, running, path):
        for body in ({}, {"Status": {"State": "SUCCEEDED"}}):
            assert running.post(path, body).status_code == 400
        assert running.stack.call("POST", f"/v1/{path}", running.client, data=b"no JSON").status_code == 400
        assert running.stack.call("POST", f"/v1/{path}", json={"QueryExecutionId": "a"}).status_code == 401
