"""Running queries, as a customer does."""

import time

import requests
from conftest import Client, Stack
from streams import eventually

TERMINAL = ("SUCCEEDED", "FAILED", "CANCELLED")


class Running:
    """A customer who runs queries and reads their results."""

    def __init__(self, stack: Stack, client: Client):
        self.stack = stack
        self.client = client

    def of(self, client: Client) -> "Running":
        return Running(self.stack, client)

    def post(self, path: str, body: dict) -> requests.Response:
        return self.stack.call("POST", f"/v1/{path}", self.client, json=body)

    def get(self, path: str, **parameters) -> requests.Response:
        return self.stack.call("GET", f"/v1/{path}", self.client, params=parameters)

    def ask(self, sql: str, **more) -> requests.Response:
        return self.post("queries", {"QueryString": sql, **more})

    def start(self, sql: str, **more) -> str:
        answer = self.ask(sql, **more)
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"QueryExecutionId"}
        return answer.json()["QueryExecutionId"]

    def status(self, query: str) -> dict:
        answer = self.stack.call("GET", f"/v1/queries/{query}", self.client)
        assert answer.status_code == 200, answer.text
        return answer.json()["Status"]

    def finish(self, sql: str, state: str = "SUCCEEDED") -> str:
        """Runs a query, and looks at it until it has ended."""
        query = self.start(sql)
        deadline = time.monotonic() + 30
        while (status := self.status(query))["State"] not in TERMINAL:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{status} after 30 s")
            time.sleep(0.1)
        assert status["State"] == state, status
        return query

    def listed(self, **parameters) -> dict:
        answer = self.stack.call("GET", "/v1/queries", self.client, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def results(self, query: str) -> requests.Response:
        return self.post("results", {"QueryExecutionId": query})

    def scroll(self, query: str, **more) -> requests.Response:
        return self.post("scrollResults", {"QueryExecutionId": query, **more})

    def rows(self, query: str, size: int | None = None) -> list[dict]:
        """All rows, page by page."""
        rows, more = [], {} if size is None else {"MaxResults": size}
        for _ in range(10_000):
            answer = self.scroll(query, **more)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert page["QueryExecutionId"] == query
            assert len(page["results"]) <= (size or 1000)
            rows += page["results"]
            if "NextToken" not in page:
                return rows
            more["NextToken"] = page["NextToken"]
        raise AssertionError("there is no end")

    def wait_in_athena(self, query: str) -> None:
        """Waits for the end of a query in Athena, without a request to Bellwire."""
        athena = self.stack.aws("athena")
        eventually(
            lambda: athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"],
            lambda state: state == "SUCCEEDED",
            "end",
        )
