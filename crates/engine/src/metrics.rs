//! Metrics, in CloudWatch's embedded metric format: a line of the log.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bellwire_queues::Protocol;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

/// The most values of one metric in one line.
const MAX_VALUES: usize = 100;

/// What a batch counts.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<BTreeMap<Protocol, Counts>>);

#[derive(Debug, Default)]
struct Counts {
    deliveries: usize,
    failures: usize,
    retries: usize,
    exhausted: usize,
    latencies: Vec<i128>,
    /// For each attempt 1 if it failed and 0 if not: their average is the rate of failures.
    failed: Vec<u8>,
}

impl Metrics {
    /// Counts an attempt, after so many failures, to deliver what was accepted then; `None` if that doesn't matter.
    pub fn attempt(
        &self,
        protocol: Protocol,
        arrived: bool,
        failures: usize,
        accepted_at: Option<OffsetDateTime>,
    ) {
        self.count(protocol, |counts| {
            counts.retries += usize::from(failures > 0);
            if counts.failed.len() < MAX_VALUES {
                counts.failed.push(u8::from(!arrived));
            }
            if arrived {
                counts.deliveries += 1;
                let latency = accepted_at.map(|at| OffsetDateTime::now_utc() - at);
                if let Some(latency) = latency
                    && counts.latencies.len() < MAX_VALUES
                {
                    counts.latencies.push(latency.whole_milliseconds());
                }
            } else {
                counts.failures += 1;
            }
        });
    }

    /// Counts a delivery that is not tried again.
    pub fn exhausted(&self, protocol: Protocol) {
        self.count(protocol, |counts| counts.exhausted += 1);
    }

    /// Writes a line for each protocol of which something was counted.
    pub fn print(self, namespace: &str) {
        let counted = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (protocol, counts) in counted {
            let now = OffsetDateTime::now_utc();
            println!("{}", line(protocol, &counts, namespace, now));
        }
    }

    fn count(&self, protocol: Protocol, work: impl FnOnce(&mut Counts)) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(counted.entry(protocol).or_default());
    }
}

fn line(protocol: Protocol, counts: &Counts, namespace: &str, now: OffsetDateTime) -> Value {
    // A metric has a number, or an array of one and more: one that has none is left out, and so is a count of zero, since
    // the sum of nothing is the same.
    let values = [
        ("Deliveries", "Count", json!(counts.deliveries)),
        ("Failures", "Count", json!(counts.failures)),
        ("Retries", "Count", json!(counts.retries)),
        ("Exhausted", "Count", json!(counts.exhausted)),
        ("Latency", "Milliseconds", json!(counts.latencies)),
        ("FailureRate", "None", json!(counts.failed)),
    ];
    let values = values
        .into_iter()
        .filter(|(_, _, value)| *value != json!([]) && *value != json!(0));
    let (mut metrics, mut line) = (Vec::new(), Map::new());
    for (name, unit, value) in values {
        metrics.push(json!({"Name": name, "Unit": unit}));
        line.insert(name.to_owned(), value);
    }
    line.insert("Protocol".to_owned(), protocol.as_str().into());
    let definition = json!({
        "Timestamp": now.unix_timestamp_nanos() / 1_000_000,
        "CloudWatchMetrics": [{
            "Namespace": namespace,
            "Dimensions": [["Protocol"]],
            "Metrics": metrics,
        }],
    });
    line.insert("_aws".to_owned(), definition);
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_that_is_named_is_there() {
        let metrics = Metrics::default();
        let accepted_at = OffsetDateTime::now_utc() - time::Duration::seconds(2);
        metrics.attempt(Protocol::Streams, true, 0, Some(accepted_at));
        metrics.attempt(Protocol::Streams, false, 1, Some(accepted_at));
        metrics.exhausted(Protocol::Streams);
        metrics.attempt(Protocol::Entities, true, 0, Some(accepted_at));
        let line = line(
            Protocol::Streams,
            &metrics.0.lock().unwrap()[&Protocol::Streams],
            "bellwire",
            OffsetDateTime::now_utc(),
        );
        let definition = &line["_aws"]["CloudWatchMetrics"][0];
        for metric in definition["Metrics"].as_array().unwrap() {
            assert!(
                !line[metric["Name"].as_str().unwrap()].is_null(),
                "{metric}"
            );
        }
        assert_eq!(line["Protocol"], "streams");
        assert_eq!(
            (&line["Deliveries"], &line["Failures"]),
            (&1.into(), &1.into())
        );
        assert_eq!(
            (&line["Retries"], &line["Exhausted"]),
            (&1.into(), &1.into())
        );
        assert_eq!(line["FailureRate"], json!([0, 1]));
        assert!(line["Latency"][0].as_i64().unwrap() >= 2000);
    }

    #[test]
    fn a_metric_without_values_is_left_out() {
        let metrics = Metrics::default();
        metrics.attempt(Protocol::Streams, false, 0, None);
        let counted = metrics.0.lock().unwrap();
        let line = line(
            Protocol::Streams,
            &counted[&Protocol::Streams],
            "bellwire",
            OffsetDateTime::now_utc(),
        );
        assert_eq!(line.get("Latency"), None);
        let named = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].to_string();
        assert!(!named.contains("Latency") && named.contains("FailureRate"));
        assert!(!named.contains("Retries") && line.get("Retries").is_none());
    }
}
