"""What deliveries cost, and what a stack costs a month that is idle: from counts and the list prices in prices.json."""

import json
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What the local tools and the benchmarks both need to know of the template.
sys.path.append(str(ROOT / "local"))
import template  # noqa: E402

PRICES = json.loads((Path(__file__).parent / "prices.json").read_text())
PARTS = ["api", "functions", "queues", "tables", "logs"]
# More than this, relatively, is growth, and less is what happens to a machine.
TOLERANCE = 1.02
# From how many subscriptions on a request is too little of a delivery's cost to hide growth.
MANY = 1_000
# How many messages SNS takes in one request.
SNS_BATCH = 10
MONTH_SECONDS = 30 * 24 * 60 * 60


def of(fan_out: dict) -> dict[str, float]:
    """Dollars for a million deliveries: by what is charged, in all, and elsewhere."""
    deliveries = fan_out["publications"] * fan_out["batch"] * fan_out["subscriptions"]
    bellwire = {name: dollars / deliveries for name, dollars in charged(fan_out).items()}
    sns_publication = PRICES["sns_publication"] / min(fan_out["batch"], SNS_BATCH)
    return bellwire | {
        "bellwire": sum(bellwire.values()),
        "sns": sns_publication / fan_out["subscriptions"] + PRICES["sns_http_delivery"],
        "api_destinations": PRICES["eventbridge_event"] / fan_out["subscriptions"]
        + PRICES["eventbridge_api_destination"],
    }


def charged(fan_out: dict) -> dict[str, float]:
    """Millionths of dollars for all that was measured, by what is charged."""
    assert all(name.startswith(("SQS ", "DynamoDB ")) for name in fan_out["calls"]), "a part is missing"
    return {
        "api": fan_out["publications"] * PRICES["api_request"],
        "functions": functions(fan_out),
        "queues": operations(fan_out, "SQS"),
        "tables": operations(fan_out, "DynamoDB"),
        "logs": logs(fan_out),
    }


def growing(fan_outs: list[dict]) -> dict[str, bool]:
    """Whether a delivery costs more the more subscriptions there are, for topics of each kind."""
    found = {}
    for kind in dict.fromkeys(it["kind"] for it in fan_outs):
        compared = [it for it in fan_outs if it["kind"] == kind and it["batch"] == 1 and it["subscriptions"] >= MANY]
        each = [of(it)["bellwire"] for it in compared]
        found[kind] = any(later > earlier * TOLERANCE for earlier, later in pairwise(each))
    return found


def operations(fan_out: dict, service: str) -> float:
    """Millionths of dollars."""
    prices = PRICES["operations"]
    return sum(count["billed"] * prices[name] for name, count in fan_out["calls"].items() if name.startswith(service))


def functions(fan_out: dict) -> float:
    """Millionths of dollars."""
    total = 0.0
    for name, used in fan_out["functions"].items():
        milliseconds = used["millis"] + used["invocations"] * PRICES["assumed"]["milliseconds"][name]
        gigabyte_seconds = milliseconds / 1000 * memory_megabytes(name) / 1024
        total += used["invocations"] * PRICES["function_invocation"]
        total += gigabyte_seconds * PRICES["function_gigabyte_second"] * 1e6
    return total


def memory_megabytes(function: str) -> int:
    """The memory of the function in the folder of this name, as the template has it."""
    [logical_id] = [it for it, folder in template.functions().items() if folder == f"functions/{function}"]
    by_default = template.read()["Globals"]["Function"]["MemorySize"]
    return template.resources()[logical_id]["Properties"].get("MemorySize", by_default)


def logs(fan_out: dict) -> float:
    """Millionths of dollars. Lambda itself writes nothing about an invocation that succeeds (template.yaml, Globals)."""
    return fan_out["logs"] / 1e9 * PRICES["logs_gigabyte"] * 1e6


def standing() -> dict[str, tuple[int, float]]:
    """What is charged every month, whatever happens: how many of each the template has, and dollars for one. All else
    in it is charged by use."""
    types = Counter(it["Type"] for it in template.resources().values())
    month, polling = PRICES["month"], PRICES["polling"]
    dashboards = max(0, types["AWS::CloudWatch::Dashboard"] - month["free_dashboards"])
    fifo = [queue.get("FifoQueue", False) for queue in polled_queues()]
    polls = polling["at_once"] * MONTH_SECONDS / polling["seconds"]
    return {
        "alarms": (types["AWS::CloudWatch::Alarm"], month["alarm"]),
        "dashboards": (dashboards, month["dashboard"]),
        "keys": (types["AWS::KMS::Key"], month["key"]),
        "polling of FIFO queues": (fifo.count(True), polls * PRICES["sqs_fifo_request"] / 1e6),
        "polling of standard queues": (fifo.count(False), polls * PRICES["sqs_request"] / 1e6),
    }


def polled_queues() -> list[dict]:
    """The properties of the queues that Lambda takes messages from."""
    resources = template.resources()
    events = [
        event
        for logical_id in template.functions()
        for event in resources[logical_id]["Properties"].get("Events", {}).values()
    ]
    queues = [event["Properties"]["Queue"] for event in events if event["Type"] == "SQS"]
    return [resources[queue.removesuffix(".Arn")]["Properties"] for queue in queues]


def idle() -> dict[str, float]:
    """Dollars a month for a stack that is idle, by part."""
    return {name: significant(count * each) for name, (count, each) in standing().items()}


def summary(fan_outs: list[dict]) -> dict:
    """What `bellwire cost` reckons with: dollars for a million events, as they were measured, and for a month."""
    measured = [
        {
            "kind": it["kind"],
            "batch": it["batch"],
            "subscriptions": it["subscriptions"],
            "dollars": million_events(it),
        }
        for it in fan_outs
    ]
    measured.sort(key=lambda it: (it["kind"], it["batch"], it["subscriptions"]))
    prices = {name: PRICES[name] for name in ("date", "region", "currency")}
    return prices | {"idle": idle(), "million_events": measured}


def million_events(fan_out: dict) -> dict[str, float]:
    """Dollars for a million events or documents, each delivered to all subscriptions: by what is charged."""
    events = fan_out["publications"] * fan_out["batch"]
    return {name: significant(dollars / events) for name, dollars in charged(fan_out).items()}


def significant(dollars: float) -> float:
    """Four digits: the next ones are others at every measurement."""
    return float(f"{dollars:.4g}")
