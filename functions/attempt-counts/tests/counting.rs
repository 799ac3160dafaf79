//! Each attempt is counted once, however the stream's batches are cut, repeated and broken off.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use attempt_counts::AttemptCountsFunction;
use aws_lambda_events::dynamodb::Event;
use bellwire_domain::ids::SubscriptionId;
use bellwire_doubles::{Aws, Effect, Fault};
use bellwire_store::attempt_counts::HourlyCounts;
use serde_json::{Value, from_value, json};
use time::OffsetDateTime;
use time::macros::datetime;

const DAY: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

async fn account() -> (Aws, AttemptCountsFunction) {
    let aws = Aws::with_tables(&["CountsTable"]).await;
    let function = AttemptCountsFunction::new(&aws.app("AttemptCounts", &[])).unwrap();
    (aws, function)
}

/// A record of a new item with these keys, whose attempt had this status after so many failures.
fn record(number: u64, partition: &str, key: &str, status: u16, failures: usize) -> Value {
    let mut content = json!({"t": "event", "d": 42, "u": "https://example.com/", "g": ""});
    if status > 0 {
        content["s"] = json!(status);
    }
    if failures > 0 {
        content["f"] = json!(failures);
    }
    let content = base64(content.to_string().as_bytes());
    json!({
        "eventID": format!("e{number}"),
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/exchanges/stream/1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_767_225_600.0,
            "SequenceNumber": (100_000_000_000_000_000_000_u128 + u128::from(number)).to_string(),
            "SizeBytes": 200,
            "StreamViewType": "NEW_IMAGE",
            "Keys": {"subscription_id": {"S": partition}, "exchange_id": {"S": key}},
            "NewImage": {
                "subscription_id": {"S": partition},
                "exchange_id": {"S": key},
                "content": {"B": content},
                "expires_at": {"N": "1"},
            },
        },
    })
}

fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

fn first(number: u64, minute: u64) -> Value {
    let key = format!("a#2026-01-01T00:{minute:02}:00.000000Z#e{number}");
    record(number, "s1", &key, 200, 0)
}

fn batch(records: &[Value]) -> Event {
    from_value(json!({ "Records": records })).unwrap()
}

async fn hours(aws: &Aws, id: &str) -> Vec<HourlyCounts> {
    let counts = aws.app("AttemptCounts", &[]).counts().unwrap();
    let end = DAY + time::Duration::days(1);
    counts
        .between(&SubscriptionId::new(id), DAY, end)
        .await
        .unwrap()
}

async fn delivered(aws: &Aws) -> u64 {
    let hours = hours(aws, "s1").await;
    hours.iter().map(|hour| hour.counts.delivered).sum()
}

#[tokio::test]
async fn attempts_are_counted_by_subscription_and_hour() {
    let (aws, function) = account().await;
    let retry = "r#2026-01-01T01:10:00.000000Z#d1";
    let records = [
        first(1, 0),
        first(2, 59),
        // Of another shard of the topic, another range, another subscription, and without an answer.
        record(3, "s1#5", "a#2026-01-01T00:30:00.000000Z#e3", 503, 0),
        record(4, "s1", retry, 200, 1),
        record(5, "s2", "a#2026-01-01T00:30:00.000000Z#e5", 0, 0),
    ];
    function.handle(batch(&records)).await.unwrap();
    let [at_zero, at_one] = hours(&aws, "s1").await.try_into().unwrap();
    assert_eq!(at_zero.hour, DAY);
    let counts = at_zero.counts;
    assert_eq!((counts.delivered, counts.failed, counts.retried), (2, 1, 0));
    assert_eq!(counts.latency.iter().sum::<u64>(), 3);
    let counts = at_one.counts;
    assert_eq!((counts.delivered, counts.failed, counts.retried), (1, 0, 1));
    let [unanswered] = hours(&aws, "s2").await.try_into().unwrap();
    assert_eq!(unanswered.counts.failed, 1);
    assert_eq!(unanswered.counts.latency.iter().sum::<u64>(), 0);
}

#[tokio::test]
async fn what_is_no_new_attempt_is_not_counted() {
    let (aws, function) = account().await;
    let mut changed = first(1, 0);
    changed["eventName"] = json!("MODIFY");
    let mut mark = first(2, 0);
    mark["dynamodb"]["NewImage"]
        .as_object_mut()
        .unwrap()
        .remove("content");
    let mut damaged = first(3, 0);
    damaged["dynamodb"]["NewImage"]["content"] = json!({"B": base64(b"\x01xyz")});
    let mut unnumbered = first(4, 0);
    unnumbered["dynamodb"]["SequenceNumber"] = json!("");
    let earlier = record(5, "s1", "2026-01-01T00:00:00.000000Z#x", 200, 0);
    let records = [changed, mark, damaged, unnumbered, earlier, first(6, 0)];
    function.handle(batch(&records)).await.unwrap();
    assert_eq!(delivered(&aws).await, 1);
}

#[tokio::test]
async fn a_batch_that_comes_again_counts_once_however_it_is_cut() {
    let all: Vec<Value> = (1..=8).map(|number| first(number, number)).collect();
    // Where the first batch ends, and where those begin and end that follow, up to the last record.
    for cuts in [
        vec![(0, 8), (0, 8)],
        vec![(0, 5), (0, 8)],
        vec![(0, 8), (0, 3), (3, 8)],
        vec![(0, 3), (2, 6), (0, 8)],
        vec![(0, 1), (0, 2), (0, 4), (0, 8)],
    ] {
        let (aws, function) = account().await;
        for (from, to) in &cuts {
            function.handle(batch(&all[*from..*to])).await.unwrap();
        }
        assert_eq!(delivered(&aws).await, 8, "{cuts:?}");
    }
}

#[tokio::test]
async fn a_batch_that_is_half_done_is_completed_by_its_repetition() {
    let mut records: Vec<Value> = (1..=3).map(|number| first(number, number)).collect();
    records.push(record(4, "s1", "a#2026-01-01T05:00:00.000000Z#e4", 200, 0));
    records.push(record(
        5,
        "s1#1",
        "a#2026-01-01T05:00:00.000000Z#e5",
        200,
        0,
    ));
    for effect in [Effect::None, Effect::Done] {
        for n in 1..=4 {
            let (aws, function) = account().await;
            aws.killed_at(n, effect, function.handle(batch(&records)))
                .await;
            function.handle(batch(&records)).await.unwrap();
            assert_eq!(delivered(&aws).await, 5, "{n} {effect:?}");
        }
    }
}

#[tokio::test]
async fn a_batch_fails_when_counts_cannot_be_written() {
    let (aws, function) = account().await;
    aws.fail("UpdateItem", Fault::Throttled, 20);
    assert!(function.handle(batch(&[first(1, 0)])).await.is_err());
    aws.heal();
    aws.fail("UpdateItem", Fault::LostAnswer, 1);
    function.handle(batch(&[first(1, 0)])).await.unwrap();
    assert_eq!(delivered(&aws).await, 1);
}

#[tokio::test]
async fn a_batch_is_one_write_for_a_subscription_and_hour() {
    let (aws, function) = account().await;
    let records: Vec<Value> = (1..=50).map(|number| first(number, number)).collect();
    aws.calls();
    function.handle(batch(&records)).await.unwrap();
    assert_eq!(aws.calls(), ["UpdateItem"]);
}
