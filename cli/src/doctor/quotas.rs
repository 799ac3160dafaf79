//! Quotas of the account that are near their end, as far as AWS measures what is used of them.

use std::collections::HashMap;

use anyhow::Context;
use aws_sdk_cloudwatch::types::Statistic;
use aws_sdk_servicequotas::types::{PeriodUnit, QuotaPeriod, ServiceQuota};

use super::usage::{Latest, Metric};
use super::{Examined, Finding, usage};

/// From this share on a quota is near its end.
const NEAR: f64 = 0.8;
/// The services that a stack uses, by their codes in Service Quotas.
const SERVICES: [&str; 10] = [
    "apigateway",
    "athena",
    "dynamodb",
    "events",
    "lambda",
    "monitoring",
    "s3",
    "scheduler",
    "sns",
    "sqs",
];

/// A quota of the account.
struct Quota {
    service: &'static str,
    name: String,
    limit: f64,
    /// How many seconds the limit is for; `None` if it isn't one of a rate.
    seconds: Option<f64>,
}

pub async fn check(examined: &Examined, found: &mut Vec<Finding>) -> anyhow::Result<()> {
    lambda_account(examined, found).await?;
    let mut quotas = Vec::new();
    for service in SERVICES {
        quotas.extend(of_service(examined, service).await?);
    }
    // A rate is by minutes, of the last ones; a number of things is the largest of a day.
    let is_rate = |(quota, _): &(Quota, Metric)| quota.seconds.is_some();
    let (rates, numbers): (Vec<_>, Vec<_>) = quotas.into_iter().partition(is_rate);
    let mut measured = 0;
    for (quotas, latest) in [(rates, Latest::Quarter), (numbers, Latest::Day)] {
        let (quotas, metrics): (Vec<_>, Vec<_>) = quotas.into_iter().unzip();
        let values = usage::read(&examined.config, &metrics, latest).await?;
        for (quota, values) in quotas.iter().zip(values) {
            let used = values.into_iter().reduce(f64::max);
            measured += usize::from(used.is_some());
            found.extend(used.and_then(|used| near_its_end(quota, used)));
        }
    }
    let message = format!(
        "{measured} are measured; those of which less than {:.0} % is used are not shown",
        NEAR * 100.0
    );
    found.push(Finding::ok("quotas", message));
    Ok(())
}

/// The quotas of a service whose use is measured, each with the metric that says how much of it is used: as they apply to the account, or the defaults, where Service Quotas
/// knows nothing else. <https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html>,
/// <https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_MetricInfo.html>
async fn of_service(
    examined: &Examined,
    service: &'static str,
) -> anyhow::Result<Vec<(Quota, Metric)>> {
    let client = aws_sdk_servicequotas::Client::new(&examined.config);
    let unread = || format!("the quotas of {service} could not be read");
    let mut quotas: HashMap<String, ServiceQuota> = HashMap::new();
    let defaults = client.list_aws_default_service_quotas();
    let defaults = defaults.service_code(service).into_paginator().items();
    let mut defaults = defaults.send();
    while let Some(quota) = defaults.next().await {
        let quota = quota.with_context(unread)?;
        quotas.insert(quota.quota_code.clone().unwrap_or_default(), quota);
    }
    let applied = client.list_service_quotas().service_code(service);
    let mut applied = applied.into_paginator().items().send();
    while let Some(quota) = applied.next().await {
        let quota = quota.with_context(unread)?;
        quotas.insert(quota.quota_code.clone().unwrap_or_default(), quota);
    }
    let quotas = quotas.into_values();
    Ok(quotas
        .filter_map(|quota| measurable(service, quota))
        .collect())
}

fn measurable(service: &'static str, quota: ServiceQuota) -> Option<(Quota, Metric)> {
    let usage = quota.usage_metric?;
    let statistic = match usage.metric_statistic_recommendation.as_deref() {
        Some("Sum") => Statistic::Sum,
        _ => Statistic::Maximum,
    };
    let seconds = quota.period.as_ref().and_then(seconds);
    if statistic == Statistic::Sum && seconds.is_none() {
        // A sum of calls says nothing without the time in which so many may be made.
        return None;
    }
    let metric = Metric {
        namespace: usage.metric_namespace?,
        name: usage.metric_name?,
        dimensions: Vec::from_iter(usage.metric_dimensions.unwrap_or_default()),
        statistic,
    };
    let quota = Quota {
        service,
        name: quota.quota_name?,
        limit: quota.value.filter(|limit| *limit > 0.0)?,
        seconds,
    };
    Some((quota, metric))
}

fn seconds(period: &QuotaPeriod) -> Option<f64> {
    let unit = match period.period_unit.as_ref()? {
        PeriodUnit::Microsecond => 0.000_001,
        PeriodUnit::Millisecond => 0.001,
        PeriodUnit::Second => 1.0,
        PeriodUnit::Minute => 60.0,
        PeriodUnit::Hour => 3600.0,
        PeriodUnit::Day => 86_400.0,
        PeriodUnit::Week => 604_800.0,
        _ => return None,
    };
    Some(unit * f64::from(period.period_value?))
}

/// A finding if little is left of a quota. `used` is a number of things, or how many there were in the busiest minute.
fn near_its_end(quota: &Quota, used: f64) -> Option<Finding> {
    let used = quota.seconds.map_or(used, |seconds| used / 60.0 * seconds);
    let share = used / quota.limit;
    (share >= NEAR).then(|| {
        let Quota {
            service,
            name,
            limit,
            ..
        } = quota;
        let percent = share * 100.0;
        Finding::problem(
            format!("{service}: {name}"),
            format!(
                "{used:.0} of {limit:.0} are used, {percent:.0} %: ask for more in Service Quotas"
            ),
        )
    })
}

/// What Lambda itself says of the account: how many functions run at once, and how much code there is.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html>
async fn lambda_account(examined: &Examined, found: &mut Vec<Finding>) -> anyhow::Result<()> {
    let lambda = aws_sdk_lambda::Client::new(&examined.config);
    let settings = lambda.get_account_settings().send().await;
    let settings = settings.context("Lambda's account settings could not be read")?;
    let mut wanted = 0;
    for source in examined.of_kind("AWS::Lambda::EventSourceMapping") {
        let read = lambda.get_event_source_mapping().uuid(&source.physical_id);
        // What is missing or can't be read is a finding of another check.
        if let Ok(answer) = read.send().await {
            let scaling = answer.scaling_config();
            wanted += scaling.and_then(|it| it.maximum_concurrency()).unwrap_or(0);
        }
    }
    if let Some(limit) = settings.account_limit() {
        let unreserved = limit.unreserved_concurrent_executions().unwrap_or(0);
        found.push(concurrency(unreserved, wanted));
        let usage = settings.account_usage();
        let used = usage.map_or(0, |it| it.total_code_size());
        let quota = Quota {
            service: "lambda",
            name: "bytes of code".to_owned(),
            limit: limit.total_code_size() as f64,
            seconds: None,
        };
        found.extend(near_its_end(&quota, used as f64));
    }
    Ok(())
}

/// Whether the account lets as many functions run at once as the stack's queues alone may start.
fn concurrency(unreserved: i32, wanted: i32) -> Finding {
    let what = "lambda: concurrent executions";
    let message = format!("{unreserved} of the account are not reserved, {wanted} are for queues");
    if unreserved > wanted {
        Finding::ok(what, message)
    } else {
        let more = "when all are busy, requests to the API fail. Ask for more in Service Quotas";
        Finding::warning(what, format!("{message}: {more}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    fn quota(limit: f64, seconds: Option<f64>) -> Quota {
        Quota {
            service: "sns",
            name: "Topics".to_owned(),
            limit,
            seconds,
        }
    }

    #[test]
    fn from_four_fifths_on_a_quota_is_near_its_end() {
        assert!(near_its_end(&quota(100.0, None), 79.9).is_none());
        let near = near_its_end(&quota(100.0, None), 80.0).unwrap();
        assert_eq!(near.health, Health::Problem);
        assert_eq!(near.what, "sns: Topics");
        assert!(
            near.message.starts_with("80 of 100 are used, 80 %"),
            "{}",
            near.message
        );
    }

    #[test]
    fn a_rate_is_reckoned_from_its_busiest_minute() {
        // 30 a second are 1,800 a minute.
        assert!(near_its_end(&quota(30.0, Some(1.0)), 1439.0).is_none());
        assert!(near_its_end(&quota(30.0, Some(1.0)), 1440.0).is_some());
        // 1,000 for five minutes are 200 a minute.
        assert!(near_its_end(&quota(1000.0, Some(300.0)), 159.0).is_none());
        assert!(near_its_end(&quota(1000.0, Some(300.0)), 160.0).is_some());
    }

    #[test]
    fn the_api_needs_some_of_the_concurrency_too() {
        assert_eq!(concurrency(1000, 200).health, Health::Ok);
        assert_eq!(concurrency(200, 200).health, Health::Warning);
        assert_eq!(concurrency(10, 200).health, Health::Warning);
    }

    #[test]
    fn only_what_is_measured_is_examined() {
        use aws_sdk_servicequotas::types::MetricInfo;
        let usage = MetricInfo::builder()
            .metric_namespace("AWS/Usage")
            .metric_name("ResourceCount")
            .metric_dimensions("Service", "SNS")
            .metric_statistic_recommendation("Maximum")
            .build();
        let quota = ServiceQuota::builder()
            .quota_name("Topics")
            .value(100_000.0);
        assert!(measurable("sns", quota.clone().build()).is_none());
        let (quota, metric) = measurable("sns", quota.usage_metric(usage).build()).unwrap();
        assert_eq!(quota.seconds, None);
        let dimension = ("Service".to_owned(), "SNS".to_owned());
        assert_eq!(metric.dimensions, vec![dimension]);
    }

    #[test]
    fn a_sum_without_its_time_is_not_compared() {
        use aws_sdk_servicequotas::types::MetricInfo;
        let usage = MetricInfo::builder()
            .metric_namespace("AWS/Usage")
            .metric_name("CallCount")
            .metric_statistic_recommendation("Sum")
            .build();
        let quota = ServiceQuota::builder().quota_name("Calls").value(10.0);
        let quota = quota.usage_metric(usage);
        assert!(measurable("sns", quota.clone().build()).is_none());
        let period = QuotaPeriod::builder().period_value(1);
        let period = period.period_unit(PeriodUnit::Second).build();
        let (quota, _) = measurable("sns", quota.period(period).build()).unwrap();
        assert_eq!(quota.seconds, Some(1.0));
    }
}
