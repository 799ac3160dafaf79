"""`bellwire tail`: attempts as they are made."""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from build import CLI
from entities import new_key
from receiver import Answer, Receiver
from settings import environment


class Tail:
    """A running `bellwire tail`, and its lines as they come."""

    def __init__(self, process: subprocess.Popen):
        self.process = process
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.put(line.rstrip("\n"))

    def next(self, count: int = 1) -> list[str]:
        return [self.lines.get(timeout=30) for _ in range(count)]


@contextmanager
def tail(stack, *arguments: str) -> Iterator[Tail]:
    command = [str(CLI), "tail", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(**stack.env), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            # From then on nothing is missed.
            assert (
                process.stderr
                and process.stderr.readline() == f"Following the attempts of {stack.name}. Ctrl-C ends it.\n"
            )
            yield Tail(process)
        finally:
            process.kill()


def test_each_attempt_is_a_line(stack, streams, client):
    answers = iter([503])
    with Receiver(answer=lambda _: Answer(next(answers, 200))) as receiver:
        topic = streams.topic()
        subscription = streams.subscribe(topic, f"{receiver.url}/hook")
        with tail(stack, "--client", client.client_id, "--json") as tailed:
            event = streams.publish(topic, {"n": 1})
            first, second = map(json.loads, tailed.next(2))
        [delivery] = {it["delivery_id"] for it in (first, second)}
        [arrival, _] = receiver.wait_for(lambda _: True, 2)
    assert delivery == arrival.headers["webhook-id"] and event in delivery
    expected = {
        "subscription_id": subscription["id"],
        "client_id": client.client_id,
        "event_type": "event",
        "url": f"{receiver.url}/hook",
        "attempt": 1,
        "status": 503,
        "error": "503 SERVICE_UNAVAILABLE",
    }
    assert expected.items() <= first.items()
    assert (second["attempt"], second["status"]) == (2, 200) and "error" not in second
    assert first["sent_at"] < second["sent_at"]


def test_for_people_and_of_whatever_protocol(stack, streams, entities, receiver, client):
    entity = new_key()
    followed = entities.customer.create_subscription(entity, f"{receiver.url}/entity")
    topic = streams.topic("snapshot")
    document = streams.subscribe(topic, f"{receiver.url}/document")
    with (
        tail(stack, "--subscription", followed["key"]) as of_entity,
        tail(stack, "--topic", topic) as of_topic,
    ):
        entities.publish(entity)
        streams.publish(topic, {"n": 1})
        [line] = of_entity.next()
        [other] = of_topic.next()
        assert of_entity.lines.empty() and of_topic.lines.empty()
    assert f"{client.client_id}  entity {entity}  entity_updated  {receiver.url}/entity  attempt 1: 200 in" in line
    assert f"topic {topic}  snapshot  {receiver.url}/document  attempt 1: 200 in" in other
    assert document["id"] not in line


def test_failures_alone(stack, streams, client):
    with Receiver(answer=lambda it: Answer(404 if it.json()["n"] else 200)) as receiver:
        topic = streams.topic()
        streams.subscribe(topic, f"{receiver.url}/hook")
        with tail(stack, "--client", client.client_id, "--failed", "--json") as tailed:
            streams.publish(topic, {"n": 0})
            receiver.wait_for(lambda _: True, 1)
            streams.publish(topic, {"n": 1})
            lines = [json.loads(line) for line in tailed.next(4)]
    assert [(it["attempt"], it["status"]) for it in lines] == [(n, 404) for n in range(1, 5)]


def test_whoever_is_not_there_can_not_be_followed(stack):
    for options, said in (
        (["--client", "nobody"], "there is no client nobody"),
        (["--topic", "nothing"], "there is no topic nothing"),
        (["--subscription", "none"], "there is no subscription none"),
    ):
        done = stack.cli("tail", *options)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"bellwire: {said}\n")


def test_it_ends_quietly_when_nobody_reads(stack, streams, receiver):
    topic = streams.topic()
    streams.subscribe(topic, f"{receiver.url}/hook")
    reading, writing = os.pipe()
    command, env = [str(CLI), "tail", "--topic", topic], environment(**stack.env)
    with subprocess.Popen(command, env=env, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        assert process.stderr
        try:
            assert process.stderr.readline().startswith("Following")
            streams.publish(topic, {"n": 1})
            assert b"attempt 1: 200 in" in os.read(reading, 1000)
            os.close(reading)
            streams.publish(topic, {"n": 2})
            assert process.wait(30) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()
