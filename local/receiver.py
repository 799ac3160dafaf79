"""A webhook receiver on loopback: keeps what arrives, in order.

Run as a program it prints what arrives: `.venv/bin/python local/receiver.py [PORT]`.
"""

import json
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


@dataclass(frozen=True)
class Arrival:
    """One request, as it arrived."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: float  # seconds, of time.time()

    @property
    def message_type(self) -> str | None:
        return self.headers.get("x-amz-sns-message-type")

    def json(self):
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """How a request is answered."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    # What goes wrong: "reset" closes the connection instead of answering, "cut" in the
    # middle of the answer, "stall" never answers, "trickle" sends the body ever so slowly.
    fault: str | None = None


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client that disconnects is no failure of the receiver


class Receiver:
    """Listens until it is closed; a context manager.

    `answer` says how each request is answered; it is asked after the arrival is kept.
    """

    # Is called with what arrives at any receiver.
    watch: ClassVar[Callable[[Arrival], None]] = staticmethod(lambda _: None)

    def __init__(
        self,
        port: int = 0,
        on_arrival: Callable[[Arrival], None] = lambda _: None,
        answer: Callable[[Arrival], Answer] = lambda _: Answer(),
    ):
        self.arrivals: list[Arrival] = []
        self.answer = answer
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._on_arrival = on_arrival
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                at = time.time()
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                arrival = Arrival(self.command, self.path, headers, body, at)
                receiver._keep(arrival)
                self.give(receiver.answer(arrival))

            def give(self, answer: Answer) -> None:
                if answer.fault == "stall":
                    receiver._closed.wait()
                if answer.fault in ("stall", "reset"):
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                try:
                    self.give_body(answer)
                except OSError:
                    self.close_connection = True

            def give_body(self, answer: Answer) -> None:
                if answer.fault == "cut":
                    self.wfile.write(answer.body[: len(answer.body) // 2])
                    self.close_connection = True
                elif answer.fault == "trickle":
                    for start in range(0, len(answer.body), 1024):
                        self.wfile.write(answer.body[start : start + 1024])
                        if receiver._closed.wait(0.05):
                            return
                else:
                    self.wfile.write(answer.body)

            def log_message(self, *_):
                pass

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def use_certificate(self, certificate: str, key: str) -> None:
        """From now on speaks https with the certificate of this file."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http://", "https://")

    def _keep(self, arrival: Arrival) -> None:
        with self._changed:
            self.arrivals.append(arrival)
            self._changed.notify_all()
        self._on_arrival(arrival)
        Receiver.watch(arrival)

    def wait_for(self, wanted: Callable[[Arrival], bool], count: int = 1, seconds: float = 20) -> list[Arrival]:
        """The arrivals that are wanted, as soon as there are `count` of them."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.matching(wanted)) >= count, seconds)
            found = self.matching(wanted)
        if len(found) < count:
            got = [(arrival.path, arrival.message_type) for arrival in self.arrivals]
            raise TimeoutError(f"{len(found)} of {count} arrived in {seconds} s; there are {got}")
        return found

    def matching(self, wanted: Callable[[Arrival], bool]) -> list[Arrival]:
        return [arrival for arrival in self.arrivals if wanted(arrival)]

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def show(arrival: Arrival) -> None:
    print(f"\n{arrival.method} {arrival.path}")
    for name, value in arrival.headers.items():
        if name.startswith(("x-", "webhook-", "content-type")):
            print(f"{name}: {value}")
    print(f"\n{arrival.body.decode(errors='replace')}", flush=True)


def main() -> None:
    with Receiver(int(sys.argv[1]) if len(sys.argv) > 1 else 8000, show) as receiver:
        print(f"listening on {receiver.url}; Ctrl-C ends it", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
