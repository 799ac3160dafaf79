"""`make fuzz`: calls the local stack with requests made up from openapi.yaml, and holds the answers against it.

Requests that the document allows and forbids, alone and in sequences along its links: none may be a 5xx, none may be
answered in a way that the document doesn't have, no forbidden one accepted, no allowed one refused but for the reasons that
the document gives. Each part is fuzzed by a process of schemathesis of its own, at the same time, by clients made for
it. The same SEED makes up the same requests.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import fuzz_edge
import stack
import yaml
from console import Failed
from fuzz_clients import Clients
from receiver import Answer, Arrival, Receiver
from rich.console import Console
from rich.table import Table
from settings import ROOT, STATE, VENV, environment

DOCUMENT = ROOT / "openapi.yaml"
RESULTS = ROOT / "target" / "fuzz.json"
# What a run writes: the document as JSON, the settings, and what schemathesis printed, by part and round.
WORK = ROOT / "target" / "fuzz"
# What is fuzzed at the same time: the protocols, whose name is the first letter; A's queries, many of which are waited for,
# and B's two spellings apart. The clients themselves count as a part of A, which has the same form of paths.
PARTS = {
    "A-clients": r"^/v1/(clients|portal-links|failing-endpoints)(/|$)",
    "A": r"^/v1/(subscribe|unsubscribe|publish|hello)(/|$)",
    "A-queries": r"^/v1/(queries|results|scrollResults)(/|$)",
    "B": r"^/(topics|publishers|subscribers)(/|$)|^/v1/stats$",
    "B-streams": r"^/streams/",
    "C": r"^(/v1)?/(subscriptions|webhooks|webhook_callback_logs)(/|$)|^/entities/",
}
# What the first rounds do, and all that follow. Coverage goes through every limit and type that the document has, once: in
# one spelling of B, since both reach the same functions and share their schemas.
ROUNDS = ["examples,fuzzing,stateful", "coverage"]
ONE_ROUND = {"B-streams"}
MORE = "fuzzing,stateful"
# How many requests are made up for each call, and sequences of calls, in a round.
EXAMPLES = {"A": 40, "A-clients": 10, "A-queries": 30, "B": 8, "B-streams": 8, "C": 20}


@dataclass
class Options:
    """What `make test` does, unless something else is said."""

    seed: int = 1
    # At least, for each protocol.
    requests: int = 2000
    # At most, in all, without cleaning up.
    seconds: float = 270


@dataclass
class Fuzzed:
    """What came of one part."""

    part: str
    calls: Counter[tuple[str, int]] = field(default_factory=Counter)
    # What schemathesis, or the test of the edge, has found, as it is printed.
    failures: list[str] = field(default_factory=list)
    rounds: int = 0
    # Whether there was no time for what the first rounds do.
    cut_short: bool = False

    @property
    def requests(self) -> int:
        return sum(self.calls.values())


class Run:
    """One run of the fuzzer: the stack, the clients made for it, and the receiver of whatever is sent."""

    def __init__(self, options: Options):
        self.options = options
        self.deadline = time.monotonic() + options.seconds
        variables = (line.split("=", 1) for line in (STATE / "env").read_text().splitlines())
        self.env = dict(variables)
        self.url = self.env["BELLWIRE_URL"]
        self.document = yaml.safe_load(DOCUMENT.read_text())
        # The tokens that SNS has sent to the receiver, one a line.
        self.tokens = WORK / "tokens"

    def fuzz(self) -> list[Fuzzed]:
        for operation in fuzz_edge.operations(self.document):
            if operation.path != "/openapi.json" and not any(re.search(it, operation.path) for it in PARTS.values()):
                raise Failed(f"{operation.label} belongs to none of the protocols that are fuzzed")
        WORK.mkdir(parents=True, exist_ok=True)
        # Without merge keys, which are YAML's own.
        (WORK / "openapi.json").write_text(json.dumps(self.document))
        self.tokens.write_text("")
        with (
            Receiver(on_arrival=self.keep_token, answer=answer) as receiver,
            ThreadPoolExecutor(len(PARTS)) as pool,
        ):
            runs = [pool.submit(self.part, name, receiver) for name in PARTS]
            return [run.result() for run in runs]

    def part(self, name: str, receiver: Receiver) -> Fuzzed:
        """Fuzzes one part in rounds, each with a seed of its own, until there have been enough requests."""
        fuzzed = Fuzzed(name)
        wanted = self.options.requests / sum(part[0] == name[0] for part in PARTS)
        with Clients(self.env, name) as clients:
            operations = [it for it in fuzz_edge.operations(self.document) if re.search(PARTS[name], it.path)]
            kept = clients.keep(receiver.url)
            edge = fuzz_edge.Edge(self.url, clients, kept)
            fuzzed.failures += map(clients.without_credentials, edge.test(operations))
            fuzzed.calls.update(edge.calls)
            settings = {
                "client": clients.client,
                "publisher": clients.publisher,
                "operator": clients.operator,
                "customers": clients.customers,
                "receiver": receiver.url,
                "tokens": str(self.tokens),
                "foreign_topics": clients.all_topics(),
                "kept": kept,
                "unknown": str(uuid.UUID(int=self.options.seed)),
            }
            for phases in ROUNDS[:1] if name in ONE_ROUND else ROUNDS:
                self.round(fuzzed, clients, settings, phases)
            while not fuzzed.failures and self.time_left() > 0 and fuzzed.requests < wanted:
                self.round(fuzzed, clients, settings, MORE)
        return fuzzed

    def round(self, fuzzed: Fuzzed, clients: Clients, settings: dict[str, Any], phases: str) -> None:
        if self.time_left() <= 0:
            fuzzed.cut_short = True
            return
        fuzzed.rounds += 1
        seed = self.options.seed + fuzzed.rounds - 1
        place = WORK / f"{fuzzed.part}-{fuzzed.rounds}"
        record, log = place.with_suffix(".calls.json"), place.with_suffix(".log")
        own = place.with_suffix(".settings.json")
        own.write_text(json.dumps(settings | {"seed": seed, "record": str(record)}))
        own.chmod(0o600)
        record.unlink(missing_ok=True)
        command = [
            *(str(VENV / "bin" / "schemathesis"), "--config-file", str(ROOT / "local" / "fuzz.toml")),
            *("run", str(WORK / "openapi.json"), "--url", self.url, "--no-color"),
            *("--include-path-regex", PARTS[fuzzed.part]),
            *("--seed", str(seed), "--max-examples", str(EXAMPLES[fuzzed.part]), "--phases", phases),
        ]
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                env=environment(BELLWIRE_FUZZ=str(own), PYTHONPATH=str(ROOT / "local"), PYTHONHASHSEED="0"),
                cwd=WORK,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            code, in_time = wait(process, max(1, self.time_left()))
        own.unlink()
        fuzzed.cut_short |= not in_time and phases != MORE
        if record.exists():
            recorded = json.loads(record.read_text())
            fuzzed.calls.update({(operation, status): count for operation, status, count in recorded["calls"]})
            clients.topics |= set(recorded["topics"])
        text = clients.without_credentials(log.read_text())
        log.write_text(text)
        found = failures(text)
        if found or (in_time and code != 0):
            fuzzed.failures.append(found or f"schemathesis failed; see {log}")

    def keep_token(self, arrival: Arrival) -> None:
        if arrival.message_type == "SubscriptionConfirmation":
            with self.tokens.open("a") as tokens:
                tokens.write(arrival.json()["Token"] + "\n")

    def time_left(self) -> float:
        return self.deadline - time.monotonic()


def answer(_: Any) -> Answer:
    """What every request is answered with: a webhook's success, and an access token for whoever wants one."""
    token = {"access_token": "fuzz", "token_type": "Bearer", "expires_in": 3600}
    return Answer(headers={"Content-Type": "application/json"}, body=json.dumps(token).encode())


def wait(process: subprocess.Popen, seconds: float) -> tuple[int, bool]:
    """The exit code; and whether the process has ended by itself, in time. It sums up when it is interrupted."""
    try:
        return process.wait(seconds), True
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(20), False
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(), False


def failures(log: str) -> str:
    """The part of schemathesis's output that shows errors and failures, each with a command of curl's."""
    begin = re.search(r"^=+ (ERRORS|FAILURES) =+$", log, re.MULTILINE)
    end = re.search(r"^=+ (WARNINGS|SUMMARY) =+$", log, re.MULTILINE)
    return log[begin.start() : end.start() if end else None].strip() if begin else ""


def by_protocol(fuzzed: list[Fuzzed]) -> dict[str, int]:
    """How many requests there were for each protocol."""
    counts: Counter[str] = Counter()
    for one in fuzzed:
        counts[one.part[0]] += one.requests
    return dict(counts)


def report(options: Options, fuzzed: list[Fuzzed], seconds: float) -> None:
    """Writes the counts as JSON, and shows them."""
    table = Table("part", "operation", "requests", "2xx", "3xx", "4xx", "5xx", "statuses", title="requests")
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for one in fuzzed:
        by_operation = counts.setdefault(one.part, {})
        for (operation, status), count in sorted(one.calls.items()):
            statuses = by_operation.setdefault(operation, {})
            statuses[str(status)] = statuses.get(str(status), 0) + count
        for operation, statuses in by_operation.items():
            by_class = [sum(n for status, n in statuses.items() if status[0] == first) for first in "2345"]
            shown = ", ".join(f"{status}: {n}" for status, n in statuses.items())
            table.add_row(one.part, operation, str(sum(statuses.values())), *map(str, by_class), shown)
        rounds = f"all, in {one.rounds} rounds{', cut short' if one.cut_short else ''}"
        table.add_row(one.part, rounds, str(one.requests), end_section=True)
    Console(width=160, highlight=False).print(table)
    results = {
        "seed": options.seed,
        "seconds": round(seconds),
        "requests": by_protocol(fuzzed),
        "operations": counts,
        "failures": {one.part: one.failures for one in fuzzed},
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def fuzz(options: Options) -> None:
    """Fuzzes the stack that is up. Raises Failed when a protocol has failures, or so few requests that something is wrong."""
    began = time.monotonic()
    fuzzed = Run(options).fuzz()
    for one in fuzzed:
        for text in one.failures:
            print(f"\n---- {one.part}\n{text}", flush=True)
    report(options, fuzzed, time.monotonic() - began)
    if failed := [one.part for one in fuzzed if one.failures]:
        raise Failed(
            f"the stack and openapi.yaml disagree: {', '.join(failed)}; SEED={options.seed} does it again. "
            "The commands need the credentials of clients (bellwire clients create) in BELLWIRE_API_KEY, _PUBLISHER_KEY, "
            "_OPERATOR_KEY, _CLIENT_ID, _CLIENT_SECRET, _BASIC"
        )
    if few := [f"{name} {count}" for name, count in by_protocol(fuzzed).items() if count < options.requests]:
        text = f"fewer than {options.requests} requests in {options.seconds:.0f} s: {', '.join(few)}"
        if min(by_protocol(fuzzed).values()) < options.requests / 4:
            raise Failed(text)
        # A machine is slow; the time is a limit nevertheless.
        print(f"note: {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzzes the local stack, which it starts if need be.")
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--requests", type=int, default=Options.requests, help="at least, for each protocol")
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="at most, in all")
    options = Options(**vars(parser.parse_args()))
    try:
        stack.up()
        fuzz(options)
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
