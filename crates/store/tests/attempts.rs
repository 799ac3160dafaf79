//! The record of attempts: which deliveries have arrived.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::HashSet;

use aws_sdk_dynamodb::Client;
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::topic::shards::Shards;
use bellwire_runtime::deadline::Steps;
use bellwire_store::attempts::FinishedAttempt;
use support::attempts::{NOW, attempt, key, prefetch, tables};
use support::sid;
use support::subscriptions::subscription;
use time::Duration;

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
    let removed = attempts.remove_all(sid("s1"), eight).await.unwrap();
    assert_eq!(removed, Steps::Done);
    assert_eq!(count(&db).await, 0);
}
