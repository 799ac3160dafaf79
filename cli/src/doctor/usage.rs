//! What CloudWatch has measured lately.

use std::collections::HashMap;

use anyhow::Context;
use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDataQuery, MetricStat, ScanBy, Statistic};
use time::{Duration, OffsetDateTime};

/// How many metrics one call reads.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
const MOST: usize = 500;
const MINUTE: i32 = 60;
const HOUR: i32 = 3600;

/// A metric.
pub struct Metric {
    pub namespace: String,
    pub name: String,
    pub dimensions: Vec<(String, String)>,
    pub statistic: Statistic,
}

/// The stretch of time whose values are wanted, by the period of what is summed up.
#[derive(Clone, Copy)]
pub enum Latest {
    /// A quarter of an hour, by minutes.
    Quarter,
    /// A day, by hours.
    Day,
}

impl Latest {
    fn length(self) -> Duration {
        match self {
            Self::Quarter => Duration::minutes(15),
            Self::Day => Duration::DAY,
        }
    }

    fn period(self) -> i32 {
        match self {
            Self::Quarter => MINUTE,
            Self::Day => HOUR,
        }
    }
}

/// The values of each metric in the latest time, newest first; none where there are none.
///
/// # Errors
/// When CloudWatch doesn't answer.
pub async fn read(
    config: &SdkConfig,
    metrics: &[Metric],
    latest: Latest,
) -> anyhow::Result<Vec<Vec<f64>>> {
    let client = Client::new(config);
    let mut values = Vec::with_capacity(metrics.len());
    for metrics in metrics.chunks(MOST) {
        let mut found = read_some(&client, metrics, latest).await?;
        values.extend((0..metrics.len()).map(|index| found.remove(&id(index)).unwrap_or_default()));
    }
    Ok(values)
}

async fn read_some(
    client: &Client,
    metrics: &[Metric],
    latest: Latest,
) -> anyhow::Result<HashMap<String, Vec<f64>>> {
    let now = OffsetDateTime::now_utc();
    let from = now - latest.length();
    let queries = metrics.iter().enumerate();
    let queries = queries.map(|(index, metric)| query(index, metric, latest.period()));
    let mut pages = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries.collect()))
        .scan_by(ScanBy::TimestampDescending)
        .start_time(DateTime::from_secs(from.unix_timestamp()))
        .end_time(DateTime::from_secs(now.unix_timestamp()))
        .into_paginator()
        .send();
    let mut found: HashMap<String, Vec<f64>> = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.context("CloudWatch's metrics could not be read")?;
        for result in page.metric_data_results.unwrap_or_default() {
            let values = result.values.unwrap_or_default();
            found
                .entry(result.id.unwrap_or_default())
                .or_default()
                .extend(values);
        }
    }
    Ok(found)
}

fn query(index: usize, metric: &Metric, period: i32) -> MetricDataQuery {
    let dimensions = metric.dimensions.iter().map(|(name, value)| {
        let dimension = Dimension::builder().name(name).value(value);
        dimension.build()
    });
    let of = aws_sdk_cloudwatch::types::Metric::builder()
        .namespace(&metric.namespace)
        .metric_name(&metric.name)
        .set_dimensions(Some(dimensions.collect()))
        .build();
    let stat = MetricStat::builder()
        .metric(of)
        .period(period)
        .stat(metric.statistic.as_str())
        .build();
    MetricDataQuery::builder()
        .id(id(index))
        .metric_stat(stat)
        .build()
}

/// Ids begin with a small letter.
fn id(index: usize) -> String {
    format!("m{index}")
}
