"""What deliveries cost, from counts and the list prices in prices.json."""

import json
from itertools import pairwise
from pathlib import Path

PRICES = json.loads((Path(__file__).parent / "prices.json").read_text())
# More than this, relatively, is growth, and less is what happens to a machine.
TOLERANCE = 1.02


def of(fan_out: dict) -> dict[str, float]:
    """Dollars for a million deliveries: by what is charged, in all, and elsewhere."""
    publications = fan_out["publications"]
    deliveries = publications * fan_out["subscriptions"]
    parts = {
        "api": publications * PRICES["api_request"],
        "functions": functions(fan_out),
        "queues": operations(fan_out, "SQS"),
        "tables": operations(fan_out, "DynamoDB"),
        "logs": logs(fan_out),
    }
    assert all(name.startswith(("SQS ", "DynamoDB ")) for name in fan_out["calls"]), "a part is missing"
    bellwire = {name: dollars / deliveries for name, dollars in parts.items()}
    return bellwire | {
        "bellwire": sum(bellwire.values()),
        "sns": PRICES["sns_publication"] / fan_out["subscriptions"] + PRICES["sns_http_delivery"],
        "api_destinations": PRICES["eventbridge_event"] / fan_out["subscriptions"]
        + PRICES["eventbridge_api_destination"],
    }


def growing(fan_outs: list[dict]) -> dict[str, bool]:
    """Whether a delivery costs more the more subscriptions there are, for topics of each kind."""
    found = {}
    for kind in dict.fromkeys(it["kind"] for it in fan_outs):
        each = [of(it)["bellwire"] for it in fan_outs if it["kind"] == kind]
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
        gigabyte_seconds = milliseconds / 1000 * PRICES["memory_megabytes"][name] / 1024
        total += used["invocations"] * PRICES["function_invocation"]
        total += gigabyte_seconds * PRICES["function_gigabyte_second"] * 1e6
    return total


def logs(fan_out: dict) -> float:
    """Millionths of dollars."""
    invocations = sum(used["invocations"] for used in fan_out["functions"].values())
    written = fan_out["logs"] + invocations * PRICES["assumed"]["log_bytes_of_lambda"]
    return written / 1e9 * PRICES["logs_gigabyte"] * 1e6
