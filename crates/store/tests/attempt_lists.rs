//! Lists of attempts by the times of requests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::topic::shards::Shards;
use bellwire_store::Attempts;
use bellwire_store::attempt_list::AttemptPage;
use bellwire_store::attempts::FinishedAttempt;
use support::attempts::{NOW, WEEK, attempt, prefetch, tables};
use support::subscriptions::subscription;
use time::{Duration, OffsetDateTime};

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
