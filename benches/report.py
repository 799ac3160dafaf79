"""The tables of docs/benchmarks.md, from what was measured."""

from collections.abc import Callable
from operator import itemgetter

import costs

BINARY = 6_000_000
MEMORY = 16 * 1024 * 1024
CPU = 0.10
SHARE = 0.60
NAMES = {"event": "events", "snapshot": "documents"}
STANDING = {"dashboards": "dashboards beyond the third", "keys": "keys of KMS"}
# What this page had on 2026-11-22, in dollars for a million deliveries by kind and subscriptions: measured with endpoints
# that answered with next to nothing (12.06, 1.99, 1.98, 1.98; 16.45, 3.00, 3.00), and 0.625 more, for the second write
# unit that a record took then with a usual answer.
BEFORE = {
    ("event", 1): 12.69,
    ("event", 1_000): 2.62,
    ("event", 10_000): 2.61,
    ("event", 100_000): 2.61,
    ("snapshot", 1): 17.07,
    ("snapshot", 1_000): 3.63,
    ("snapshot", 10_000): 3.62,
}
# 99th percentiles in milliseconds, by payload in KB, users and topics.
PUBLISHED = {
    (20, 50, 1): 76,
    (20, 200, 1): 220,
    (20, 750, 1): 835,
    (20, 50, 50): 40,
    (20, 200, 200): 41,
    (50, 50, 1): 72,
    (50, 200, 1): 214,
    (50, 750, 1): 810,
    (50, 50, 50): 45,
    (50, 200, 200): 111,
}
API = [
    "subscribe",
    "unsubscribe",
    "queries",
    "results",
    "topics",
    "publish",
    "webhook-subscriptions",
    "entity-subscriptions",
    "entity-events",
]


def tables(measured: dict) -> str:
    return (
        "\n\n".join(
            [
                head(measured),
                cold_starts(measured["init"]),
                deliveries(measured["deliver"]),
                fan_outs(measured["fan_out"]),
                dollars(measured["fan_out"]),
                counts(measured["init"]),
                idle(),
                published(measured["published"], measured["local_stack"]),
                patches(measured["patches"]),
            ]
        )
        + "\n"
    )


def head(measured: dict) -> str:
    begun = {"begun": ", ".join(f"`{part}` {time}" for part, time in measured["at"].items())}
    rows = begun | measured["machine"] | measured["versions"]
    facts = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""# Benchmarks

Measured by

    make bench

which builds everything that it measures, installs the peers, and writes this page, [benchmarks.json](benchmarks.json), and
[costs.json](costs.json), which `bellwire cost` reckons with. Run it on a machine that has nothing else to do; it takes about
twenty minutes once everything is compiled.

| | |
|---|---|
{facts}

The harness (`benches/`) is a Lambda Runtime API on loopback. It starts a function as it is deployed (release profile, built by
cargo-lambda) and feeds it events, with stand-ins for AWS on loopback: an embedded DynamoDB, queues in memory, and an S3 and an SNS that take
everything. Endpoints on loopback give what is called a usual answer below: 12 headers, and 200 bytes of body. What is compared runs
alternately, so that what happens to the machine affects all of it. Times are medians, with the least and the most in parentheses.
Nothing here says how fast AWS is."""


def cold_starts(starts: list[dict]) -> str:
    floor = next(start for start in starts if start["name"] == "floor")["init"]["median"]
    rows = [
        "| function | binary, MB | init, ms | × floor | first, ms | p50, ms | p99, ms | CPU, ms | memory, MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for start in starts:
        binary = f"{start['binary'] / 1e6:.2f}" if start["binary"] else ""
        memory = start["peak_memory"]["median"] / 1e6
        cells = [
            start["name"],
            binary,
            spread(start["init"]),
            f"{start['init']['median'] / floor:.2f}",
            spread(start["first"]),
            f"{start['p50']:.2f}",
            f"{start['p99']:.2f}",
            f"{start['cpu']:.2f}",
            f"{memory:.1f}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    ours = [start for start in starts if start["binary"] and start["name"] != "floor"]
    apis = [start for start in ours if start["name"] in API]
    goals = [
        goal("init at most 1.5 times the floor", ours, lambda it: it["init"]["median"] <= 1.5 * floor),
        goal("binaries of at most 6 MB", ours, lambda it: it["binary"] <= BINARY),
        goal(
            "at most 16 MB of memory for functions of the API", apis, lambda it: it["peak_memory"]["median"] <= MEMORY
        ),
    ]
    return "\n".join(
        [
            "## Cold starts",
            "",
            "`floor` is a `lambda_http` function that does nothing. *Init* is from the start of the process to its first question",
            "for an event, *first* its first event, *p50* and *p99* the warm ones, *CPU* the processor's time for a warm one, and",
            "*memory* the most that the process has had. The two peers do what `subscribe` does, with boto3 and with the SDK for",
            "JavaScript.",
            "",
            *rows,
            "",
            "Goals: " + "; ".join(goals) + ".",
        ]
    )


def goal(what: str, subjects: list[dict], met: Callable, name: Callable = itemgetter("name")) -> str:
    missed = [name(subject) for subject in subjects if not met(subject)]
    if not missed:
        return f"{what}: met by all"
    return f"{what}: missed by {'all' if len(missed) == len(subjects) else ', '.join(missed)}"


def endpoints(load: dict) -> str:
    return f"{load['endpoints']:,} endpoints at {load['payload'] // 1024} KB"


def share(load: dict) -> float:
    """Of the ceiling."""
    return load["per_second"]["median"] / load["ceiling_per_second"]["median"]


def deliveries(loads: list[dict]) -> str:
    rows = [
        "| endpoints | payload | deliveries/s | CPU each, ms | ceiling/s | its CPU, ms | share of the ceiling | AWS calls each |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for load in loads:
        calls = sum(count["calls"] for count in load["calls"].values()) / load["deliveries"]
        cells = [
            f"{load['endpoints']:,}",
            f"{load['payload'] // 1024} KB",
            spread(load["per_second"], 0),
            spread(load["cpu"], 3),
            spread(load["ceiling_per_second"], 0),
            f"{load['ceiling_cpu']['median']:.3f}",
            f"{share(load):.0%}",
            f"{calls:.2f}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    small = [load for load in loads if load["payload"] == 1024]
    goals = [
        goal("at most 0.10 ms of CPU for a delivery of 1 KB", small, lambda it: it["cpu"]["median"] <= CPU, endpoints),
        goal("at least 60 % of the ceiling", loads, lambda it: share(it) >= SHARE, endpoints),
    ]
    return "\n".join(
        [
            "## Deliveries",
            "",
            "One instance of `deliver`, fed with batches of ten events, one batch after the other, as Lambda does. Each delivery is",
            "prefetched, signed, sent to one of the endpoints on loopback, and recorded. The ceiling is a bare HTTP client",
            "in the same place: it gets the same batches, and does nothing but send.",
            "",
            *rows,
            "",
            "Goals: " + "; ".join(goals) + ".",
            "Between its batches `deliver` waits for the stand-in of DynamoDB, which shares the machine with it; on Lambda more instances",
            "work meanwhile.",
        ]
    )


def fan_outs(found: list[dict]) -> str:
    rows = [
        "| topic of | events per request | subscriptions | first arrival, ms | last arrival, ms | AWS calls each | bytes each | DynamoDB | SQS |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for it in found:
        each = it["publications"] * it["batch"] * it["subscriptions"]
        cells = [
            NAMES[it["kind"]],
            f"{it['batch']}",
            f"{it['subscriptions']:,}",
            spread(it["first_arrival"], 0),
            spread(it["last_arrival"], 0),
            f"{sum(count['calls'] for count in it['calls'].values()) / each:.2f}",
            f"{sum(count['bytes'] for count in it['calls'].values()) / each:,.0f}",
            of_service(it, "DynamoDB", each),
            of_service(it, "SQS", each),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            "## Fan-out",
            "",
            "A request publishes one event of 1 KB or a hundred, or a document of 1 KB. Events go through `publish` and `deliver`, and",
            "through `fanout` when a topic has many subscriptions; documents go through `commit` as well. There are two instances of each,",
            "and the queues are in memory. Times are from the start of the request. Every delivery has arrived, and none",
            "twice. What was asked of AWS is divided by the number of deliveries; the last two columns have calls and bytes",
            "for each. On Lambda more instances work at once than two cores have room for.",
            "",
            *rows,
        ]
    )


def of_service(it: dict, service: str, each: int) -> str:
    counts = [count for name, count in it["calls"].items() if name.startswith(service)]
    return f"{sum(it['calls'] for it in counts) / each:.2f}, {sum(it['bytes'] for it in counts) / each:,.0f}"


def dollars(found: list[dict]) -> str:
    rows = [
        "| topic of | events per request | subscriptions | API | functions | queues | tables | logs | Bellwire | before | SNS | API destinations |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for it in found:
        cost = {name: f"{value:.2f}" for name, value in costs.of(it).items()}
        before = BEFORE.get((it["kind"], it["subscriptions"])) if it["batch"] == 1 else None
        cells = [
            NAMES[it["kind"]],
            f"{it['batch']}",
            f"{it['subscriptions']:,}",
            *(cost[part] for part in costs.PARTS),
            cost["bellwire"],
            f"{before:.2f}" if before else "",
            cost["sns"],
            cost["api_destinations"],
        ]
        rows.append(f"| {' | '.join(cells)} |")
    grows = [
        f"{NAMES[kind]}: {'it does' if growing else 'it does not'}" for kind, growing in costs.growing(found).items()
    ]
    return "\n".join(
        [
            "## What a million deliveries cost",
            "",
            f"In dollars, at the list prices of {costs.PRICES['date']} in {costs.PRICES['region']} ([prices.json](../benches/prices.json)), from the counts of the",
            "table above: request units of DynamoDB as the emulator reckons them, SQS's requests of 64 KB, those of Lambda to",
            "take messages off the queues included, and what functions write to their logs. Functions are charged for the time that they took here, and besides for",
            f"the time that they are assumed to wait on AWS: {waits()}.",
            "",
            *rows,
            "",
            "*Before* is what this page had on 2026-11-22, and 0.63 more: endpoints answered with next to nothing then, and a usual",
            "answer made a record of more than 1 KB, two write units.",
            "",
            "SNS delivers to a confirmed HTTPS endpoint, with one policy of retries for all and no record of attempts, and takes ten",
            "messages in one request; an API destination has no subscribers' API, no history, and at most five targets for each rule.",
            "Bellwire's share of tables is mostly its record of every attempt, which of an event is also the mark that keeps it from being",
            "sent twice. With a usual answer a record takes one write unit; one that is longer after compression costs another 0.63",
            "for each KB. A delivery of a document has two more writes: it acquires the lease of its subscription, and releases it. Storage,",
            "backups, API Gateway's access log, custom metrics and traces are not counted.",
            "",
            f"Goal: the cost of a delivery must not grow with the number of subscriptions: {'; '.join(grows)}.",
        ]
    )


def counts(init: list[dict]) -> str:
    """What counting attempts costs, which is beside what deliveries cost."""
    write = costs.PRICES["operations"]["DynamoDB UpdateItem"]
    [function] = [it for it in init if it["name"] == "attempt-counts"]
    milliseconds = function["p50"] + costs.PRICES["assumed"]["milliseconds"]["attempt-counts"]
    gigabyte_seconds = milliseconds / 1000 * costs.memory_megabytes("attempt-counts") / 1024
    invocation = costs.PRICES["function_invocation"] + gigabyte_seconds * costs.PRICES["function_gigabyte_second"] * 1e6
    rows = [
        "| attempts of a subscription within a minute | tables | functions, if no other subscription has any |",
        "|---|---|---|",
    ]
    rows += [
        f"| {attempts} | {write / attempts:.4f} | {invocation / attempts:.4f} |" for attempts in (1, 10, 100, 1_000)
    ]
    return "\n".join(
        [
            "## Counts of attempts",
            "",
            "Attempts are counted by subscription and hour from the stream of their table, in batches of up to a minute: one write",
            "unit for a subscription, hour and batch, however many attempts there are in it. It is beside what is above, and there is",
            "none of it with `AttemptCounts=false`. That a function reads the stream [costs",
            "nothing](https://aws.amazon.com/dynamodb/pricing/on-demand/). Up to 1,000 attempts are one invocation of it; with little",
            "traffic there is one for each minute that has any. An invocation has taken",
            f"{function['p50']:.2f} ms (p50, two attempts); {costs.PRICES['assumed']['milliseconds']['attempt-counts']} ms more are reckoned for DynamoDB.",
            "Dollars for a million attempts:",
            "",
            *rows,
        ]
    )


def idle() -> str:
    rows = ["| what | how many | each | dollars |", "|---|---|---|---|"]
    for name, (count, each) in costs.standing().items():
        rows.append(f"| {STANDING.get(name, name)} | {count} | {each:.2f} | {count * each:.2f} |")
    rows.append(f"| **in all** | | | **{sum(costs.idle().values()):.2f}** |")
    polling = costs.PRICES["polling"]
    scaling, charges, *_ = polling["sources"]
    return "\n".join(
        [
            "## What an idle stack costs",
            "",
            "In dollars for a month of 30 days, by the same prices, counted from `template.yaml`.",
            "",
            *rows,
            "",
            f"Lambda polls a queue also when nothing is in it, which SQS [charges for]({charges}): with {polling['at_once']} requests at",
            f"once, each of which waits {polling['seconds']} seconds. With little traffic it may poll a standard queue with two,",
            f"but [not one with a maximum concurrency]({scaling}),",
            "which each of these has. That it polls FIFO queues as often is assumed. The first three dashboards of an account are free.",
            "Everything else is charged by use.",
        ]
    )


def waits() -> str:
    assumed = costs.PRICES["assumed"]["milliseconds"]
    return ", ".join(f"`{name}` {milliseconds} ms" for name, milliseconds in assumed.items())


def published(alone: list[dict], stack: list[dict]) -> str:
    rows = [
        "| users | topics | payload | published p99, ms | p99, ms | p50, ms | arrived | local stack: p99, ms | p50, ms | arrived |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    on_stack = {scenario(it): it for it in stack}
    for it in alone:
        there = on_stack.get(scenario(it))
        cells = [
            f"{it['users']}",
            f"{it['topics']}",
            f"{it['payload'] // 1024} KB",
            f"{PUBLISHED[it['payload'] // 1024, it['users'], it['topics']]}",
            f"{it['p99']:,.0f}",
            f"{it['p50']:,.0f}",
            f"{it['arrived']:,} of {it['expected']:,}",
            f"{there['p99']:,.0f}" if there else "",
            f"{there['p50']:,.0f}" if there else "",
            f"{there['arrived']:,} of {there['expected']:,}" if there else "",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    lower = [it for it in alone if it["p99"] <= PUBLISHED[it["payload"] // 1024, it["users"], it["topics"]]]
    return "\n".join(
        [
            "## The published latencies",
            "",
            "The product that protocol B comes from published its 99th percentiles for users with a webhook each on so many topics,",
            "each of which gets a new document every second; it ran on a highly available cluster. Here are ours, on one machine,",
            f"from when a publication is due to the arrival of the whole document, for {alone[0]['publications']} seconds each: for the functions",
            "alone (as above), and as far as it carries for the template deployed to the local stack. There the emulator's own time",
            "prevails, and functions are built without optimisation.",
            "",
            *rows,
            "",
            f"The functions alone are at or below the published figure in {len(lower)} of {len(alone)} scenarios. What they take of the processor",
            "for each, and everything else that was measured, is in the JSON file.",
        ]
    )


def scenario(it: dict) -> tuple:
    return it["users"], it["topics"], it["payload"]


def patches(found: list[dict]) -> str:
    rows = ["| document | changed | patch | finding it, ms | applying it, ms |", "|---|---|---|---|---|"]
    for it in found:
        cells = [
            size(it["document"]),
            f"{it['changed']} %",
            size(it["patch"]) if it["patch"] else "the document is sent",
            spread(it["diff"], 3),
            spread(it["apply"], 3) if it["apply"] else "",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            "## Patches",
            "",
            "Finding the change between two versions of a list of orders, and applying it; so many of a hundred orders have another",
            "state. A patch of more than 4 KB that would be longer than the document is not sent.",
            "",
            *rows,
        ]
    )


def spread(values: dict, digits: int = 2) -> str:
    return f"{values['median']:,.{digits}f} ({values['min']:,.{digits}f}–{values['max']:,.{digits}f})"


def size(count: int) -> str:
    return f"{count / 1024:,.1f} KB"
