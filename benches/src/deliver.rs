//! The throughput of `deliver`: batches of ten events to endpoints on loopback, compared with a
//! bare HTTP client that sends the same.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::Result;
use aws_sdk_dynamodb::Client;
use bellwire_domain::ids::{TopicId, new_event_id, random_id};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::payload::{Payload, compress};
use bellwire_queues::{Delivery, DeliveryKind};
use bellwire_store::Subscriptions;
use bellwire_store::subscription::Subscription;
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;

use crate::aws::{Aws, Counts};
use crate::figures::{Spread, millis};
use crate::lambda::Lambda;
use crate::queues::{self, Message};
use crate::samples;
use crate::sink::Sink;
use crate::stack;

/// How many messages SQS hands over at once.
const BATCH: usize = 10;

/// A load to measure.
#[derive(Clone, Copy, Debug)]
struct Load {
    endpoints: usize,
    /// The length of a payload, in bytes.
    payload: usize,
    /// How many deliveries there are in a run.
    deliveries: usize,
    /// How many runs there are of each side, in alternation.
    runs: usize,
}

/// The results: deliveries a second, and milliseconds of processor time for each delivery.
#[derive(Serialize)]
pub struct Throughput {
    endpoints: usize,
    payload: usize,
    per_second: Spread,
    cpu: Spread,
    ceiling_per_second: Spread,
    ceiling_cpu: Spread,
    /// The calls to AWS, in all runs.
    calls: Counts,
    deliveries: usize,
}

/// Measures all loads, or those with this number of endpoints: as many runs, of as many deliveries
/// each.
pub async fn all(
    aws: &Aws,
    db: &Client,
    binaries: &Path,
    deliveries: usize,
    runs: usize,
    endpoints: Option<usize>,
) -> Result<Vec<Throughput>> {
    let mut measured = Vec::new();
    for (number, kilobytes) in [(1, 1), (50, 1), (1000, 1), (1, 20), (50, 20), (1000, 20)] {
        if endpoints.is_none_or(|it| it == number) {
            let load = Load {
                endpoints: number,
                payload: kilobytes * 1024,
                deliveries,
                runs,
            };
            measured.push(measure(aws, db, binaries, load).await?);
        }
    }
    Ok(measured)
}

async fn measure(aws: &Aws, db: &Client, binaries: &Path, load: Load) -> Result<Throughput> {
    let sink = Sink::start(load.endpoints).await?;
    let subscriptions = subscribe(db, &sink).await?;
    let environment = stack::environment(aws);
    let start = async |name: &str| {
        let program = binaries.join(name).join("bootstrap");
        let mut lambda = Lambda::start(&program, &[], &environment, Stdio::null()).await?;
        lambda.ready().await?;
        anyhow::Ok(lambda)
    };
    let (mut deliver, mut ceiling) = (start("deliver").await?, start("ceiling").await?);
    let text = samples::orders(0, load.payload);
    let events = |count: usize| deliveries(&subscriptions, &text, count);
    let posts = |count: usize| posts(&sink, &text, count);
    // Connections and code are warm before anything is measured.
    run(&mut deliver, &sink, events(load.endpoints.max(200))).await?;
    run(&mut ceiling, &sink, posts(load.endpoints.max(200))).await?;
    aws.take_counts();
    let mut sides = [(vec![], vec![]), (vec![], vec![])];
    for _ in 0..load.runs {
        let [ours, bare] = &mut sides;
        for (side, lambda, batches) in [
            (ours, &mut deliver, events(load.deliveries)),
            (bare, &mut ceiling, posts(load.deliveries)),
        ] {
            let (per_second, cpu) = run(lambda, &sink, batches).await?;
            side.0.push(per_second);
            side.1.push(cpu);
        }
    }
    let [(per_second, cpu), (ceiling_per_second, ceiling_cpu)] = sides;
    Ok(Throughput {
        endpoints: load.endpoints,
        payload: load.payload,
        per_second: Spread::of(per_second),
        cpu: Spread::of(cpu),
        ceiling_per_second: Spread::of(ceiling_per_second),
        ceiling_cpu: Spread::of(ceiling_cpu),
        calls: aws.take_counts(),
        deliveries: load.deliveries * load.runs,
    })
}

/// Hands over all batches, one after the other. Returns the deliveries a second, and the
/// milliseconds of processor time for each.
async fn run(lambda: &mut Lambda, sink: &Sink, batches: Vec<Bytes>) -> Result<(f64, f64)> {
    let (before, cpu, began) = (sink.arrived(), lambda.cpu()?, Instant::now());
    for batch in batches {
        lambda.invoke(batch).await?;
    }
    let took = began.elapsed();
    // There are far fewer than 2^52 of them.
    #[allow(clippy::cast_precision_loss)]
    let arrived = (sink.arrived() - before) as f64;
    let cpu = millis(lambda.cpu()? - cpu);
    Ok((arrived / took.as_secs_f64(), cpu / arrived))
}

/// A subscription to events for each endpoint.
async fn subscribe(db: &Client, sink: &Sink) -> Result<Vec<Subscription>> {
    let table = Subscriptions::new(db.clone(), "subscriptions".to_owned(), "members".to_owned());
    let topic_id = TopicId::new(random_id());
    let mut made = Vec::new();
    for address in &sink.addresses {
        let url = format!("http://{address}/hook");
        let subscription = samples::subscription(&topic_id, SubscriptionMode::Event, 0, url)?;
        table
            .create(&subscription, &samples::LIMITS, Vec::new())
            .await?;
        made.push(subscription);
    }
    Ok(made)
}

fn deliveries(subscriptions: &[Subscription], text: &str, count: usize) -> Vec<Bytes> {
    let payload = Payload::inline(&compress(text.as_bytes()));
    let messages = (0..count)
        .zip(subscriptions.iter().cycle())
        .map(|(_, subscription)| {
            let delivery = Delivery::new(
                subscription.subscription_id.clone(),
                subscription.client_id.clone(),
                OffsetDateTime::now_utc(),
                DeliveryKind::Event {
                    event_id: new_event_id(),
                    payload: payload.clone(),
                },
            );
            Message {
                body: serde_json::to_string(&delivery).unwrap_or_default(),
                group: Some(delivery.client_id),
            }
        });
    batches(messages.collect())
}

fn posts(sink: &Sink, text: &str, count: usize) -> Vec<Bytes> {
    let addresses = sink.addresses.iter().cycle();
    let messages = (0..count).zip(addresses).map(|(_, address)| {
        let body = json!({"url": format!("http://{address}/hook"), "body": text});
        Message {
            body: body.to_string(),
            group: None,
        }
    });
    batches(messages.collect())
}

/// The events that Lambda makes of these messages, ten at a time.
fn batches(messages: Vec<Message>) -> Vec<Bytes> {
    messages.chunks(BATCH).map(queues::event).collect()
}
