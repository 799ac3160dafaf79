"""Athena as on AWS: what MiniStack's does otherwise, as far as the product depends on it."""

import contextvars
import json
from urllib.parse import urlparse

from data import WITHOUT_EVENTS
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import athena, eventbridge, glue, s3

# Whose request it is; an execution runs in the context of the request that started it.
access_key = contextvars.ContextVar("access_key", default="")


def correct() -> None:
    correct_resources()
    correct_request_tokens()
    correct_permissions()
    correct_files()
    correct_pages()
    correct_events()


def correct_resources() -> None:
    """The resource that the permission to look at an execution is asked of.

    MiniStack asks for `*`. On AWS it is the workgroup that the execution runs in.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonathena.html
    """
    original = iam_actions.extract_resource_arn

    def extract_resource_arn(service: str, method: str, path: str, headers: dict, body: bytes, *rest) -> str:
        arn = original(service, method, path, headers, body, *rest)
        if service == "athena" and arn == "*":
            request = json.loads(body or b"{}")
            ids = [request.get("QueryExecutionId"), *request.get("QueryExecutionIds", [])]
            groups = {athena._executions[it]["WorkGroup"] for it in ids if it in athena._executions}
            for group in sorted(groups)[:1]:
                return athena._arn_workgroup(group)
            if any(ids):
                return athena._arn_workgroup("primary")
        return arn

    iam_actions.extract_resource_arn = extract_resource_arn


def correct_request_tokens() -> None:
    """StartQueryExecution with a ClientRequestToken.

    MiniStack starts a query each time. AWS answers a repeated token with the execution that
    it has started, or with an error when the request has changed.
    https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html
    """
    original = athena._start_query_execution
    started: dict[str, tuple[dict, tuple]] = {}

    def start_query_execution(data: dict) -> tuple:
        token = data.get("ClientRequestToken")
        if token in started:
            request, answer = started[token]
            if request == data:
                return answer
            return error_response_json("InvalidRequestException", "Idempotent parameters do not match", 400)
        answer = original(data)
        if token and answer[0] == 200:
            started[token] = (data, answer)
        return answer

    athena._start_query_execution = start_query_execution


def correct_permissions() -> None:
    """What a query may read and change.

    MiniStack's engine reads tables and files past IAM. On AWS a query has the permissions of
    whoever started it: on tables in Glue, and on their files in S3.
    https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
    """
    original_request, original_execution = athena.handle_request, athena._execute_query

    async def handle_request(method, path, headers, body, query_params):
        access_key.set(extract_access_key_id(headers, query_params))
        return await original_request(method, path, headers, body, query_params)

    async def execute_query(query_id, query, database, ddl, catalog=None):
        try:
            check(query, database, ddl)
        except PermissionError as denied:
            status = athena._executions[query_id]["Status"]
            status |= {"State": "FAILED", "StateChangeReason": str(denied)}
            status["CompletionDateTime"] = status["SubmissionDateTime"]
            return
        await original_execution(query_id, query, database, ddl, catalog)

    athena.handle_request, athena._execute_query = handle_request, execute_query


def check(query: str, database: str, ddl) -> None:
    """Raises a PermissionError, with AWS's words, for what the caller may not do."""
    if ddl is not None:
        action = "glue:DeleteTable" if isinstance(ddl, athena._DropTable) else "glue:CreateTable"
        allow(action, "glue", glue_arn(ddl.database or database, ddl.table))
        return
    for reference in athena._table_references(query):
        name = reference.database or database
        allow("glue:GetDatabase", "glue", glue_arn(name))
        allow("glue:GetTable", "glue", glue_arn(name, reference.table))
        table = glue._tables.get(f"{name}/{reference.table}") or {}
        if location := (table.get("StorageDescriptor") or {}).get("Location"):
            url = urlparse(location)
            allow("s3:GetObject", "s3", f"arn:aws:s3:::{url.netloc}{url.path.rstrip('/')}/file")


def glue_arn(database: str, table: str | None = None) -> str:
    kind = "database" if table is None else "table"
    names = "/".join(filter(None, [database, table]))
    return f"arn:aws:glue:{get_region()}:{get_account_id()}:{kind}/{names}"


def allow(action: str, service: str, resource: str) -> None:
    denied = iam_evaluator.enforce(access_key.get(), action, service, get_region(), resource)
    if denied is not None:
        raise PermissionError(
            "Insufficient permissions to execute the query. User is not authorized to perform: "
            f"{action} on resource: {resource}"
        )


def correct_files() -> None:
    """Where a result lies, and how it is written.

    MiniStack takes the file's name for a folder and puts the file into it, and writes a NULL
    like an empty text. On AWS OutputLocation is the file; in it all values are in double quotes,
    and a NULL is nothing at all.
    https://docs.aws.amazon.com/athena/latest/ug/querying-finding-output-files.html
    """

    async def save(query_id: str) -> None:
        execution = athena._executions[query_id]
        location = urlparse(execution["ResultConfiguration"]["OutputLocation"])
        columns, rows = execution["_results"]["columns"], execution["_results"]["rows"]
        text = "".join(",".join(map(cell, row)) + "\n" for row in [columns, *rows])
        for suffix, content in {"": text, ".metadata": ",".join(columns)}.items():
            body = content.encode()
            s3._put_object(
                location.netloc, location.path.lstrip("/") + suffix, body, {"content-length": str(len(body))}
            )

    athena._save_query_results = save


def cell(value) -> str:
    return "" if value is None else '"' + athena._datum_text(value).replace('"', '""') + '"'


def correct_pages() -> None:
    """GetQueryResults: how many rows a page has.

    MiniStack gives the row of column names on top of MaxResults. On AWS it is one of them.
    https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html
    """
    original = athena._get_query_results

    def get_query_results(data: dict) -> tuple:
        token = data.get("NextToken")
        if token is not None and not token.isdigit():
            return error_response_json("InvalidRequestException", "Invalid NextToken", 400)
        if token is None:
            data = data | {"MaxResults": data.get("MaxResults", 1000) - 1}
        return original(data)

    athena._get_query_results = get_query_results


def correct_events() -> None:
    """The events of a query's states, on the account's default bus.

    MiniStack puts none there. AWS puts one for each state that a query gets to. MiniStack also
    goes on with a query that was cancelled, and ends with another state.
    https://docs.aws.amazon.com/athena/latest/ug/athena-events.html
    """
    # Events can be late, or be lost on their way to a function: a query that says so has none.
    start, execute, stop = athena._start_query_execution, athena._execute_query, athena._stop_query_execution
    published: dict[str, list[str]] = {}

    def publish(query_id: str) -> None:
        execution = athena._executions[query_id]
        states = published.setdefault(query_id, [])
        state = execution["Status"]["State"]
        if state in states or "CANCELLED" in states:
            return
        states.append(state)
        if WITHOUT_EVENTS in execution["Query"]:
            return
        detail = {
            "versionId": "0",
            "currentState": state,
            "statementType": execution["StatementType"],
            "queryExecutionId": query_id,
            "workgroupName": execution["WorkGroup"],
            "sequenceNumber": str(len(states)),
        }
        if states[:-1]:
            detail["previousState"] = states[-2]
        if state == "FAILED":
            reason = execution["Status"]["StateChangeReason"]
            detail["athenaError"] = {"errorCategory": 2, "errorType": 0, "errorMessage": reason, "retryable": False}
        entry = {"Source": "aws.athena", "DetailType": "Athena Query State Change", "Detail": json.dumps(detail)}
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

    def start_query_execution(data: dict) -> tuple:
        answer = start(data)
        if answer[0] == 200:
            publish(json.loads(answer[2])["QueryExecutionId"])
        return answer

    async def execute_query(query_id, *arguments) -> None:
        status = athena._executions[query_id]["Status"]
        status["State"] = "RUNNING"
        publish(query_id)
        await execute(query_id, *arguments)
        if "CANCELLED" in published[query_id]:
            status["State"] = "CANCELLED"
        publish(query_id)

    def stop_query_execution(data: dict) -> tuple:
        answer = stop(data)
        query_id = data.get("QueryExecutionId", "")
        if athena._executions.get(query_id, {}).get("Status", {}).get("State") == "CANCELLED":
            publish(query_id)
        return answer

    athena._start_query_execution = start_query_execution
    athena._execute_query = execute_query
    athena._stop_query_execution = stop_query_execution
