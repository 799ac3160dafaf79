//! The Deliveries and Exchanges tables: which deliveries have succeeded, and the record of attempts.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::{BTreeMap, HashSet};

use bellwire_domain::ids::{DeliveryId, SubscriptionId};
use bellwire_store::deliveries::Attempt;
use bellwire_store::exchanges::{Exchange, ExchangePage};
use bellwire_store::{Deliveries, Exchanges, Subscriptions};
use support::{TABLE, sid};
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

async fn tables() -> (Deliveries, Exchanges) {
    let db = support::table(&["delivery_id"], None).await;
    support::add_table(&db, "subscriptions", &["subscription_id"]).await;
    support::add_table(&db, "exchanges", &["subscription_id", "exchange_id"]).await;
    let subscriptions = Subscriptions::new(db.clone(), "subscriptions".to_owned(), String::new());
    let week = Duration::days(7);
    let exchanges = Exchanges::new(db.clone(), "exchanges".to_owned(), week);
    let deliveries = Deliveries::new(db, TABLE.to_owned(), week, subscriptions, exchanges.clone());
    (deliveries, exchanges)
}

fn attempt(number: i64, arrived: bool) -> Attempt {
    Attempt {
        exchange: Exchange {
            subscription_id: SubscriptionId::new("s1"),
            pipeline_id: format!("d{number}"),
            event_type: "event".to_owned(),
            request_datetime: NOW + Duration::seconds(number),
            request_duration: String::new(),
            request_url: String::new(),
            request_headers: BTreeMap::new(),
            request_retry_attempts: None,
            request_retry_max_attempts: None,
            response_code: Some(200),
            response_headers: BTreeMap::new(),
            response_body: Some("x".repeat(16_000)),
            response_size: None,
            error_message: None,
            callback: None,
        },
        arrived,
    }
}

#[tokio::test]
async fn what_has_arrived_is_known() {
    let (deliveries, exchanges) = tables().await;
    // More than one batch.
    let attempts: Vec<_> = (0..40).map(|n| attempt(n, n % 2 == 0)).collect();
    deliveries.record(&attempts, NOW).await.unwrap();
    let id = |n| DeliveryId::new(format!("d{n}"));
    let ids: HashSet<DeliveryId> = (0..40).map(id).collect();
    let known = deliveries
        .prefetch(HashSet::from([sid("s1")]), ids)
        .await
        .unwrap();
    let arrived: HashSet<DeliveryId> = (0..40).step_by(2).map(id).collect();
    assert_eq!(known.arrived, arrived);
    assert!(known.subscriptions.is_empty());
    let nothing = deliveries.prefetch(HashSet::new(), HashSet::new());
    assert!(nothing.await.unwrap().arrived.is_empty());

    let page = exchanges.between(sid("s1"), NOW, NOW + Duration::hours(1), None, NOW);
    assert_eq!(page.await.unwrap().exchanges.len(), 40);
}

#[tokio::test]
async fn exchanges_are_shown_for_as_long_as_they_are_kept() {
    let (deliveries, exchanges) = tables().await;
    let attempts: Vec<_> = (0..10).map(|n| attempt(n, false)).collect();
    deliveries.record(&attempts, NOW).await.unwrap();
    // A week later; DynamoDB hasn't removed any.
    let now = NOW + Duration::days(7) + Duration::seconds(6);
    let page = exchanges
        .between(sid("s1"), NOW, now, None, now)
        .await
        .unwrap();
    let left = |page: ExchangePage| page.exchanges.into_iter().map(|it| it.pipeline_id);
    assert!(left(page).eq(["d6", "d7", "d8", "d9"]));
    let page = exchanges.newest(sid("s1"), None, 6, now).await.unwrap();
    assert_eq!(page.next_cursor, None);
    assert!(left(page).eq(["d9", "d8", "d7", "d6"]));
}

#[tokio::test]
async fn exchanges_beyond_a_megabyte_come_in_slices() {
    let (deliveries, exchanges) = tables().await;
    let attempts: Vec<_> = (0..100).map(|n| attempt(n, false)).collect();
    deliveries.record(&attempts, NOW).await.unwrap();
    let end = NOW + Duration::seconds(98);
    let (mut after, mut found, mut slices) = (None, Vec::new(), 0);
    loop {
        let page = exchanges.between(sid("s1"), NOW + Duration::seconds(1), end, after, NOW);
        let page = page.await.unwrap();
        found.extend(page.exchanges.into_iter().map(|it| it.pipeline_id));
        after = page.next_cursor;
        slices += 1;
        if after.is_none() {
            break;
        }
    }
    let wanted: Vec<String> = (1..=98).map(|n| format!("d{n}")).collect();
    assert_eq!(found, wanted);
    assert!(slices > 1);
}
