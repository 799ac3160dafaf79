"""`make invoke`: what is missing is said in one line; the function gets a client that the stack knows."""

import json
import subprocess
import sys

import pytest
from settings import ROOT, environment

EVENT = "events/subscribe/list.json"


def invoke(*arguments: str, **more: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "local/invoke.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(**more), capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("arguments", [[], ["", ""], ["SubscribeFunction", ""]])
def test_without_a_function_or_an_event_it_says_how_to_call_it(arguments):
    done = invoke(*arguments)
    assert done.returncode == 1
    usage, functions = done.stderr.splitlines()
    assert usage == "error: usage: make invoke FUNCTION=SubscribeFunction EVENT=events/subscribe/callback-url.json"
    assert "DeliverFunction" in functions and "WebhookSubscriptionsFunction" in functions


def test_a_function_that_is_none():
    done = invoke("Subscribe", EVENT)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no function Subscribe; there are AttemptCountsFunction, ")


def test_an_event_that_is_none_names_those_of_the_function():
    done = invoke("SubscribeFunction", "events/subscribe/nothing.json")
    assert done.returncode == 1
    assert "there is no file events/subscribe/nothing.json; for SubscribeFunction there are" in done.stderr
    assert "events/subscribe/callback-url.json" in done.stderr and "events/topics" not in done.stderr


def test_no_docker(tmp_path):
    done = invoke("SubscribeFunction", EVENT, DOCKER_HOST=f"unix://{tmp_path}/docker.sock")
    assert done.returncode == 1
    assert done.stderr.startswith("error: `sam local invoke` needs Docker, and none answers here (")
    assert len(done.stderr.splitlines()) == 1


def test_the_made_up_client_is_replaced_by_one_that_the_stack_knows(stack):
    import invoke as module

    event = json.loads(module.with_client((ROOT / "events/topics/list.json").read_text(), stack.env))
    key = event["headers"]["x-api-key"]
    assert stack.call("GET", "/v1/subscribe", headers={"x-api-key": key}).status_code == 200
    again = json.loads(module.with_client((ROOT / "events/topics/list.json").read_text(), stack.env))
    assert again["headers"]["x-api-key"] == key
