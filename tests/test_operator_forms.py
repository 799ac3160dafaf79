"""The operator's console without a browser: what its forms do, as whoever sends them sees it."""

import re

import pytest
import requests
from conftest import dead_letters_lock
from receiver import Answer, Receiver
from streams import eventually


def found(pattern: str, text: str) -> str:
    """The group of a pattern that the text has."""
    match = re.search(pattern, text)
    assert match, pattern
    return match[1]


class Forms:
    """The console, signed in."""

    def __init__(self, stack, client):
        self.url = f"{stack.url}/operator"
        answer = self.send("sign-in", {"api_key": client.api_key}, {})
        assert (answer.status_code, answer.headers["Location"]) == (303, "health")
        self.cookie = "bellwire-session=" + found(r"bellwire-session=(\w[^;]*)", answer.headers["Set-Cookie"])
        self.token = found(r'name="form_token" value="(\w+)"', self.get("clients/new"))

    def get(self, page: str) -> str:
        answer = requests.get(f"{self.url}/{page}", headers={"Cookie": self.cookie}, timeout=30, allow_redirects=False)
        assert answer.status_code == 200, answer.headers
        return answer.text

    def send(self, page: str, fields: dict, headers: dict | None = None) -> requests.Response:
        headers = {"Cookie": self.cookie} if headers is None else headers
        fields = fields if "api_key" in fields else {"form_token": self.token} | fields
        return requests.post(f"{self.url}/{page}", data=fields, headers=headers, timeout=30, allow_redirects=False)


@pytest.fixture(scope="module")
def forms(stack):
    return Forms(stack, stack.new_client(operator=True))


def test_dead_letters_are_processed_again(forms, streams):
    answers = {"status": 503}
    with Receiver(answer=lambda _: Answer(answers["status"])) as receiver, dead_letters_lock():
        subscription = streams.subscribe(streams.topic(), receiver.url)
        streams.publish(subscription["topicId"], {"n": 1})

        def rows() -> list[str]:
            shown = forms.get("dead-letters").split("<tr>")
            return [row for row in shown if subscription["id"] in row]

        [row] = eventually(rows, bool, "dead letter", 60)
        answers["status"] = 200
        chosen = found(r'name="id" value="([^"]+)"', row)
        answer = forms.send("dead-letters/redrive", {"id": chosen})
        assert (answer.status_code, answer.headers["Location"]) == (303, "../dead-letters?done=redriven")
        eventually(lambda: streams.exchanges(subscription), lambda it: it[-1].get("responseCode") == 200, "delivery")
        assert rows() == []
        answer = forms.send("dead-letters/drop", {"id": chosen})
        assert answer.headers["Location"] == "../dead-letters?done=nothing"


def test_a_form_without_its_token_does_nothing(forms, client, stack):
    for fields in ({"form_token": ""}, {"form_token": "0" * 64}):
        answer = forms.send(f"clients/{client.client_id}/disable", fields)
        assert answer.status_code == 403
    assert stack.call("GET", "/v1/hello", client).status_code == 200


def test_what_it_is_asked_in_another_way_is_no_page(forms):
    headers = {"Cookie": forms.cookie}
    for method, page, status in [("PUT", "health", 405), ("GET", "nothing", 404), ("GET", "clients/x/y/z", 404)]:
        answer = requests.request(method, f"{forms.url}/{page}", headers=headers, timeout=30)
        assert answer.status_code == status
    assert "no-store" in requests.head(f"{forms.url}/health", headers=headers, timeout=30).headers["Cache-Control"]
