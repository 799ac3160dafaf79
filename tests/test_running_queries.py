"""Running queries: what a customer does before the notification."""

import json
import time
import uuid

import pytest
from botocore.exceptions import ClientError
from conftest import at_once, completion, is_notification, role_credentials
from data import WITHOUT_EVENTS
from runtime_api import Function, api_event
from streams import eventually

ORDERS = "SELECT id, customer FROM orders WHERE country = 'US' ORDER BY id"
# The same, whose events get lost.
MISSED = f"{ORDERS} {WITHOUT_EVENTS}"


class TestRunning:
    def test_the_whole_story(self, running, stack, receiver):
        """Run, be notified, read."""
        stack.confirmed(running.client, receiver)
        query = running.start(ORDERS)
        # Without a request: Athena's events come by themselves.
        [notification] = receiver.wait_for(is_notification)
        assert (notification.json()["status"], notification.json()["QueryExecutionId"]) == ("SUCCEEDED", query)
        status = running.status(query)
        assert status["State"] == "SUCCEEDED"
        assert status["SubmissionDateTime"] <= status["CompletionDateTime"]
        assert running.rows(query) == [
            {"id": "2", "customer": "Grace"},
            {"id": "4", "customer": None},
            {"id": "5", "customer": "Margaret"},
            {"id": "6", "customer": 'Dennis "dmr" R., C'},
        ]

    def test_a_query_is_on_record_before_the_answer(self, running):
        query = running.start("SELECT 1 AS one")
        [listed] = running.listed()["query_executions"]
        assert listed["QueryExecutionId"] == query
        assert listed["Status"]["SubmissionDateTime"]

    def test_whoever_waits_gets_the_first_rows(self, running):
        body = running.ask(ORDERS, wait=True).json()
        assert set(body) == {"QueryExecutionId", "results"}
        assert [row["id"] for row in body["results"]] == ["2", "4", "5", "6"]
        body = running.ask("SELECT n FROM many", wait=True).json()
        assert len(body["results"]) == 999 and body["NextToken"]
        more = running.scroll(body["QueryExecutionId"], NextToken=body["NextToken"]).json()
        assert more["results"][0]["n"] == "999"

    def test_whoever_waits_for_a_query_that_fails_gets_its_status(self, running):
        body = running.ask("SELECT * FROM nothing", wait=True).json()
        assert set(body) == {"QueryExecutionId", "Status"}
        assert body["Status"]["State"] == "FAILED" and "nothing" in body["Status"]["StateChangeReason"]

    def test_a_syntax_error_is_the_querys_own_failure(self, running):
        query = running.finish("SELECT FROM WHERE", "FAILED")
        assert "syntax error" in running.status(query)["StateChangeReason"]

    def test_a_table_without_a_database_is_of_the_first_one(self, running):
        query = running.finish("SELECT total FROM sales.totals UNION SELECT id FROM demo.orders WHERE id = '1'")
        assert len(running.rows(query)) == 2
        running.finish("SELECT * FROM totals", "FAILED")


class TestTokens:
    def test_a_repeated_request_starts_one_query(self, running, stack):
        token = {"ClientRequestToken": "my-token"}
        ids = {it.json()["QueryExecutionId"] for it in at_once(*[lambda: running.ask(ORDERS, **token)] * 4)}
        assert len(ids) == 1
        assert running.start(ORDERS, **token) in ids
        assert len(running.listed()["query_executions"]) == 1
        started = stack.aws("athena").list_query_executions(WorkGroup=stack.outputs["Workgroup"])
        assert len(ids & set(started["QueryExecutionIds"])) == 1

    def test_a_request_that_is_repeated_while_its_owner_is_being_notified_has_its_answer(self, running, stack):
        query = running.start(MISSED, ClientRequestToken="t")
        # As of the moment in which another function publishes its end.
        in_half_a_minute = str(int(time.time()) + 30)
        stack.aws("dynamodb").update_item(
            TableName=stack.outputs["QueriesTable"],
            Key={"execution_id": {"S": query}},
            UpdateExpression="SET #state = :state, completed_at = :at, turn_until = :turn",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={
                ":state": {"S": "SUCCEEDED"},
                ":at": {"S": "2026-11-24T08:00:00.000000Z"},
                ":turn": {"N": in_half_a_minute},
            },
        )
        assert running.start(MISSED, ClientRequestToken="t") == query

    def test_a_token_is_for_one_statement(self, running):
        running.start(ORDERS, ClientRequestToken="t")
        answer = running.ask("SELECT 1", ClientRequestToken="t")
        assert answer.status_code == 409 and answer.json()["field"] == "ClientRequestToken"

    def test_two_clients_tokens_are_never_the_same(self, running, other_client):
        mine = running.start(ORDERS, ClientRequestToken="t")
        assert running.of(other_client).start(ORDERS, ClientRequestToken="t") != mine

    def test_without_a_token_each_request_starts_one(self, running):
        assert running.start(ORDERS) != running.start(ORDERS)


class TestLimits:
    """A customer's SQL reads the named databases, and changes nothing."""

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM secret.salaries",
            'SELECT * FROM "secret"."salaries"',
            'SELECT * FROM "awsdatacatalog".secret.salaries',
            "SELECT * FROM orders o JOIN secret.salaries s ON o.customer = s.name",
            "SELECT (SELECT max(amount) FROM secret.salaries) AS most FROM orders",
            "WITH s AS (SELECT * FROM secret.salaries) SELECT * FROM s",
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM /* orders */ secret.salaries)",
        ],
    )
    def test_another_database_is_not_read(self, running, sql):
        query = running.finish(sql, "FAILED")
        assert "not authorized to perform: glue:GetDatabase" in running.status(query)["StateChangeReason"]

    @pytest.mark.parametrize(
        ("sql", "reason"),
        [
            ("", "is empty"),
            ("  -- nothing", "is empty"),
            ("SELECT 1; SELECT 2", "one statement"),
            ("SELECT 1; DROP TABLE orders", "one statement"),
            ("DROP TABLE orders", "must be a SELECT"),
            ("CREATE TABLE mine AS SELECT * FROM orders", "must be a SELECT"),
            ("CREATE EXTERNAL TABLE mine (a string) LOCATION 's3://bellwire-local-data/secret/'", "must be a SELECT"),
            ("INSERT INTO orders VALUES ('7', 'Eve', 'US', '0')", "must be a SELECT"),
            ("DELETE FROM orders", "must be a SELECT"),
            ("UNLOAD (SELECT * FROM orders) TO 's3://b/' WITH (format = 'JSON')", "must be a SELECT"),
            # For Athena the comment ends at \r.
            ("--\rUNLOAD (SELECT * FROM orders) TO 's3://b/' WITH (format = 'JSON')\nSELECT 1", "must be a SELECT"),
            ("-- \u2028UNLOAD (SELECT 1) TO 's3://b/'\nSELECT 1", "must not contain control characters"),
            ("/* SELECT */ ALTER TABLE orders ADD COLUMNS (x int)", "must be a SELECT"),
            ("SELECT 'no end", "Unterminated"),
            (f"SELECT '{'x' * 300_000}'", "at most 262144 bytes"),
        ],
        ids=range(15),
    )
    def test_what_is_no_reading_statement_is_refused(self, running, sql, reason):
        answer = running.ask(sql)
        assert (answer.status_code, answer.json()["field"]) == (400, "QueryString")
        assert reason in answer.json()["message"]
        assert running.listed()["query_executions"] == []

    @pytest.mark.parametrize(
        ("sql", "action"),
        [
            ("DROP TABLE demo.orders", "glue:DeleteTable"),
            (
                "CREATE EXTERNAL TABLE demo.mine (a string) LOCATION 's3://bellwire-local-data/secret/'",
                "glue:CreateTable",
            ),
            ("SELECT * FROM secret.salaries", "glue:GetDatabase"),
        ],
    )
    def test_the_functions_role_may_not_either(self, stack, tables, sql, action):
        """What IAM says of the role, if a statement got past the function."""
        credentials = role_credentials(stack, "QueriesRole")
        athena = stack.aws("athena", credentials)
        query = athena.start_query_execution(QueryString=sql, WorkGroup=stack.outputs["Workgroup"])["QueryExecutionId"]
        status = eventually(
            lambda: stack.aws("athena").get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"],
            lambda it: it["State"] not in ("QUEUED", "RUNNING"),
            "end",
        )
        assert status["State"] == "FAILED"
        assert f"not authorized to perform: {action}" in status["StateChangeReason"]
        names = {it["Name"] for it in stack.aws("glue").get_tables(DatabaseName="demo")["TableList"]}
        assert "orders" in names and "mine" not in names

    def test_the_functions_role_writes_results_and_nothing_beside_them(self, stack):
        # An UNLOAD writes to the place that it names, under names that Athena chooses.
        s3, bucket = stack.aws("s3", role_credentials(stack, "QueriesRole")), stack.outputs["ResultsBucket"]
        result = f"results/{uuid.uuid4()}.csv"
        for key in (result, f"{result}.metadata"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
            stack.aws("s3").delete_object(Bucket=bucket, Key=key)
        for key in (
            f"results/20261124_120000_00001_abcde_{uuid.uuid4()}.gz",
            f"results/{uuid.uuid4()}/20261124_120000_00001_abcde_{uuid.uuid4()}",
            f"{result}/20261124_120000_00001_abcde_{uuid.uuid4()}.gz",
            f"results/{uuid.uuid4()}.jsonl",
            "elsewhere",
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                s3.put_object(Bucket=bucket, Key=key, Body=b"")

    def test_a_stack_that_names_no_database_runs_nothing(self, stack, client):
        with Function(stack, "QueriesFunction", WORKGROUP="", QUERY_DATABASE="") as function:
            answer = function.invoke(api_event("POST", "/v1/queries", client, {"QueryString": "SELECT 1"}))
        assert answer.status == 403 and "does not run queries" in answer.body["message"]


class TestReading:
    def test_a_query_whose_event_was_missed_is_brought_up_to_date(self, running, stack, receiver):
        stack.confirmed(running.client, receiver)
        query = running.finish(MISSED)
        status = running.status(query)
        assert status["State"] == "SUCCEEDED" and status["CompletionDateTime"]
        # This read notifies its owner; the event, which comes after all, notifies nobody a second time.
        receiver.wait_for(is_notification)
        stack.complete(query)
        other = running.start(ORDERS)
        arrivals = receiver.wait_for(is_notification, 2)
        assert [it.json()["QueryExecutionId"] for it in arrivals] == [query, other]

    def test_an_owner_who_could_not_be_notified_is_notified_by_the_next_read(
        self, running, stack, receiver, aws, client
    ):
        stack.confirmed(client, receiver)
        query = running.start(MISSED)
        running.wait_in_athena(query)
        event = api_event("GET", f"/v1/queries/{query}", client, id=query)
        with Function(stack, "QueriesFunction", aws.endpoint) as function:
            aws.set("Publish", "refuse")
            answer = function.invoke(event)
            # The answer shows the end all the same.
            assert answer.status == 200 and answer.body["Status"]["State"] == "SUCCEEDED"
            assert "the owner could not be notified" in function.log()
            assert receiver.matching(is_notification) == []
            aws.heal()
            assert function.invoke(event).status == 200
            receiver.wait_for(is_notification)
            assert function.invoke(event).status == 200
        assert len(receiver.matching(is_notification)) == 1

    def test_whoever_asks_for_the_result_first_has_it_and_the_owner_is_notified(self, running, stack, receiver):
        stack.confirmed(running.client, receiver)
        query = running.start(MISSED)
        running.wait_in_athena(query)
        answer = running.post("results", {"QueryExecutionId": query})
        assert answer.status_code == 200 and answer.json()["csv"], answer.text
        [notification] = receiver.wait_for(is_notification)
        assert notification.json()["QueryExecutionId"] == query

    def test_the_list_brings_up_to_date_too(self, running):
        queries = [running.start(MISSED) for _ in range(3)]
        states = eventually(
            lambda: [it["Status"]["State"] for it in running.listed()["query_executions"]],
            lambda states: states == ["SUCCEEDED"] * 3,
            "three ends",
        )
        assert len(states) == len(queries)

    def test_whoever_asked_for_failures_is_notified_of_them_with_the_reason(self, running, stack, receiver):
        stack.confirmed(running.client, receiver, statuses=["FAILED", "CANCELLED"])
        failed = running.finish("SELECT * FROM nothing", "FAILED")
        running.finish(MISSED)
        cancelled = running.start(MISSED)
        stack.play(completion(cancelled, "CANCELLED", reason="Query was cancelled by user"))
        arrivals = receiver.wait_for(is_notification, 2)
        notified = {it.json()["QueryExecutionId"]: it.json() for it in arrivals}
        assert set(notified) == {failed, cancelled}
        assert notified[failed]["status"] == "FAILED" and "nothing" in notified[failed]["state_change_reason"]
        assert notified[cancelled]["status"] == "CANCELLED"
        assert notified[cancelled]["state_change_reason"] == "Query was cancelled by user"

    def test_athena_that_fails_is_no_failure_of_reading(self, running, stack, aws, client, publisher):
        query = running.start(MISSED)
        with Function(stack, "QueriesFunction", aws.endpoint) as function:
            aws.set("BatchGetQueryExecution", "refuse")
            answer = function.invoke(api_event("GET", f"/v1/queries/{query}", client, id=query))
            assert answer.status == 200 and answer.body["Status"]["State"] == "QUEUED"
            assert "states are shown as they are on record" in function.log()


class TestList:
    def test_newest_first_in_pages_and_the_callers_only(self, running, other_client):
        queries = [running.start("SELECT 1") for _ in range(5)]
        running.of(other_client).start("SELECT 1")
        seen, parameters = [], {"pagesize": 2}
        for _ in range(5):
            page = running.listed(**parameters)
            assert len(page["query_executions"]) <= 2
            seen += [it["QueryExecutionId"] for it in page["query_executions"]]
            if "next_token" not in page:
                break
            parameters["pagination_token"] = page["next_token"]
        assert seen == queries[::-1]
        assert len(running.listed()["query_executions"]) == 5

    def test_a_page_has_twenty_unless_asked_otherwise(self, running, publisher, stack):
        for n in range(21):
            stack.register(publisher, f"q-{running.client.client_id}-{n}", running.client)
        page = running.listed()
        assert len(page["query_executions"]) == 20 and page["next_token"]
        assert len(running.listed(pagesize=100)["query_executions"]) == 21

    def test_by_state(self, running, stack, publisher):
        failed = [running.finish("SELECT * FROM nothing", "FAILED") for _ in range(2)]
        succeeded = running.finish(ORDERS)
        queued = f"queued-{succeeded}"
        stack.register(publisher, queued, running.client)
        for state, expected in [
            ("FAILED", failed[::-1]),
            ("SUCCEEDED", [succeeded]),
            ("QUEUED", [queued]),
            ("RUNNING", []),
        ]:
            found = [it["QueryExecutionId"] for it in running.listed(state=state)["query_executions"]]
            assert found == expected, state
        page = running.listed(state="FAILED", pagesize=1)
        assert [it["QueryExecutionId"] for it in page["query_executions"]] == failed[1:]
        page = running.listed(state="FAILED", pagesize=1, pagination_token=page["next_token"])
        assert [it["QueryExecutionId"] for it in page["query_executions"]] == failed[:1]

    @pytest.mark.parametrize(
        ("parameter", "value"),
        [
            *[("state", it) for it in ("", "succeeded", "DONE", "x" * 3000)],
            *[("pagesize", it) for it in ("", "0", "101", "-1", "ten", "1.5")],
            *[("pagination_token", it) for it in ("", "garbage", "🔑", "AAAA", "x" * 5000, "MjAyNg")],
        ],
    )
    def test_parameters_that_make_no_sense(self, running, parameter, value):
        answer = running.stack.call("GET", "/v1/queries", running.client, params={parameter: value})
        assert (answer.status_code, answer.json()["field"]) == (400, parameter)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "QueryString or QueryExecutionId"),
        ({"QueryString": None}, "QueryString or QueryExecutionId"),
        ({"QueryString": 5}, "QueryString"),
        ({"QueryString": ["SELECT 1"]}, "QueryString"),
        ({"QueryString": "SELECT 1", "wait": "yes"}, "wait"),
        ({"QueryString": "SELECT 1", "wait": 1}, "wait"),
        ({"QueryString": "SELECT 1", "ClientRequestToken": ""}, "ClientRequestToken"),
        ({"QueryString": "SELECT 1", "ClientRequestToken": 5}, "ClientRequestToken"),
        ({"QueryString": "SELECT 1", "ClientRequestToken": "x" * 129}, "ClientRequestToken"),
        ({"QueryString": "SELECT 1", "client_id": "cl_a"}, "client_id"),
        ({"QueryString": "SELECT 1", "QueryExecutionId": "a"}, "not both"),
        ({"QueryString": "SELECT 1", "Database": "secret"}, "Database"),
        ({"QueryExecutionId": "a", "wait": True}, "wait"),
        ({"QueryExecutionId": "a"}, "client_id"),
    ],
    ids=range(14),
)
def test_requests_that_make_no_sense(running, body, words):
    answer = running.post("queries", body)
    assert answer.status_code == 400 and words in answer.json()["message"], answer.text


def test_a_body_that_is_too_large(running):
    answer = running.ask("x" * (1024 * 1024))
    assert answer.status_code == 413


class TestFaults:
    @pytest.mark.parametrize("fault", ["throttle", "refuse", "break off"])
    @pytest.mark.parametrize("operation", ["StartQueryExecution", "UpdateItem"])
    def test_a_start_that_breaks_off_is_made_good_by_the_same_request(
        self, running, stack, client, aws, operation, fault
    ):
        event = api_event("POST", "/v1/queries", client, {"QueryString": ORDERS, "ClientRequestToken": "t"})
        with Function(stack, "QueriesFunction", aws.endpoint) as function:
            aws.set(operation, fault)
            answer = function.invoke(event)
            # What breaks off in the table is found on record, by the SDK's next attempt.
            assert answer.status >= 500 or (operation, fault) == ("UpdateItem", "break off"), answer.payload
            aws.heal()
            again = function.invoke(event)
            assert again.status == 200
        [listed] = running.listed()["query_executions"]
        assert listed["QueryExecutionId"] == again.body["QueryExecutionId"]

    @pytest.mark.parametrize("fault", ["throttle", "busy"])
    def test_athena_that_has_too_much_to_do_is_said_so(self, running, stack, client, aws, fault):
        event = api_event("POST", "/v1/queries", client, {"QueryString": ORDERS})
        with Function(stack, "QueriesFunction", aws.endpoint) as function:
            aws.set("StartQueryExecution", fault)
            answer = function.invoke(event)
        assert (answer.status, answer.body["message"]) == (503, "too many queries; please try again")

    def test_no_sql_is_logged(self, running, stack, client, aws):
        with Function(stack, "QueriesFunction", aws.endpoint) as function:
            for sql in ("SELECT 'hunter2'", "DROP hunter2"):
                function.invoke(api_event("POST", "/v1/queries", client, {"QueryString": sql}))
            aws.set("StartQueryExecution", "refuse")
            function.invoke(api_event("POST", "/v1/queries", client, {"QueryString": "SELECT 'hunter2'"}))
            assert json.dumps(client.client_id) in function.log()
            assert "hunter2" not in function.log()
