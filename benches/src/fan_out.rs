//! Fan-out: requests that publish to a topic with one subscription, and with more and more, through all
//! functions; each with one event or document, or with a batch of events.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::Client;
use bellwire_domain::topic::modes::{PayloadType, SubscriptionMode};
use bellwire_store::{Members, Subscriptions, Topics};
use futures_util::stream::{self, TryStreamExt};
use serde::Serialize;

use crate::aws::{Aws, Counts};
use crate::figures::{Spread, millis};
use crate::pipeline::{Pipeline, Usage};
use crate::samples;
use crate::sink::Sink;

/// How many endpoints there are, each with many subscriptions.
const ENDPOINTS: usize = 50;
/// How many subscriptions are created at once.
const AT_ONCE: usize = 8;
/// How long to wait for the last arrival.
const PATIENCE: Duration = Duration::from_secs(600);

/// A size to measure: what is published, to how many subscriptions, and how often.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// Whether the topic has documents or events.
    kind: PayloadType,
    /// How many subscriptions the topic has.
    subscriptions: usize,
    /// How many requests publish to it, each when the one before is done.
    publications: usize,
    /// How many events a request has.
    batch: usize,
    /// The length of an event or document, in bytes.
    payload: usize,
}

/// The sizes that are measured.
const SIZES: &[Size] = &[
    events(1, 200),
    events(10, 100),
    events(1_000, 10),
    events(10_000, 3),
    events(100_000, 1),
    batches(1, 20),
    batches(10, 10),
    batches(1_000, 2),
    documents(1, 200),
    documents(10, 100),
    documents(1_000, 10),
    documents(10_000, 2),
];

const fn events(subscriptions: usize, publications: usize) -> Size {
    Size {
        kind: PayloadType::Event,
        subscriptions,
        publications,
        batch: 1,
        payload: 1024,
    }
}

const fn batches(subscriptions: usize, publications: usize) -> Size {
    Size {
        batch: 100,
        ..events(subscriptions, publications)
    }
}

const fn documents(subscriptions: usize, publications: usize) -> Size {
    Size {
        kind: PayloadType::Snapshot,
        ..events(subscriptions, publications)
    }
}

/// The results. Times are in milliseconds, from the start of the publisher's request.
#[derive(Serialize)]
pub struct FanOut {
    kind: PayloadType,
    subscriptions: usize,
    /// How many requests there were.
    publications: usize,
    /// How many events each had.
    batch: usize,
    payload: usize,
    first_arrival: Spread,
    last_arrival: Spread,
    /// Deliveries a second, from the start of a request to its last arrival.
    per_second: Spread,
    /// The calls to AWS, for all requests.
    calls: Counts,
    /// The work of the functions, for all requests.
    functions: Usage,
    /// The logs of the functions, for all requests, in bytes.
    logs: u64,
}

/// Measures all sizes with at most this number of subscriptions.
pub async fn all(
    aws: &Aws,
    db: &Client,
    pipeline: &mut Pipeline,
    most: usize,
) -> Result<Vec<FanOut>> {
    let mut measured = Vec::new();
    for size in SIZES {
        if size.subscriptions <= most {
            measured.push(measure(aws, db, pipeline, *size).await?);
        }
    }
    Ok(measured)
}

async fn measure(aws: &Aws, db: &Client, pipeline: &mut Pipeline, size: Size) -> Result<FanOut> {
    let sink = Sink::start(ENDPOINTS.min(size.subscriptions)).await?;
    let topic_id = subscribe(db, &sink, size).await?;
    // Connections and code are warm before anything is measured.
    publish(pipeline, &sink, &topic_id, 0, size).await?;
    aws.take_counts();
    pipeline.take_usage()?;
    let logged = pipeline.logged()?;
    let (mut first, mut last, mut per_second) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=size.publications {
        let (to_first, to_last) = publish(pipeline, &sink, &topic_id, number, size).await?;
        first.push(millis(to_first));
        last.push(millis(to_last));
        per_second.push(size.deliveries() / to_last.as_secs_f64());
    }
    Ok(FanOut {
        kind: size.kind,
        subscriptions: size.subscriptions,
        publications: size.publications,
        batch: size.batch,
        payload: size.payload,
        first_arrival: Spread::of(first),
        last_arrival: Spread::of(last),
        per_second: Spread::of(per_second),
        calls: aws.take_counts(),
        functions: pipeline.take_usage()?,
        logs: pipeline.logged()? - logged,
    })
}

/// Publishes by one request, and waits until everything is processed. Returns the times to the first and the last
/// arrival.
async fn publish(
    pipeline: &mut Pipeline,
    sink: &Sink,
    topic_id: &str,
    number: usize,
    size: Size,
) -> Result<(Duration, Duration)> {
    let numbers = (0..size.batch).map(|place| number * size.batch + place);
    let bodies: Vec<String> = numbers
        .map(|it| samples::orders(it, size.payload))
        .collect();
    let expected = size.subscriptions * size.batch;
    let (before, began) = (sink.arrived(), Instant::now());
    match &bodies[..] {
        [body] => pipeline.publish(topic_id, body).await?,
        bodies => pipeline.publish_batch(topic_id, bodies).await?,
    }
    while sink.arrived() - before < expected as u64 {
        ensure!(
            began.elapsed() < PATIENCE,
            "not all deliveries have arrived"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    pipeline.idle().await?;
    let arrivals = sink.take();
    let to: HashSet<(&str, usize)> = arrivals
        .iter()
        .map(|it| (it.path.as_str(), it.number))
        .collect();
    let once = arrivals.len() == expected && to.len() == arrivals.len();
    ensure!(once, "a delivery is missing, or there twice");
    let times = arrivals.iter().map(|it| it.at - began);
    let (first, last) = (times.clone().min(), times.max());
    Ok((first.context("no arrival")?, last.context("no arrival")?))
}

impl Size {
    /// How many deliveries a request makes. There are far fewer than 2^52 of them.
    #[allow(clippy::cast_precision_loss)]
    fn deliveries(self) -> f64 {
        (self.subscriptions * self.batch) as f64
    }
}

/// Creates a topic with its subscriptions, each with a path of its own. Returns the topic's id.
async fn subscribe(db: &Client, sink: &Sink, size: Size) -> Result<String> {
    let topic = samples::topic(size.kind)?;
    Topics::new(db.clone(), "topics".to_owned())
        .create(&topic, None)
        .await?;
    let members = &Members::new(db.clone(), "members".to_owned());
    let table = &Subscriptions::new(db.clone(), "subscriptions".to_owned(), "members".to_owned());
    let mode = match size.kind {
        PayloadType::Event => SubscriptionMode::Event,
        PayloadType::Snapshot => SubscriptionMode::SnapshotOnly,
    };
    let id = &topic.id;
    let addresses = sink.addresses.iter().cycle();
    stream::iter((0..size.subscriptions).zip(addresses).map(Ok))
        .try_for_each_concurrent(AT_ONCE, |(number, address)| async move {
            let segment = members.next_segment(id).await?;
            let url = format!("http://{address}/{number}");
            table
                .create(
                    &samples::subscription(id, mode, segment, url)?,
                    &samples::LIMITS,
                    Vec::new(),
                )
                .await?;
            anyhow::Ok(())
        })
        .await?;
    Ok(topic.id.to_string())
}
