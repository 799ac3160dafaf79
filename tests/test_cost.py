"""`bellwire cost`: what a month costs. It needs no stack and no AWS."""

import json
import re
import subprocess

import costs
import pytest
from build import CLI
from settings import ROOT, environment

MEASURED = json.loads((ROOT / "docs" / "costs.json").read_text())
PARTS = {"api", "functions", "queues", "tables", "logs", "idle"}


def cost(*options: str) -> subprocess.CompletedProcess:
    # Nothing listens there.
    env = environment(AWS_ENDPOINT_URL="http://127.0.0.1:1")
    return subprocess.run([str(CLI), "cost", *options], env=env, capture_output=True, text=True, timeout=60)


def month(events_per_day: int, subscriptions: int, *more: str) -> dict:
    done = cost(f"--events-per-day={events_per_day}", f"--subscriptions={subscriptions}", "--json", *more)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_for_people_it_prints_each_part_and_what_is_assumed():
    done = cost("--events-per-day", "100000", "--subscriptions", "10")
    assert (done.returncode, done.stderr) == (0, "")
    lines, assumed = done.stdout.rstrip().split("\n\n")
    rows = [re.fullmatch(r"(.+?) +(\d+\.\d\d)", line) for line in lines.splitlines()]
    table = {row[1]: float(row[2]) for row in rows if row}
    parts = ["API", "functions", "queues", "tables", "logs", "idle stack"]
    assert list(table) == [*parts, "a month", "a million deliveries"]
    assert table["a month"] == pytest.approx(sum(table[part] for part in parts), abs=0.04)
    assert len(assumed.splitlines()) == 1
    for word in (MEASURED["date"], MEASURED["region"], MEASURED["currency"], "1 KB", "100 ms", "not counted"):
        assert word in assumed


@pytest.mark.parametrize("kind", [[], ["--documents"]])
def test_for_scripts_it_prints_one_object_whose_parts_make_the_total(kind):
    found = month(100_000, 10, *kind)
    assert set(found) == {"dollars", "total", "million_deliveries"}
    assert set(found["dollars"]) == PARTS
    assert found["total"] == pytest.approx(sum(found["dollars"].values()))
    assert found["million_deliveries"] == pytest.approx(found["total"] / 30)


def test_what_was_measured_is_what_it_prints():
    for measured in MEASURED["million_events"]:
        options = ["--documents"] if measured["kind"] == "snapshot" else [f"--events-per-request={measured['batch']}"]
        # Three million a month.
        found = month(100_000, measured["subscriptions"], *options)["dollars"]
        expected = {part: 3 * dollars for part, dollars in measured["dollars"].items()}
        assert found == pytest.approx(expected | {"idle": sum(MEASURED["idle"].values())})


def test_more_subscriptions_cost_more_in_all_and_less_each():
    months = [month(100_000, subscriptions) for subscriptions in (1, 5, 50, 1_000)]
    totals = [it["total"] for it in months]
    each = [it["million_deliveries"] for it in months]
    assert totals == sorted(set(totals))
    assert each == sorted(set(each), reverse=True)


def test_events_that_share_a_request_cost_less():
    totals = [month(100_000, 10, f"--events-per-request={count}")["total"] for count in (1, 2, 10, 100)]
    assert totals == sorted(set(totals), reverse=True)


def test_documents_cost_more_than_events():
    assert month(100_000, 10, "--documents")["total"] > month(100_000, 10)["total"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--events-per-day=0", "--subscriptions=1"],
            "invalid value '0' for '--events-per-day <COUNT>': 0 is not in 1..",
        ),
        (["--events-per-day=many", "--subscriptions=1"], "invalid value 'many' for '--events-per-day <COUNT>'"),
        (["--events-per-day=1", "--subscriptions=0"], "0 is not in 1..=1000000"),
        (["--events-per-day=1", "--subscriptions=1000001"], "1000001 is not in 1..=1000000"),
        (["--events-per-day=1", "--subscriptions=1", "--events-per-request=0"], "0 is not in 1..=100"),
        (["--events-per-day=1", "--subscriptions=1", "--events-per-request=101"], "101 is not in 1..=100"),
        (
            ["--events-per-day=1", "--subscriptions=1", "--events-per-request=2", "--documents"],
            "cannot be used with",
        ),
        (["--events-per-day=1"], "required arguments were not provided"),
    ],
)
def test_bad_numbers_are_refused_with_a_sentence(options, sentence):
    done = cost(*options)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_an_idle_stack_costs_what_the_template_and_the_pages_say():
    assert MEASURED["idle"] == costs.idle(), "write docs/costs.json again: .venv/bin/python benches/bench.py --pages"
    page = (ROOT / "docs" / "operations.md").read_text()
    assert f"| **in all** | **{sum(MEASURED['idle'].values()):.2f}** |" in page
