//! An account with a subscription, and deliveries that the function is handed.
#![allow(dead_code, reason = "each test file uses some of it")]

use bellwire_domain::ids::{EventId, SubscriptionId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::payload::{Payload, compress};
use bellwire_doubles::endpoint::Endpoint;
use bellwire_doubles::{Aws, received};
use bellwire_queues::{Delivery, DeliveryKind};
use bellwire_store::versions::Version;
use deliver::DeliverFunction;
use time::OffsetDateTime;

const TABLES: [&str; 5] = [
    "SubscriptionsTable",
    "MembersTable",
    "EventsTable",
    "ExchangesTable",
    "DeliveriesTable",
];

/// An endpoint, and an account with its subscription `s1` to the topic `t1`.
pub async fn subscribed(mode: SubscriptionMode) -> (Aws, Endpoint) {
    let aws = Aws::with_tables(&TABLES).await;
    let endpoint = Endpoint::start().await;
    aws.subscribe("s1", "t1", mode, &endpoint.url).await;
    aws.calls();
    (aws, endpoint)
}

/// Processes deliveries as one batch, whose messages have the numbers of their deliveries as ids. Returns the ids of
/// those that failed.
pub async fn deliver(aws: &Aws, deliveries: &[Delivery]) -> Vec<String> {
    let changes = [
        ("ALLOW_HTTP", "true"),
        ("OPEN_NETWORKS", "127.0.0.0/8"),
        ("RETRY_SCHEDULE", "5s 2h"),
    ];
    let function = DeliverFunction::new(&aws.app("Deliver", &changes)).unwrap();
    let batch = deliveries.iter().enumerate();
    let batch = batch.map(|(n, delivery)| received(&n.to_string(), "c1", delivery.clone()));
    let failed = function.handle(batch.collect()).await;
    failed.iter().map(ToString::to_string).collect()
}

/// A delivery to the subscription `s1`, of something that was accepted now.
pub fn delivery(kind: DeliveryKind) -> Delivery {
    let (id, client_id) = (SubscriptionId::new("s1"), "c1".to_owned());
    Delivery::new(id, client_id, OffsetDateTime::now_utc(), kind)
}

/// The delivery of an event with this id.
pub fn event(id: &str) -> Delivery {
    delivery(DeliveryKind::Event {
        event_id: EventId::new(id),
        payload: Payload::inline(&compress(b"{}")),
    })
}

/// How many deliveries are on record as arrived.
pub async fn arrived(aws: &Aws) -> usize {
    let items = aws.items("ExchangesTable").await.into_iter();
    items.filter(|item| item["arrived"] == true).count()
}

/// The `webhook-id`s of the requests that the endpoint has received.
pub fn ids(endpoint: &Endpoint) -> Vec<String> {
    let received = endpoint.received().into_iter();
    received
        .map(|request| request.header("webhook-id").unwrap().to_owned())
        .collect()
}

/// Commits a version of the topic's document, which is the version's number.
pub async fn commit(aws: &Aws, version: u64) {
    let patch = format!(r#"[{{"op":"replace","path":"","value":{version}}}]"#);
    let next = Version {
        version,
        accepted_at: OffsetDateTime::now_utc(),
        snapshot: Payload::inline(&compress(version.to_string().as_bytes())),
        patch: (version > 1).then(|| Payload::inline(&compress(patch.as_bytes()))),
        confirmed_at: None,
    };
    let previous = (version > 1).then_some(version - 1);
    let (topic, id, now) = (
        TopicId::new("t1"),
        format!("p{version}"),
        OffsetDateTime::now_utc(),
    );
    let events = aws.app("Commit", &[]).events().unwrap();
    events
        .commit(&topic, &id, &next, previous, now)
        .await
        .unwrap();
}

/// Lets the lease of the subscription expire.
pub async fn expire_lease(aws: &Aws) {
    let key = [("subscription_id", "s1")];
    aws.set_number("SubscriptionsTable", &key, "turn_until", 1)
        .await;
}

/// The document that a receiver has that applies what it receives, in order.
pub fn applied(endpoint: &Endpoint) -> Option<u64> {
    let received = endpoint.received().into_iter();
    received.fold(None, |_, request| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let patched = body.as_array().map(|patch| patch[0]["value"].as_u64());
        patched.unwrap_or_else(|| body.as_u64())
    })
}
