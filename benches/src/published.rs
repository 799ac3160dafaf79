//! The scenarios for which the product that protocol B comes from has published latencies: a number
//! of subscribers to a number of topics, each of which gets a new document every second.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::Client;
use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::modes::{PayloadType, SubscriptionMode};
use bellwire_store::{Members, Subscriptions, Topics};
use futures_util::future::try_join_all;
use serde::Serialize;

use crate::figures::{Spread, millis, percentile};
use crate::pipeline::{Pipeline, Usage};
use crate::samples;
use crate::sink::Sink;

/// The time between two publications to a topic.
const PERIOD: Duration = Duration::from_secs(1);
/// How many endpoints there are, each of several users.
const ENDPOINTS: usize = 50;
/// How long the last arrival may take after the last publication.
const PATIENCE: Duration = Duration::from_secs(60);

/// A scenario: a number of users with a subscription each, to one of a number of topics.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Scenario {
    /// The number of users, and so of subscriptions.
    pub users: usize,
    /// The number of topics: each has as many subscriptions as the others.
    pub topics: usize,
    /// The length of a document, in bytes.
    pub payload: usize,
}

/// The published scenarios.
pub fn scenarios() -> impl Iterator<Item = Scenario> {
    [20, 50].into_iter().flat_map(|kilobytes| {
        let loads = [(50, 1), (200, 1), (750, 1), (50, 50), (200, 200)];
        loads.into_iter().map(move |(users, topics)| Scenario {
            users,
            topics,
            payload: kilobytes * 1024,
        })
    })
}

/// The results: milliseconds from when a publication was due to an arrival.
#[derive(Serialize)]
pub struct Latency {
    #[serde(flatten)]
    scenario: Scenario,
    /// How many publications there were to each topic.
    publications: usize,
    /// How many deliveries were expected.
    expected: usize,
    /// How many of them arrived in time.
    arrived: usize,
    p50: f64,
    p99: f64,
    all: Spread,
    /// The work of the functions, with that for the first publications; unknown on a stack.
    functions: Option<Usage>,
}

/// Publishes for so many seconds. `publish` gets the number of a topic, and the document. The
/// endpoint of a user of topic 3 has the path `/3`.
pub async fn measure(
    scenario: Scenario,
    seconds: usize,
    sink: &Sink,
    publish: impl AsyncFn(usize, &str) -> Result<()>,
) -> Result<Latency> {
    // What is set up for the first publication must not count for the others.
    for topic in 0..scenario.topics {
        publish(topic, &samples::orders(0, scenario.payload)).await?;
    }
    arrive(sink, 0, scenario.users).await;
    ensure!(
        sink.take().len() == scenario.users,
        "the first publications have not arrived"
    );
    let bodies = (1..=seconds).map(|number| samples::orders(number, scenario.payload));
    let bodies: &Vec<String> = &bodies.collect();
    let (before, began) = (sink.arrived(), tokio::time::Instant::now());
    let publish = &publish;
    let topics = (0..scenario.topics).map(|topic| async move {
        // The publications to the topics are spread over the whole period.
        let offset = PERIOD.mul_f64(as_float(topic) / as_float(scenario.topics));
        let mut sent = Vec::new();
        for (number, body) in bodies.iter().enumerate() {
            // Measured from when it is due, also if the one before takes until then.
            let due = began + offset + PERIOD.mul_f64(as_float(number));
            tokio::time::sleep_until(due).await;
            sent.push(due.into_std());
            publish(topic, body).await?;
        }
        anyhow::Ok(sent)
    });
    let sent = try_join_all(topics).await?;
    let expected = scenario.users * seconds;
    arrive(sink, before, expected).await;
    let mut latencies = Vec::new();
    for arrival in sink.take() {
        let topic: usize = arrival.path.trim_start_matches('/').parse()?;
        let sent = sent
            .get(topic)
            .and_then(|sent| sent.get(arrival.number.checked_sub(1)?));
        let sent = sent.context("nobody has published that")?;
        latencies.push(millis(arrival.at - *sent));
    }
    latencies.sort_by(f64::total_cmp);
    Ok(Latency {
        scenario,
        publications: seconds,
        expected,
        arrived: latencies.len(),
        p50: percentile(&latencies, 0.5),
        p99: percentile(&latencies, 0.99),
        all: Spread::of(latencies),
        functions: None,
    })
}

/// Starts the endpoints of a scenario.
pub async fn endpoints() -> Result<Sink> {
    Sink::start(ENDPOINTS).await
}

/// Measures a scenario with the functions alone, without a stack.
pub async fn alone(
    db: &Client,
    mut pipeline: Pipeline,
    scenario: Scenario,
    seconds: usize,
) -> Result<Latency> {
    let sink = endpoints().await?;
    let topics = subscribe(db, &sink, scenario).await?;
    let publish = async |topic: usize, body: &str| {
        let topic_id = topics.get(topic).context("a topic")?;
        pipeline.publish(topic_id.as_str(), body).await
    };
    let latency = measure(scenario, seconds, &sink, publish).await?;
    pipeline.idle().await?;
    Ok(Latency {
        functions: Some(pipeline.take_usage()?),
        ..latency
    })
}

/// Creates the topics of a scenario on the stand-ins, with their subscriptions. Returns the topics'
/// ids.
async fn subscribe(db: &Client, sink: &Sink, scenario: Scenario) -> Result<Vec<TopicId>> {
    let mut ids = Vec::new();
    for _ in 0..scenario.topics {
        let topic = samples::topic(PayloadType::Snapshot)?;
        let topics = Topics::new(db.clone(), "topics".to_owned());
        topics.create(&topic, None).await?;
        ids.push(topic.id);
    }
    let members = Members::new(db.clone(), "members".to_owned());
    let table = Subscriptions::new(db.clone(), "subscriptions".to_owned(), "members".to_owned());
    for (url, topic) in scenario.urls(sink) {
        let id = ids.get(topic).context("a topic")?;
        let segment = members.next_segment(id).await?;
        let mode = SubscriptionMode::SnapshotOnly;
        table
            .create(
                &samples::subscription(id, mode, segment, url)?,
                &samples::LIMITS,
                Vec::new(),
            )
            .await?;
    }
    Ok(ids)
}

impl Scenario {
    /// The URL of each user's endpoint, and the number of the user's topic.
    pub fn urls(self, sink: &Sink) -> impl Iterator<Item = (String, usize)> {
        let addresses = sink.addresses.iter().cycle();
        (0..self.users).zip(addresses).map(move |(user, address)| {
            let topic = user % self.topics;
            (format!("http://{address}/{topic}"), topic)
        })
    }
}

/// Waits until so many requests have arrived since there were `before`, or it has taken too long.
async fn arrive(sink: &Sink, before: u64, expected: usize) {
    let began = Instant::now();
    while sink.arrived() - before < expected as u64 && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What is counted is few enough for a float.
#[allow(clippy::cast_precision_loss)]
fn as_float(count: usize) -> f64 {
    count as f64
}
