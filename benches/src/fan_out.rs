//! Fan-out: a publication to a topic with one subscription, and with more and more, through all
//! functions.

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
    /// How many publications there are to it, each when the one before is done.
    publications: usize,
    /// The length of a publication, in bytes.
    payload: usize,
}

/// The sizes that are measured.
const SIZES: &[Size] = &[
    events(1, 200),
    events(1_000, 10),
    events(10_000, 3),
    events(100_000, 1),
    documents(1, 200),
    documents(1_000, 10),
    documents(10_000, 2),
];

const fn events(subscriptions: usize, publications: usize) -> Size {
    Size {
        kind: PayloadType::Event,
        subscriptions,
        publications,
        payload: 1024,
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
    publications: usize,
    payload: usize,
    first_arrival: Spread,
    last_arrival: Spread,
    /// The calls to AWS, for all publications.
    calls: Counts,
    /// The work of the functions, for all publications.
    functions: Usage,
    /// The logs of the functions, for all publications, in bytes.
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
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for number in 1..=size.publications {
        let (to_first, to_last) = publish(pipeline, &sink, &topic_id, number, size).await?;
        first.push(millis(to_first));
        last.push(millis(to_last));
    }
    Ok(FanOut {
        kind: size.kind,
        subscriptions: size.subscriptions,
        publications: size.publications,
        payload: size.payload,
        first_arrival: Spread::of(first),
        last_arrival: Spread::of(last),
        calls: aws.take_counts(),
        functions: pipeline.take_usage()?,
        logs: pipeline.logged()? - logged,
    })
}

/// Publishes, and waits until everything is processed. Returns the times to the first and the last
/// arrival.
async fn publish(
    pipeline: &mut Pipeline,
    sink: &Sink,
    topic_id: &str,
    number: usize,
    size: Size,
) -> Result<(Duration, Duration)> {
    let body = samples::orders(number, size.payload);
    let (before, began) = (sink.arrived(), Instant::now());
    pipeline.publish(topic_id, &body).await?;
    while sink.arrived() - before < size.subscriptions as u64 {
        ensure!(
            began.elapsed() < PATIENCE,
            "not all deliveries have arrived"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    pipeline.idle().await?;
    let arrivals = sink.take();
    let to: HashSet<&str> = arrivals.iter().map(|it| it.path.as_str()).collect();
    let once = arrivals.len() == size.subscriptions && to.len() == arrivals.len();
    ensure!(once, "a delivery is missing, or there twice");
    let times = arrivals.iter().map(|it| it.at - began);
    let (first, last) = (times.clone().min(), times.max());
    Ok((first.context("no arrival")?, last.context("no arrival")?))
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
