//! `bellwire cost`: what a month costs, reckoned from what `make bench` measured and from AWS's list prices. Nothing is
//! asked of AWS.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use bellwire_domain::topic::modes::PayloadType;
use clap::{Args, value_parser};
use serde::{Deserialize, Serialize};

use crate::print::Output;

/// What `make bench` has written.
const COSTS: &str = include_str!("../../docs/costs.json");
const DAYS: f64 = 30.0;
const MILLION: f64 = 1e6;
/// How many events the requests have that were measured, beside those with one.
const LARGE_BATCH: u32 = 100;

/// What is published, and to whom.
#[derive(Args)]
pub struct Traffic {
    /// How many events, or versions of documents, are published a day
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u32).range(1..=i64::from(u32::MAX)))]
    events_per_day: u32,
    /// How many subscriptions each is delivered to
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u32).range(1..=1_000_000))]
    subscriptions: u32,
    /// How many events a request publishes
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = value_parser!(u32).range(1..=100))]
    events_per_request: u32,
    /// What is published are versions of documents, one with each request
    #[arg(long, conflicts_with = "events_per_request")]
    documents: bool,
}

/// Dollars, by what is charged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Parts {
    api: f64,
    functions: f64,
    queues: f64,
    tables: f64,
    logs: f64,
}

/// What was measured, at which prices.
#[derive(Deserialize)]
struct Costs {
    date: String,
    region: String,
    currency: String,
    /// What a stack costs a month that is idle, by part.
    idle: BTreeMap<String, f64>,
    million_events: Vec<Measured>,
}

/// What a million events cost that are published so many to a request, each for so many subscriptions.
#[derive(Deserialize)]
struct Measured {
    kind: PayloadType,
    batch: u32,
    subscriptions: u32,
    dollars: Parts,
}

/// What a month costs.
#[derive(Debug, PartialEq, Serialize)]
struct Month {
    dollars: MonthParts,
    total: f64,
    /// How much of the total falls to a million deliveries.
    million_deliveries: f64,
}

/// Dollars for a month, by what is charged.
#[derive(Debug, PartialEq, Serialize)]
struct MonthParts {
    #[serde(flatten)]
    traffic: Parts,
    /// What is charged when nothing is published, too.
    idle: f64,
}

/// Prints what a month costs.
pub fn run(traffic: &Traffic, output: Output) -> anyhow::Result<()> {
    let costs: Costs = serde_json::from_str(COSTS).context("the costs that were measured")?;
    let month = monthly(&costs, traffic)?;
    let MonthParts {
        traffic: parts,
        idle,
    } = month.dollars;
    let lines = [
        ("API", parts.api),
        ("functions", parts.functions),
        ("queues", parts.queues),
        ("tables", parts.tables),
        ("logs", parts.logs),
        ("idle stack", idle),
        ("a month", month.total),
        ("a million deliveries", month.million_deliveries),
    ];
    let lines = lines.map(|(name, dollars)| (name, format!("{dollars:>12.2}")));
    let fields: Vec<(&str, &str)> = lines
        .iter()
        .map(|(name, dollars)| (*name, dollars.as_str()))
        .collect();
    output.one(&month, &fields)?;
    output.remark(&format!(
        "{} for {DAYS} days. Assumed: payloads of 1 KB, and endpoints that answer in 100 ms, with 12 headers and 200 bytes; \
         list prices of {} in {}, no free tier; retries, storage, custom metrics and traces are not counted.",
        costs.currency, costs.date, costs.region,
    ))
}

/// What a month of this traffic costs.
///
/// # Errors
/// When nothing of its kind was measured.
fn monthly(costs: &Costs, traffic: &Traffic) -> anyhow::Result<Month> {
    let events = f64::from(traffic.events_per_day) * DAYS;
    let parts = costs.million_events(traffic)?.times(events / MILLION);
    let idle: f64 = costs.idle.values().sum();
    let total = parts.sum() + idle;
    let deliveries = events * f64::from(traffic.subscriptions);
    Ok(Month {
        dollars: MonthParts {
            traffic: parts,
            idle,
        },
        total,
        million_deliveries: total / (deliveries / MILLION),
    })
}

impl Costs {
    /// What a million events cost. What a request costs is shared by its events: the costs of an event are linear in
    /// the share of a request that it has.
    fn million_events(&self, traffic: &Traffic) -> anyhow::Result<Parts> {
        let (batch, subscriptions) = (traffic.events_per_request, traffic.subscriptions);
        let kind = match traffic.documents {
            true => PayloadType::Snapshot,
            false => PayloadType::Event,
        };
        ensure!(
            kind == PayloadType::Event || batch == 1,
            "documents are published one with each request"
        );
        let alone = self.of_batch(kind, 1, subscriptions)?;
        if batch == 1 {
            return Ok(alone);
        }
        let together = self.of_batch(kind, LARGE_BATCH, subscriptions)?;
        let least = 1.0 / f64::from(LARGE_BATCH);
        let share = 1.0 / f64::from(batch);
        Ok(together.towards(alone, (share - least) / (1.0 - least)))
    }

    /// What a million events cost that are published so many to a request: on a line through the two numbers of
    /// subscriptions that were measured and are nearest. A delivery beyond the most of them costs what it does there.
    fn of_batch(&self, kind: PayloadType, batch: u32, subscriptions: u32) -> anyhow::Result<Parts> {
        let measured = self.million_events.iter();
        let mut sizes: Vec<&Measured> = measured
            .filter(|it| it.kind == kind && it.batch == batch)
            .collect();
        sizes.sort_by_key(|it| it.subscriptions);
        let most = sizes.last().with_context(|| match batch {
            1 => "nothing of this kind was measured".to_owned(),
            _ => format!("requests with {batch} events were not measured"),
        })?;
        let wanted = f64::from(subscriptions);
        let between = sizes.windows(2).find_map(|pair| match pair {
            [lower, upper] if subscriptions <= upper.subscriptions => Some((lower, upper)),
            _ => None,
        });
        let Some((lower, upper)) = between else {
            return Ok(most.dollars.times(wanted / f64::from(most.subscriptions)));
        };
        let from = f64::from(lower.subscriptions);
        let share = (wanted - from) / (f64::from(upper.subscriptions) - from);
        Ok(lower.dollars.towards(upper.dollars, share))
    }
}

impl Parts {
    fn sum(self) -> f64 {
        self.api + self.functions + self.queues + self.tables + self.logs
    }

    fn times(self, factor: f64) -> Self {
        self.with(self, |dollars, _| dollars * factor)
    }

    /// What is on the line from this to the other, at this share of the way; 1 is the other.
    fn towards(self, other: Self, share: f64) -> Self {
        self.with(other, |from, to| from + (to - from) * share)
    }

    fn with(self, other: Self, reckon: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            api: reckon(self.api, other.api),
            functions: reckon(self.functions, other.functions),
            queues: reckon(self.queues, other.queues),
            tables: reckon(self.tables, other.tables),
            logs: reckon(self.logs, other.logs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(
        kind: PayloadType,
        batch: u32,
        subscriptions: u32,
        api: f64,
        tables: f64,
    ) -> Measured {
        Measured {
            kind,
            batch,
            subscriptions,
            dollars: Parts {
                api,
                functions: 1.0,
                queues: 2.0,
                tables,
                logs: 0.5,
            },
        }
    }

    fn costs() -> Costs {
        let (event, document) = (PayloadType::Event, PayloadType::Snapshot);
        Costs {
            date: "2026-11-22".to_owned(),
            region: "us-east-1".to_owned(),
            currency: "USD".to_owned(),
            idle: BTreeMap::from([("alarms".to_owned(), 2.0), ("polling".to_owned(), 1.25)]),
            // In no order.
            million_events: vec![
                measured(event, 1, 1_000, 4.0, 700.0),
                measured(event, 1, 1, 4.0, 1.0),
                measured(event, 1, 11, 4.0, 11.0),
                measured(event, 100, 1, 0.04, 0.5),
                measured(event, 100, 1_000, 0.04, 600.0),
                measured(document, 1, 10, 4.0, 30.0),
                measured(document, 1, 20, 4.0, 50.0),
            ],
        }
    }

    fn events(subscriptions: u32, events_per_request: u32) -> Traffic {
        Traffic {
            events_per_day: 100_000,
            subscriptions,
            events_per_request,
            documents: false,
        }
    }

    fn documents(subscriptions: u32) -> Traffic {
        Traffic {
            documents: true,
            ..events(subscriptions, 1)
        }
    }

    fn million(traffic: &Traffic) -> Parts {
        costs().million_events(traffic).unwrap()
    }

    fn assert_close(found: f64, expected: f64) {
        let off = (found - expected).abs();
        assert!(
            off < 1e-9 * expected.abs().max(1.0),
            "{found} is not {expected}"
        );
    }

    #[test]
    fn a_month_is_what_was_measured_times_the_events_and_the_idle_stack() {
        let month = monthly(&costs(), &events(1, 1)).unwrap();
        let parts = month.dollars.traffic;
        for (found, expected) in [
            (parts.api, 12.0),
            (parts.functions, 3.0),
            (parts.queues, 6.0),
            (parts.tables, 3.0),
            (parts.logs, 1.5),
            (month.dollars.idle, 3.25),
            (month.total, 28.75),
            (month.million_deliveries, 28.75 / 3.0),
        ] {
            assert_close(found, expected);
        }
    }

    #[test]
    fn a_million_deliveries_are_of_all_subscriptions() {
        let month = monthly(&costs(), &events(1_000, 1)).unwrap();
        assert_close(month.total, 3.0 * 707.5 + 3.25);
        assert_close(month.million_deliveries, month.total / 3_000.0);
    }

    #[test]
    fn between_two_sizes_costs_are_on_a_line() {
        assert_close(million(&events(6, 1)).tables, 6.0);
        let half_way = (11 + 1_000) / 2;
        let share = f64::from(half_way - 11) / f64::from(1_000 - 11);
        assert_close(million(&events(half_way, 1)).tables, 11.0 + 689.0 * share);
        assert_close(million(&events(half_way, 1)).api, 4.0);
        for (size, tables) in [(1, 1.0), (11, 11.0), (1_000, 700.0)] {
            assert_close(million(&events(size, 1)).tables, tables);
        }
    }

    #[test]
    fn below_the_least_size_costs_are_on_the_line_through_the_first_two() {
        assert_close(million(&documents(5)).tables, 20.0);
        assert_close(million(&documents(1)).tables, 12.0);
    }

    #[test]
    fn beyond_the_most_a_delivery_costs_the_same() {
        assert_close(million(&events(3_000, 1)).tables, 2_100.0);
        assert_close(million(&events(3_000, 1)).api, 12.0);
        assert_close(million(&documents(1_000_000)).tables, 2_500_000.0);
    }

    #[test]
    fn one_size_is_enough() {
        let mut costs = costs();
        costs.million_events.retain(|it| it.subscriptions == 1_000);
        let parts = costs.million_events(&events(10, 1)).unwrap();
        assert_close(parts.tables, 7.0);
    }

    #[test]
    fn the_events_of_a_request_share_its_costs() {
        assert_close(million(&events(1, 100)).api, 0.04);
        assert_close(million(&events(1, 100)).tables, 0.5);
        // Four dollars for a million requests.
        for batch in [2, 10, 50] {
            let parts = million(&events(1, batch));
            assert_close(parts.api, 4.0 / f64::from(batch));
        }
        assert_close(million(&events(1, 2)).tables, 0.5 + 0.5 * 0.49 / 0.99);
        assert_close(million(&events(2_000, 100)).tables, 1_200.0);
    }

    #[test]
    fn documents_are_published_one_by_one() {
        let traffic = Traffic {
            documents: true,
            ..events(10, 2)
        };
        let refused = monthly(&costs(), &traffic).unwrap_err().to_string();
        assert_eq!(refused, "documents are published one with each request");
    }

    #[test]
    fn what_was_not_measured_is_an_error() {
        let mut costs = costs();
        costs.million_events.retain(|it| it.batch == 1);
        let refused = monthly(&costs, &events(10, 2)).unwrap_err().to_string();
        assert_eq!(refused, "requests with 100 events were not measured");
        costs.million_events.clear();
        let refused = monthly(&costs, &events(10, 1)).unwrap_err().to_string();
        assert_eq!(refused, "nothing of this kind was measured");
    }

    #[test]
    fn what_make_bench_wrote_can_be_read() {
        let costs: Costs = serde_json::from_str(COSTS).unwrap();
        for traffic in [
            events(1, 1),
            events(1_000_000, 1),
            documents(1),
            documents(1_000_000),
        ] {
            let month = monthly(&costs, &traffic).unwrap();
            let parts = month.dollars.traffic;
            for dollars in [
                parts.api,
                parts.functions,
                parts.queues,
                parts.tables,
                parts.logs,
            ] {
                assert!(dollars > 0.0);
            }
            assert!(month.dollars.idle > 1.0);
        }
    }
}
