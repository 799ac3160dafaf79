//! `cost`: what a month costs at the rate of the last 24 hours, by list prices.

use askama::Template;
use bellwire_web::api::Api;
use bellwire_web::{Answer, Shell, Trouble, Visit, figures, page};
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::stack::{Stack, Used};
use crate::{COST, must_be_operator};

/// AWS's list prices.
const PRICES: &str = include_str!("../../../benches/prices.json");
/// What the idle stack costs.
const COSTS: &str = include_str!("../../../docs/costs.json");
const DAYS: f64 = 30.0;
const MILLION: f64 = 1e6;
/// The memory of a function, in MB, and of those that have more.
const MEGABYTES: f64 = 256.0;
const MORE_MEGABYTES: [(&str, f64); 3] =
    [("commit", 512.0), ("deliver", 512.0), ("render", 1769.0)];
/// The stack's functions.
const FUNCTIONS: [&str; 21] = [
    "attempt-counts",
    "client-tasks",
    "clients",
    "commit",
    "console",
    "deliver",
    "entity-events",
    "entity-subscriptions",
    "fanout",
    "openapi",
    "operator",
    "publish",
    "queries",
    "query-completion",
    "render",
    "results",
    "sessions",
    "subscribe",
    "topics",
    "unsubscribe",
    "webhook-subscriptions",
];

#[derive(Deserialize)]
struct Prices {
    date: String,
    region: String,
    currency: String,
    api_request: f64,
    function_invocation: f64,
    function_gigabyte_second: f64,
}

#[derive(Deserialize)]
struct Costs {
    idle: BTreeMap<String, f64>,
}

#[derive(Template)]
#[template(path = "cost.html")]
struct CostPage {
    shell: Shell,
    requests: String,
    invocations: String,
    deliveries: String,
    rows: Vec<(&'static str, String)>,
    total: String,
    date: String,
    region: String,
    currency: String,
    /// Whether CloudWatch has measured anything.
    measured: bool,
}

/// The page.
pub async fn show<A: Api>(visit: &Visit<'_, A>, stack: &Stack) -> Answer {
    must_be_operator(visit).await?;
    let parsed = |bad: serde_json::Error| Trouble::Broken(bad.into());
    let prices: Prices = serde_json::from_str(PRICES).map_err(parsed)?;
    let idle: f64 = serde_json::from_str::<Costs>(COSTS)
        .map_err(parsed)?
        .idle
        .values()
        .sum();
    let of_function = |metric| {
        FUNCTIONS.iter().map(move |name| Used {
            namespace: "AWS/Lambda",
            metric,
            of: ("FunctionName", format!("{}{name}", stack.prefix())),
        })
    };
    let api = Used {
        namespace: "AWS/ApiGateway",
        metric: "Count",
        of: ("ApiName", stack.prefix().trim_end_matches('-').to_owned()),
    };
    let wanted: Vec<Used> = of_function("Invocations")
        .chain(of_function("Duration"))
        .chain([api])
        .collect();
    let used = stack.used(&wanted).await?;
    let (functions, api) = used.split_at(2 * FUNCTIONS.len());
    let (invocations, durations) = functions.split_at(FUNCTIONS.len());
    let requests = api.first().copied().unwrap_or_default();
    let deliver = FUNCTIONS
        .iter()
        .zip(invocations)
        .find(|(name, _)| **name == "deliver");
    let gigabyte_seconds = FUNCTIONS.iter().zip(durations);
    let gigabyte_seconds = gigabyte_seconds
        .map(|(name, milliseconds)| milliseconds / 1000.0 * megabytes(name) / 1024.0);
    let day = Day {
        requests,
        invocations: invocations.iter().sum(),
        gigabyte_seconds: gigabyte_seconds.sum(),
    };
    let month = day.month(&prices);
    let dollars = |amount: f64| format!("{amount:.2}");
    page(&CostPage {
        shell: visit.shell("Cost").under(COST),
        requests: figures::count(requests as u64),
        invocations: figures::count(day.invocations as u64),
        deliveries: figures::count(deliver.map_or(0, |(_, count)| *count as u64)),
        rows: vec![
            ("API requests", dollars(month.requests)),
            ("Functions", dollars(month.functions)),
            (
                "The idle stack: alarms, and functions that wait for messages",
                dollars(idle),
            ),
        ],
        total: dollars(month.requests + month.functions + idle),
        measured: day.requests + day.invocations > 0.0,
        date: prices.date,
        region: prices.region,
        currency: prices.currency,
    })
}

/// The memory of a function.
fn megabytes(function: &str) -> f64 {
    let mut more = MORE_MEGABYTES.iter();
    more.find(|(name, _)| *name == function)
        .map_or(MEGABYTES, |(_, megabytes)| *megabytes)
}

/// What was used in a day.
struct Day {
    requests: f64,
    invocations: f64,
    gigabyte_seconds: f64,
}

/// Dollars for a month.
#[derive(Debug, PartialEq)]
struct Month {
    requests: f64,
    functions: f64,
}

impl Day {
    fn month(&self, prices: &Prices) -> Month {
        let functions = self.invocations / MILLION * prices.function_invocation
            + self.gigabyte_seconds * prices.function_gigabyte_second;
        Month {
            requests: DAYS * self.requests / MILLION * prices.api_request,
            functions: DAYS * functions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_thirty_such_days() {
        let prices: Prices = serde_json::from_str(PRICES).unwrap();
        let day = Day {
            requests: 1e6,
            invocations: 1e6,
            gigabyte_seconds: 1000.0,
        };
        let month = day.month(&prices);
        assert!((month.requests - 30.0 * 3.5).abs() < 1e-9);
        assert!((month.functions - 30.0 * (0.2 + 1000.0 * 0.0000133334)).abs() < 1e-6);
    }

    #[test]
    fn the_functions_are_those_of_the_template() {
        let folders = std::fs::read_dir("..").unwrap();
        let names = folders.filter_map(|it| {
            let it = it.unwrap();
            it.path()
                .is_dir()
                .then(|| it.file_name().into_string().unwrap())
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        assert_eq!(names, FUNCTIONS);
    }
}
