//! The record of attempts: which deliveries have arrived, and lists by the times of requests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::HashSet;

use aws_sdk_dynamodb::Client;
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::ids::EventId;
use bellwire_domain::topic::shards::{Shard, Shards};
use bellwire_store::attempt_list::AttemptPage;
use bellwire_store::attempt_record::Content;
use bellwire_store::attempts::FinishedAttempt;
use bellwire_store::prefetch::Prefetched;
use bellwire_store::{Attempts, Deliveries, Subscriptions};
use support::sid;
use support::subscriptions::subscription;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
const WEEK: Duration = Duration::days(7);

async fn tables() -> (Client, Deliveries, Attempts) {
    let db = support::table(&["delivery_id"], None).await;
    support::add_table(&db, "subscriptions", &["subscription_id"]).await;
    support::add_table(&db, "exchanges", &["subscription_id", "exchange_id"]).await;
    let subscriptions = Subscriptions::new(db.clone(), "subscriptions".to_owned(), String::new());
    let attempts = Attempts::new(db.clone(), "exchanges".to_owned(), WEEK);
    let marks = support::TABLE.to_owned();
    let deliveries = Deliveries::new(attempts.clone(), marks, WEEK, subscriptions);
    (db, deliveries, attempts)
}

fn key(event: &str, accepted_at: OffsetDateTime) -> DeliveryKey {
    DeliveryKey {
        subscription_id: sid("s1").clone(),
        accepted_at,
        event_id: EventId::new(event),
        shard: Shard::default(),
    }
}

/// An attempt of an event that was accepted then, so much later.
fn attempt(
    event: &str,
    accepted_at: OffsetDateTime,
    later: Duration,
    arrived: bool,
) -> FinishedAttempt {
    let key = key(event, accepted_at);
    FinishedAttempt {
        subscription_id: sid("s1").clone(),
        delivery_id: key.id(),
        key: Some(key),
        first: true,
        arrived,
        sent_at: accepted_at + later,
        content: Content {
            event_type: "event".to_owned(),
            status: Some(if arrived { 200 } else { 500 }),
            ..Content::default()
        },
    }
}

async fn prefetch(deliveries: &Deliveries, keys: &[DeliveryKey]) -> Prefetched {
    let earlier = keys.iter().map(DeliveryKey::earlier_id).collect();
    deliveries
        .prefetch(HashSet::from([sid("s1")]), keys, earlier)
        .await
        .unwrap()
}

async fn count(db: &Client) -> usize {
    let items = db
        .scan()
        .table_name("exchanges")
        .send()
        .await
        .unwrap()
        .items;
    items.unwrap_or_default().len()
}

#[tokio::test]
async fn a_first_attempt_is_one_item_that_says_whether_it_has_arrived() {
    let (db, deliveries, attempts) = tables().await;
    // More than one batch.
    let made: Vec<_> = (0..40)
        .map(|n| attempt(&format!("e{n}"), NOW, Duration::milliseconds(n), n % 2 == 0))
        .collect();
    assert!(deliveries.record(&made, NOW).await.is_empty());
    assert_eq!(count(&db).await, 40);
    let keys: Vec<DeliveryKey> = made
        .iter()
        .filter_map(|it| it.key.clone())
        .take(30)
        .collect();
    let known = prefetch(&deliveries, &keys).await;
    for (n, key) in keys.iter().enumerate() {
        assert!(known.is_known(key));
        assert_eq!(known.has_arrived(key), n % 2 == 0, "{n}");
    }
    assert!(known.subscriptions.is_empty());
    let other = key("e0", NOW + Duration::microseconds(1));
    assert!(
        !prefetch(&deliveries, std::slice::from_ref(&other))
            .await
            .is_known(&other)
    );
    let (subscription, end) = (subscription(), NOW + Duration::hours(1));
    let page = attempts.between(&subscription, Shards::ONE, NOW, end, None, NOW);
    let page = page.await.unwrap();
    assert_eq!(page.attempts.len(), 40);
    assert_eq!(page.attempts[1].delivery_id, keys[1].id());
    assert_eq!(
        page.attempts[1].error.as_deref(),
        Some("500 INTERNAL_SERVER_ERROR")
    );
    assert_eq!(
        page.attempts[1].request_headers["x-axway-streams-event-id"],
        "e1"
    );
}

#[tokio::test]
async fn late_attempts_and_retries_have_items_of_their_own_and_set_the_mark() {
    let (db, deliveries, _) = tables().await;
    let late = attempt("late", NOW, Duration::seconds(61), true);
    // The clock of whoever accepted it is ahead.
    let early = attempt("early", NOW, Duration::milliseconds(-1), true);
    let failed = attempt("retried", NOW, Duration::seconds(1), false);
    let retry = FinishedAttempt {
        first: false,
        arrived: true,
        ..attempt("retried", NOW, Duration::seconds(5), true)
    };
    let document = FinishedAttempt {
        key: None,
        ..attempt("document", NOW, Duration::ZERO, true)
    };
    for attempt in [&late, &early, &failed, &retry, &document] {
        let failed = deliveries.record(std::slice::from_ref(attempt), NOW).await;
        assert!(failed.is_empty());
    }
    // Two marks with their attempts, the first attempt of the retried one and its retry, and the document.
    assert_eq!(count(&db).await, 4 + 2 + 1);
    for attempt in [late, early, retry] {
        let key = attempt.key.unwrap();
        assert!(
            prefetch(&deliveries, std::slice::from_ref(&key))
                .await
                .has_arrived(&key),
            "{key:?}"
        );
    }
}

#[tokio::test]
async fn a_copy_that_fails_takes_nothing_from_the_one_that_has_arrived() {
    let (db, deliveries, attempts) = tables().await;
    let arrived = attempt("e1", NOW, Duration::seconds(1), true);
    let copy = attempt("e1", NOW, Duration::seconds(2), false);
    for attempt in [&arrived, &copy] {
        assert!(
            deliveries
                .record(std::slice::from_ref(attempt), NOW)
                .await
                .is_empty()
        );
    }
    let key = arrived.key.unwrap();
    assert!(
        prefetch(&deliveries, std::slice::from_ref(&key))
            .await
            .has_arrived(&key)
    );
    assert_eq!(count(&db).await, 2);
    let page = attempts
        .newest(&subscription(), Shards::ONE, None, 10, NOW)
        .await
        .unwrap();
    assert_eq!(page.attempts.len(), 2);
}

#[tokio::test]
async fn marks_of_earlier_versions_are_known() {
    let (db, deliveries, _) = tables().await;
    let key = key("e1", NOW);
    let put = db.put_item().table_name(support::TABLE);
    put.item("delivery_id", support::s(key.earlier_id().as_str()))
        .send()
        .await
        .unwrap();
    let known = prefetch(&deliveries, std::slice::from_ref(&key)).await;
    assert!(known.has_arrived(&key) && !known.is_known(&key));
    // Only those are asked for that an earlier version may have delivered.
    let asked = deliveries.prefetch(HashSet::new(), std::slice::from_ref(&key), HashSet::new());
    assert!(!asked.await.unwrap().has_arrived(&key));
}

#[tokio::test]
async fn an_arrival_may_be_recorded_later_and_twice() {
    let (_, deliveries, attempts) = tables().await;
    let key = key("e1", NOW);
    for _ in 0..2 {
        deliveries.note_arrived(&key, NOW).await.unwrap();
    }
    assert!(
        prefetch(&deliveries, std::slice::from_ref(&key))
            .await
            .has_arrived(&key)
    );
    // The mark alone is no attempt.
    let page = attempts
        .newest(&subscription(), Shards::ONE, None, 10, NOW)
        .await
        .unwrap();
    assert!(page.attempts.is_empty() && page.next_cursor.is_none());
}

#[tokio::test]
async fn what_is_in_another_shard_is_looked_up_there_and_removed_with_the_rest() {
    let (db, deliveries, attempts) = tables().await;
    let eight = Shards::try_from(8).unwrap();
    let mut made: Vec<FinishedAttempt> = (0..40)
        .map(|n| attempt(&format!("e{n}"), NOW, Duration::ZERO, n % 2 == 0))
        .collect();
    for attempt in &mut made {
        let key = attempt.key.as_mut().unwrap();
        key.shard = eight.of(&key.event_id);
    }
    assert!(deliveries.record(&made, NOW).await.is_empty());
    let keys: Vec<DeliveryKey> = made
        .iter()
        .filter_map(|it| it.key.clone())
        .take(30)
        .collect();
    let known = prefetch(&deliveries, &keys).await;
    for (n, key) in keys.iter().enumerate() {
        assert!(known.is_known(key));
        assert_eq!(known.has_arrived(key), n % 2 == 0, "{n}");
    }
    deliveries.note_arrived(&keys[1], NOW).await.unwrap();
    assert!(prefetch(&deliveries, &keys).await.has_arrived(&keys[1]));
    attempts.remove_all(sid("s1"), eight).await.unwrap();
    assert_eq!(count(&db).await, 0);
}

fn ids(page: &AttemptPage) -> Vec<String> {
    page.attempts
        .iter()
        .map(|it| it.delivery_id.to_string())
        .collect()
}

/// Everything between two times, from all pages.
async fn listed(
    attempts: &Attempts,
    shards: Shards,
    start: OffsetDateTime,
    end: OffsetDateTime,
    now: OffsetDateTime,
) -> Vec<String> {
    let (mut after, mut found) = (None, Vec::new());
    for _ in 0..1000 {
        let page = attempts
            .between(&subscription(), shards, start, end, after, now)
            .await
            .unwrap();
        found.extend(ids(&page));
        after = page.next_cursor;
        if after.is_none() {
            return found;
        }
    }
    panic!("the list doesn't end");
}

/// The same, newest first, in pages of this size.
async fn newest(
    attempts: &Attempts,
    shards: Shards,
    limit: usize,
    now: OffsetDateTime,
) -> Vec<String> {
    let (mut after, mut found) = (None, Vec::new());
    for _ in 0..1000 {
        let page = attempts
            .newest(&subscription(), shards, after, limit, now)
            .await
            .unwrap();
        assert!(page.attempts.len() <= limit);
        found.extend(ids(&page));
        after = page.next_cursor;
        if after.is_none() {
            return found;
        }
    }
    panic!("the list doesn't end");
}

/// Attempts whose order by acceptance is another than by request: first ones up to a minute late, retries, documents.
fn mixed(body: usize) -> Vec<FinishedAttempt> {
    let mut number: u64 = 7;
    let mut random = |below: i64| {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(number >> 33).unwrap() % below
    };
    (0..120)
        .map(|n| {
            let accepted_at = NOW + Duration::seconds(random(300));
            let later = Duration::milliseconds(random(80_000));
            let mut made = attempt(&format!("e{n}"), accepted_at, later, n % 3 != 0);
            made.first = n % 5 != 0;
            if n % 7 == 0 {
                made.key = None;
            }
            made.content.response_body = Some("x".repeat(body));
            made
        })
        .collect()
}

#[tokio::test]
async fn lists_are_complete_and_in_the_order_of_requests_whatever_the_pages() {
    // Such bodies compress to nothing; signatures don't, so that a megabyte has fewer than all items.
    for (signature, count) in [(0, 1), (20_000, 1), (0, 4)] {
        let (_, deliveries, attempts) = tables().await;
        let shards = Shards::try_from(count).unwrap();
        let mut made = mixed(100);
        for (n, attempt) in made.iter_mut().enumerate() {
            if let Some(key) = &mut attempt.key {
                // The topic had one shard at first.
                let then = if n < 20 { Shards::ONE } else { shards };
                key.shard = then.of(&key.event_id);
            }
        }
        let mut number: u64 = 1;
        for attempt in &mut made {
            let digits = std::iter::repeat_with(|| {
                number = number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                number.to_string()
            });
            attempt.content.signature = digits.take(signature / 20).collect();
        }
        assert!(deliveries.record(&made, NOW).await.is_empty());
        made.sort_by_key(|it| (it.sent_at, it.delivery_id.to_string()));
        let now = NOW + Duration::hours(1);
        let (start, end) = (NOW + Duration::seconds(30), NOW + Duration::seconds(200));
        let within = made
            .iter()
            .filter(|it| it.sent_at >= start && it.sent_at <= end);
        let expected: Vec<String> = within.map(|it| it.delivery_id.to_string()).collect();
        assert!(expected.len() > 50);
        assert_eq!(listed(&attempts, shards, start, end, now).await, expected);
        let expected: Vec<String> = made
            .iter()
            .rev()
            .map(|it| it.delivery_id.to_string())
            .collect();
        for limit in if count == 1 {
            [1, 7, 50, 200]
        } else {
            [13, 40, 50, 200]
        } {
            assert_eq!(
                newest(&attempts, shards, limit, now).await,
                expected,
                "{limit}"
            );
        }
    }
}

#[tokio::test]
async fn attempts_are_shown_for_as_long_as_they_are_kept() {
    let (_, deliveries, attempts) = tables().await;
    let made: Vec<_> = (0..10)
        .map(|n| {
            attempt(
                &format!("e{n}"),
                NOW + Duration::seconds(n),
                Duration::ZERO,
                true,
            )
        })
        .collect();
    deliveries.record(&made, NOW).await;
    // A week later; DynamoDB hasn't removed any.
    let now = NOW + WEEK + Duration::seconds(6);
    let left: Vec<String> = made[6..]
        .iter()
        .map(|it| it.delivery_id.to_string())
        .collect();
    assert_eq!(listed(&attempts, Shards::ONE, NOW, now, now).await, left);
    let newest: Vec<String> = newest(&attempts, Shards::ONE, 6, now)
        .await
        .into_iter()
        .rev()
        .collect();
    assert_eq!(newest, left);
    // They are known to have arrived all the same.
    let key = made[0].key.clone().unwrap();
    assert!(
        prefetch(&deliveries, std::slice::from_ref(&key))
            .await
            .has_arrived(&key)
    );
}

#[tokio::test]
async fn what_earlier_versions_have_recorded_is_listed_with_the_rest() {
    let (db, deliveries, attempts) = tables().await;
    let exchange = r#"{"subscriptionId":"s1","pipelineId":"d1","eventType":"event","requestDatetime":
        "2026-01-01T00:00:01.000000Z","requestDuration":"PT0.012345S","requestUrl":"https://example.com/",
        "requestHeaders":{"webhook-id":"d1"},"requestRetryAttempts":2,"requestRetryMaxAttempts":7,
        "responseCode":200,"responseSize":"2B","callback":{"body":"{}"}}"#;
    let put = db
        .put_item()
        .table_name("exchanges")
        .item("subscription_id", support::s("s1"));
    let put = put.item(
        "exchange_id",
        support::s("2026-01-01T00:00:01.000000Z#d1#2"),
    );
    put.item("exchange", support::s(exchange))
        .send()
        .await
        .unwrap();
    let (before, after) = (
        attempt("e1", NOW, Duration::ZERO, true),
        attempt("e2", NOW, Duration::seconds(2), true),
    );
    deliveries
        .record(&[before.clone(), after.clone()], NOW)
        .await;
    let now = NOW + Duration::hours(1);
    let expected = [
        before.delivery_id.to_string(),
        "d1".to_owned(),
        after.delivery_id.to_string(),
    ];
    assert_eq!(
        listed(&attempts, Shards::ONE, NOW, now, now).await,
        expected
    );
    let page = attempts
        .newest(&subscription(), Shards::ONE, None, 10, now)
        .await
        .unwrap();
    let record = &page.attempts[1];
    assert_eq!(
        (record.duration_ms, record.failures, record.retries),
        (12, 2, 7)
    );
    assert_eq!(
        (record.response_bytes, record.request_body.as_deref()),
        (Some(2), Some("{}"))
    );
}
