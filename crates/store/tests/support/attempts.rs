//! The tables of attempts, and attempts at deliveries to the subscription `s1`.

use std::collections::HashSet;

use aws_sdk_dynamodb::Client;
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::ids::EventId;
use bellwire_domain::topic::shards::Shard;
use bellwire_store::attempt_record::Content;
use bellwire_store::attempts::FinishedAttempt;
use bellwire_store::prefetch::Prefetched;
use bellwire_store::{Attempts, Deliveries, Subscriptions};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::sid;

/// When the events are accepted, unless a test says otherwise.
pub const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
/// How long attempts and marks are kept.
pub const WEEK: Duration = Duration::days(7);

/// The tables of subscriptions, of attempts and, as [`super::TABLE`], of the marks of earlier versions.
pub async fn tables() -> (Client, Deliveries, Attempts) {
    let db = super::table(&["delivery_id"], None).await;
    super::add_table(&db, "subscriptions", &["subscription_id"]).await;
    super::add_table(&db, "exchanges", &["subscription_id", "exchange_id"]).await;
    let subscriptions = Subscriptions::new(db.clone(), "subscriptions".to_owned(), String::new());
    let attempts = Attempts::new(db.clone(), "exchanges".to_owned(), WEEK);
    let marks = super::TABLE.to_owned();
    let deliveries = Deliveries::new(attempts.clone(), marks, WEEK, subscriptions);
    (db, deliveries, attempts)
}

/// The delivery of an event to the subscription `s1`.
pub fn key(event: &str, accepted_at: OffsetDateTime) -> DeliveryKey {
    DeliveryKey {
        subscription_id: sid("s1").clone(),
        accepted_at,
        event_id: EventId::new(event),
        shard: Shard::default(),
    }
}

/// An attempt of an event that was accepted then, so much later.
pub fn attempt(
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
        resend: None,
        arrived,
        sent_at: accepted_at + later,
        content: Content {
            event_type: "event".to_owned(),
            status: Some(if arrived { 200 } else { 500 }),
            ..Content::default()
        },
    }
}

/// What is known of these deliveries, whichever version may have made them.
pub async fn prefetch(deliveries: &Deliveries, keys: &[DeliveryKey]) -> Prefetched {
    let earlier = keys.iter().map(DeliveryKey::earlier_id).collect();
    deliveries
        .prefetch(HashSet::from([sid("s1")]), keys, earlier)
        .await
        .unwrap()
}
