//! The throughput of `deliver`: batches of ten events to endpoints on loopback, beside a bare
//! HTTP client that gets the same.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use aws_sdk_dynamodb::Client;
use bellwire_queues::{Delivery, Told};
use bellwire_rules::ids::random_id;
use bellwire_rules::modes::SubscriptionMode;
use bellwire_rules::payload::{Payload, compress};
use bellwire_rules::signature::{SigningSecrets, generate_secret};
use bellwire_store::Subscriptions;
use bellwire_store::subscription::{Progress, Source, Subscription};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::aws::{Aws, Counts};
use crate::figures::{Spread, millis};
use crate::lambda::Lambda;
use crate::sink::Sink;
use crate::stack;

/// As SQS hands them over.
const BATCH: usize = 10;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many endpoints there are.
    pub endpoints: usize,
    /// How long a payload is, in bytes.
    pub payload: usize,
    /// How many deliveries make a run.
    pub deliveries: usize,
    /// How many runs there are, of each side in turns.
    pub runs: usize,
}

/// What was measured: a second's deliveries, and the processor's milliseconds for each.
#[derive(Serialize)]
pub struct Throughput {
    endpoints: usize,
    payload: usize,
    per_second: Spread,
    cpu: Spread,
    ceiling_per_second: Spread,
    ceiling_cpu: Spread,
    /// Of all runs.
    calls: Counts,
    deliveries: usize,
}

/// Measures a load.
pub async fn measure(aws: &Aws, db: &Client, binaries: &Path, load: Load) -> Result<Throughput> {
    let sink = Sink::start(load.endpoints).await?;
    let subscriptions = subscribe(db, &sink).await?;
    let environment = stack::environment(aws);
    let start = async |name: &str| {
        let program = binaries.join(name).join("bootstrap");
        let mut lambda = Lambda::start(&program, &[], &environment).await?;
        lambda.ready().await?;
        anyhow::Ok(lambda)
    };
    let (mut deliver, mut ceiling) = (start("deliver").await?, start("ceiling").await?);
    let text = text(load.payload);
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

/// Hands over all batches, one after the other. Returns deliveries a second, and the
/// processor's milliseconds for each.
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
    let topic_id = random_id();
    let mut made = Vec::new();
    for address in &sink.addresses {
        let subscription = subscription(&topic_id, 0, &format!("http://{address}/hook"))?;
        table.create(&subscription).await?;
        made.push(subscription);
    }
    Ok(made)
}

/// A subscription to the events of a topic.
fn subscription(topic_id: &str, segment: u64, url: &str) -> Result<Subscription> {
    let now = OffsetDateTime::now_utc();
    Ok(Subscription {
        subscription_id: random_id(),
        client_id: "cl_aaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        source: Source::Topic {
            topic_id: topic_id.to_owned(),
            mode: SubscriptionMode::Event,
        },
        segment,
        webhook_url: url.to_owned(),
        webhook_headers: Default::default(),
        authorization: None,
        secrets: SigningSecrets::new(generate_secret()?),
        created_at: now,
        updated_at: now,
        disabled: None,
        unannounced: false,
        failing_since: None,
        progress: Progress::default(),
    })
}

/// A JSON text of about this length, which compresses as orders do.
fn text(length: usize) -> String {
    let order = |n: usize| {
        json!({"id": n, "customer": format!("customer-{}", n * 7919 % 9973),
               "amount": n * 104_729 % 99_991, "state": "shipped"})
    };
    let mut orders: Vec<Value> = Vec::new();
    let mut so_far = 2;
    while so_far < length {
        let next = order(orders.len());
        so_far += next.to_string().len() + 1;
        orders.push(next);
    }
    Value::from(orders).to_string()
}

fn deliveries(subscriptions: &[Subscription], text: &str, count: usize) -> Vec<Bytes> {
    let payload = Payload::inline(&compress(text.as_bytes()));
    let messages = (0..count)
        .zip(subscriptions.iter().cycle())
        .map(|(_, subscription)| {
            let delivery = Delivery {
                subscription_id: subscription.subscription_id.clone(),
                client_id: subscription.client_id.clone(),
                attempt: 0,
                accepted_at: OffsetDateTime::now_utc(),
                told: Told::Event {
                    event_id: random_id(),
                    payload: payload.clone(),
                },
            };
            serde_json::to_string(&delivery).unwrap_or_default()
        });
    batches(messages.collect())
}

fn posts(sink: &Sink, text: &str, count: usize) -> Vec<Bytes> {
    let addresses = sink.addresses.iter().cycle();
    let messages = (0..count).zip(addresses).map(|(_, address)| {
        json!({"url": format!("http://{address}/hook"), "body": text}).to_string()
    });
    batches(messages.collect())
}

/// The events that Lambda makes of messages, ten at a time.
fn batches(messages: Vec<String>) -> Vec<Bytes> {
    messages.chunks(BATCH).map(sqs_event).collect()
}

fn sqs_event(bodies: &[String]) -> Bytes {
    let record = |body: &String| {
        let attributes = json!({"ApproximateReceiveCount": "1", "SentTimestamp": "1795327944492",
            "SenderId": "bench", "ApproximateFirstReceiveTimestamp": "1795327944501"});
        json!({"messageId": random_id(), "receiptHandle": "bench", "body": body,
            "attributes": attributes, "messageAttributes": {}, "md5OfBody": "0",
            "eventSource": "aws:sqs", "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:bench"})
    };
    let records: Vec<Value> = bodies.iter().map(record).collect();
    Bytes::from(json!({ "Records": records }).to_string())
}
