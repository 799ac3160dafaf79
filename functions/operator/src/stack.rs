//! What AWS says of the stack: its queues, its alarms, and how much of what is charged was used.

use std::collections::HashMap;

use aws_sdk_cloudwatch::Client as CloudWatch;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StateValue, Statistic,
};
use aws_sdk_lambda::Client as Lambda;
use aws_sdk_sqs::Client as Sqs;
use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use bellwire_app::{App, BadSetting, Setting};
use bellwire_dead_letters::DeadQueue;
use bellwire_runtime::aws::Lazy;
use bellwire_web::Trouble;
use futures_util::future::try_join_all;
use time::{Duration, OffsetDateTime};

/// The queues that functions take messages from, and what they are called.
const WORKING: &[(&str, Setting)] = &[
    ("first attempts", Setting::DeliveriesQueueUrl),
    ("retries", Setting::RetriesQueueUrl),
    ("fan-outs", Setting::FanOutsQueueUrl),
    ("publications", Setting::PublicationsQueueUrl),
    ("client tasks", Setting::ClientTasksQueueUrl),
    ("renderings", Setting::RenderingsQueueUrl),
];
/// The settings with what the stack's outputs have, by the names of these.
const OUTPUTS: &[(&str, Setting)] = &[
    ("DeliveriesQueueUrl", Setting::DeliveriesQueueUrl),
    ("FanOutsQueueUrl", Setting::FanOutsQueueUrl),
    ("PublicationsQueueUrl", Setting::PublicationsQueueUrl),
    ("RenderingsQueueUrl", Setting::RenderingsQueueUrl),
    ("ClientTasksQueueUrl", Setting::ClientTasksQueueUrl),
    ("DeadDeliveriesQueueUrl", Setting::DeadDeliveriesQueueUrl),
    ("DeadFanOutsQueueUrl", Setting::DeadFanOutsQueueUrl),
    (
        "DeadPublicationsQueueUrl",
        Setting::DeadPublicationsQueueUrl,
    ),
    ("DeadRenderingsQueueUrl", Setting::DeadRenderingsQueueUrl),
    ("DeadClientTasksQueueUrl", Setting::DeadClientTasksQueueUrl),
    (
        "FailedCompletionsQueueUrl",
        Setting::FailedCompletionsQueueUrl,
    ),
    ("UndeliveredQueueUrl", Setting::UndeliveredQueueUrl),
    ("FailedCountsQueueUrl", Setting::FailedCountsQueueUrl),
];
/// How long ago a value may have been measured, of queues.
const LATELY: Duration = Duration::minutes(15);

/// The stack, as AWS knows it.
#[derive(Debug)]
pub struct Stack {
    sqs: Lazy<Sqs>,
    cloudwatch: Lazy<CloudWatch>,
    /// What the names of its functions and alarms begin with.
    prefix: String,
    working: Vec<(&'static str, String)>,
    dead: Vec<DeadQueue>,
    dead_urls: Vec<(&'static str, String)>,
}

/// What is in a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueState {
    /// What it is called.
    pub name: &'static str,
    /// How many messages wait.
    pub visible: u64,
    /// How many are in work.
    pub in_flight: u64,
    /// How many wait for their time.
    pub delayed: u64,
    /// For how long the oldest waits, in seconds, if CloudWatch knows it.
    pub oldest: Option<u64>,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// What it means.
    pub description: String,
    /// Whether it has gone off.
    pub gone_off: bool,
}

/// A sum of what was used: of which metric, and of what.
#[derive(Clone, Debug)]
pub struct Used {
    /// The namespace: `AWS/Lambda`.
    pub namespace: &'static str,
    /// The metric: `Invocations`.
    pub metric: &'static str,
    /// The dimension's name and value; none for all of the account's.
    pub of: (&'static str, String),
}

impl Stack {
    /// The stack that the settings name.
    ///
    /// # Errors
    /// When a setting is missing.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        let sqs = app.client(Sqs::new);
        let lambda = app.client(Lambda::new);
        let prefix: String = app.setting(Setting::FunctionPrefix)?;
        let output = |name: &'static str| match OUTPUTS.iter().find(|(it, _)| *it == name) {
            Some((_, setting)) => app.setting(*setting),
            None => Ok(format!("{prefix}query-completion")),
        };
        let working = WORKING
            .iter()
            .map(|(name, url)| Ok((*name, app.setting(*url)?)));
        Ok(Self {
            working: working.collect::<Result<_, BadSetting>>()?,
            dead: bellwire_dead_letters::of(&sqs, &lambda, output)?,
            dead_urls: bellwire_dead_letters::urls(output)?,
            cloudwatch: app.client(CloudWatch::new),
            sqs,
            prefix,
        })
    }

    /// The queues of dead letters.
    pub fn dead_queues(&self) -> &[DeadQueue] {
        &self.dead
    }

    /// What the names of the stack's functions begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What is in the queues that functions take messages from.
    pub async fn working(&self) -> Result<Vec<QueueState>, Trouble> {
        let mut states = try_join_all(self.working.iter().map(|it| self.queue(it))).await?;
        let names = self
            .working
            .iter()
            .map(|(_, url)| url.rsplit('/').next().unwrap_or(url));
        let ages = names.map(|name| Used {
            namespace: "AWS/SQS",
            metric: "ApproximateAgeOfOldestMessage",
            of: ("QueueName", name.to_owned()),
        });
        let ages: Vec<Used> = ages.collect();
        let values = self.measured(&ages, Statistic::Maximum, LATELY, 60).await?;
        for (state, values) in states.iter_mut().zip(values) {
            // Newest first. Of an empty queue it may be that of a message that is gone.
            state.oldest = values
                .first()
                .map(|it| *it as u64)
                .filter(|_| state.visible > 0);
        }
        Ok(states)
    }

    /// What is in the queues of dead letters.
    pub async fn dead(&self) -> Result<Vec<QueueState>, Trouble> {
        try_join_all(self.dead_urls.iter().map(|it| self.queue(it))).await
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
    async fn queue(&self, (name, url): &(&'static str, String)) -> Result<QueueState, Trouble> {
        let wanted = [
            Attribute::ApproximateNumberOfMessages,
            Attribute::ApproximateNumberOfMessagesNotVisible,
            Attribute::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.sqs.get_queue_attributes().queue_url(url);
        let request = request.set_attribute_names(Some(wanted.to_vec()));
        let answer = request.send().await.map_err(broken)?;
        let attributes = answer.attributes.unwrap_or_default();
        let number = |name: &Attribute| attributes.get(name).and_then(|text| text.parse().ok());
        let [visible, in_flight, delayed] = wanted.map(|name| number(&name).unwrap_or_default());
        Ok(QueueState {
            name,
            visible,
            in_flight,
            delayed,
            oldest: None,
        })
    }

    /// The stack's alarms, those first that have gone off.
    pub async fn alarms(&self) -> Result<Vec<Alarm>, Trouble> {
        let pages = self
            .cloudwatch
            .describe_alarms()
            .alarm_name_prefix(&self.prefix);
        let mut alarms = pages.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = alarms.next().await {
            let page = page.map_err(broken)?;
            found.extend(
                page.metric_alarms
                    .unwrap_or_default()
                    .into_iter()
                    .map(|alarm| Alarm {
                        gone_off: alarm.state_value == Some(StateValue::Alarm),
                        name: alarm.alarm_name.unwrap_or_default(),
                        description: alarm.alarm_description.unwrap_or_default(),
                    }),
            );
        }
        found.sort_by_key(|alarm| (!alarm.gone_off, alarm.name.clone()));
        Ok(found)
    }

    /// The sum of each in the latest 24 hours.
    pub async fn used(&self, wanted: &[Used]) -> Result<Vec<f64>, Trouble> {
        let values = self
            .measured(wanted, Statistic::Sum, Duration::DAY, 3600)
            .await?;
        Ok(values
            .into_iter()
            .map(|values| values.iter().sum())
            .collect())
    }

    /// The values of each, newest first.
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
    async fn measured(
        &self,
        wanted: &[Used],
        statistic: Statistic,
        length: Duration,
        period: i32,
    ) -> Result<Vec<Vec<f64>>, Trouble> {
        let now = OffsetDateTime::now_utc();
        let id = |index: usize| format!("m{index}");
        let queries = wanted.iter().enumerate().map(|(index, used)| {
            let (name, value) = &used.of;
            let dimension = Dimension::builder().name(*name).value(value).build();
            let metric = Metric::builder()
                .namespace(used.namespace)
                .metric_name(used.metric)
                .dimensions(dimension)
                .build();
            let stat = MetricStat::builder()
                .metric(metric)
                .period(period)
                .stat(statistic.as_str())
                .build();
            MetricDataQuery::builder()
                .id(id(index))
                .metric_stat(stat)
                .build()
        });
        let mut pages = self
            .cloudwatch
            .get_metric_data()
            .set_metric_data_queries(Some(queries.collect()))
            .scan_by(ScanBy::TimestampDescending)
            .start_time(DateTime::from_secs((now - length).unix_timestamp()))
            .end_time(DateTime::from_secs(now.unix_timestamp()))
            .into_paginator()
            .send();
        let mut found: HashMap<String, Vec<f64>> = HashMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(broken)?;
            for result in page.metric_data_results.unwrap_or_default() {
                let values = result.values.unwrap_or_default();
                found
                    .entry(result.id.unwrap_or_default())
                    .or_default()
                    .extend(values);
            }
        }
        Ok((0..wanted.len())
            .map(|index| found.remove(&id(index)).unwrap_or_default())
            .collect())
    }
}

/// AWS doesn't answer as it should.
pub fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Trouble {
    Trouble::Broken(error.into())
}
