"""`bellwire publish`: a file, or standard input, to a topic."""

import json
import subprocess
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from build import CLI
from settings import environment
from streams import bodies


def publish(stack, *arguments: str, key: str | None, text: str | None = None, **more: str):
    keys = {"BELLWIRE_API_KEY": key} if key is not None else {}
    env = environment(**(stack.env | keys | more))
    if key is None:
        env.pop("BELLWIRE_API_KEY", None)
    return subprocess.run(
        [str(CLI), "publish", *arguments], input=text, env=env, capture_output=True, text=True, timeout=60
    )


def test_a_file_and_standard_input_are_published_as_they_are(stack, streams, publisher, receiver, tmp_path):
    name = f"test é {uuid.uuid4()}"
    topic = streams.topic(name=name)
    streams.subscribe(topic, f"{receiver.url}/hook")
    file = tmp_path / "event.json"
    file.write_text('{ "n" :  1.0 }')
    done = publish(stack, topic, str(file), "--json", key=publisher.api_key)
    assert (done.returncode, done.stderr) == (0, "")
    assert uuid.UUID(json.loads(done.stdout)["id"])
    [body] = bodies(receiver, 1)
    assert body == {"n": 1.0}
    # By the topic's name, which is no part of a path as it is.
    for arguments in ([name], [name, "-"]):
        done = publish(stack, *arguments, key=publisher.api_key, text='"text"')
        assert (done.returncode, done.stderr) == (0, "")
        assert name in done.stdout
    assert bodies(receiver, 3)[1:] == ["text", "text"]


def test_with_a_key_it_is_published_once(stack, streams, publisher):
    topic = streams.topic()
    options = [topic, "--idempotency-key", str(uuid.uuid4()), "--json"]
    ids = {publish(stack, *options, key=publisher.api_key, text="{}").stdout for _ in range(2)}
    assert len(ids) == 1 and json.loads(ids.pop())["id"]


def test_with_a_url_it_needs_no_credentials_of_aws(stack, streams, publisher):
    topic = streams.topic()
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    done = publish(stack, topic, "--url", stack.url + "/", key=publisher.api_key, text="{}", **nowhere)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_api_refuses_is_said_as_it_says_it(stack, streams, publisher, client):
    topic = streams.topic()
    cases = [
        ([topic], client.api_key, "403"),
        ([topic], "bwk_wrong", "401"),
        (["no-such-topic"], publisher.api_key, "404"),
        ([topic, "--idempotency-key", "x" * 300], publisher.api_key, "400"),
    ]
    for arguments, key, status in cases:
        done = publish(stack, *arguments, key=key, text="{}")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"bellwire: {status} ") and ": " in done.stderr[len("bellwire: ") :]
        assert key not in done.stderr


@pytest.mark.parametrize("text", ["", "{", "{} {}", "nothing"])
def test_what_is_no_json_is_not_sent(stack, publisher, text):
    done = publish(stack, "any", key=publisher.api_key, text=text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("bellwire: standard input is no JSON")


def test_a_file_that_is_not_there_and_a_key_that_is_missing(stack, publisher, tmp_path):
    missing = str(tmp_path / "none.json")
    done = publish(stack, "any", missing, key=publisher.api_key)
    assert done.returncode == 1 and f"{missing} could not be read" in done.stderr
    done = publish(stack, "any", key=None, text="{}")
    assert done.returncode == 2 and "--api-key" in done.stderr


def test_an_api_that_is_not_there(stack, publisher):
    done = publish(stack, "any", "--url", "http://127.0.0.1:1", key=publisher.api_key, text="{}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("bellwire: http://127.0.0.1:1 could not be called")


class Elsewhere(BaseHTTPRequestHandler):
    """A server that is no API of Bellwire's."""

    requests: ClassVar[list[str]] = []

    def do_POST(self):
        self.requests.append(self.path)
        self.rfile.read(int(self.headers["content-length"]))
        redirects = self.path.startswith("/redirects")
        self.send_response(302 if redirects else 200)
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    do_GET = do_POST

    def log_message(self, *_):
        pass


def test_what_is_no_api_has_published_nothing(stack, publisher):
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        # The key goes nowhere else.
        redirected = publish(stack, "any", "--url", f"{url}/redirects", key=publisher.api_key, text="{}")
        other = publish(stack, "any", "--url", url, key=publisher.api_key, text="{}")
        server.shutdown()
    assert len(Elsewhere.requests) == 2
    assert (redirected.returncode, redirected.stdout) == (other.returncode, other.stdout) == (1, "")
    assert redirected.stderr.startswith("bellwire: 302 ")
    assert other.stderr.startswith(f"bellwire: {url} is not a Bellwire API")


def test_the_help_does_not_show_the_key(stack, publisher):
    assert publisher.api_key not in publish(stack, "--help", key=publisher.api_key).stdout
