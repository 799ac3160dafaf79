//! What endpoints are sent, as a whole: headers and body of each kind of delivery.

use bellwire_domain::Secret;
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::entity::{CallbackEvent, EntityKey, EntityType, Spelling};
use bellwire_domain::ids::{DeliveryId, EventId, SubscriptionId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::Shard;
use bellwire_queues::EventType;
use bellwire_store::Subscription;
use bellwire_store::subscription::{Source, Webhook};
use bellwire_store::versions::Version;
use bytes::Bytes;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::protocols::{entities, streams};
use crate::rendered::Rendered;
use crate::targets::webhook::{own_headers, sign};

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

fn subscription(source: Source) -> Subscription {
    let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let webhook = Webhook {
        origin: Some("api.example.com".to_owned()),
        ..Webhook::new("https://example.com/", secret)
    };
    Subscription::new(SubscriptionId::new("s1"), "c1", source, webhook, NOW)
}

fn to_topic() -> Subscription {
    subscription(Source::Topic {
        topic_id: TopicId::new("t1"),
        mode: SubscriptionMode::SnapshotPatch,
    })
}

fn subscription_to(entity_key: &str, spelling: Spelling) -> Subscription {
    subscription(Source::Entity {
        entity_key: EntityKey::try_from(entity_key.to_owned()).unwrap(),
        spelling,
    })
}

/// The id of the delivery of an event to the subscription.
fn id(event: &str) -> DeliveryId {
    let key = DeliveryKey {
        subscription_id: SubscriptionId::new("s1"),
        accepted_at: NOW,
        event_id: EventId::new(event),
        shard: Shard::default(),
    };
    key.id()
}

/// The request as it is written, but for what belongs to the connection.
fn written(subscription: &Subscription, rendered: &Rendered, failures: usize) -> String {
    let webhook = subscription.webhook();
    let signature = sign(webhook, rendered, NOW).unwrap();
    let headers = own_headers(subscription, webhook, rendered, failures, NOW, &signature).unwrap();
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    let body = String::from_utf8_lossy(&rendered.body);
    format!("{}\n\n{body}", lines.join("\n"))
}

#[test]
fn events_of_topics() {
    let subscription = to_topic();
    let body = Bytes::from_static(b"{\"n\":1}");
    let event = streams::event(id("e1"), &EventId::new("e1"), body);
    insta::assert_snapshot!("event", written(&subscription, &event, 0));
    let deleted =
        streams::topic_deleted(&subscription, id("e2"), &EventId::new("e2"), NOW).unwrap();
    insta::assert_snapshot!("topic_deleted", written(&subscription, &deleted, 2));
}

#[test]
fn versions_of_documents() {
    let subscription = to_topic();
    let version = Version {
        version: 7,
        accepted_at: NOW,
        snapshot: Payload::Inline("{}".to_owned()),
        patch: None,
        confirmed_at: None,
    };
    for (name, event_type) in [
        ("snapshot", EventType::Snapshot),
        ("patch", EventType::Patch),
    ] {
        let body = Bytes::from_static(b"[]");
        let rendered = streams::version(&subscription, &version, event_type, body).unwrap();
        insta::assert_snapshot!(name, written(&subscription, &rendered, 0));
    }
}

#[test]
fn callbacks_of_entities() {
    let subscription = subscription_to("order-1", Spelling::Subscriptions);
    let event = CallbackEvent::EntityUpdated;
    let callback = entities::callback(
        &subscription,
        id("e1"),
        &EventId::new("e1"),
        EntityType::Document,
        event,
    )
    .unwrap();
    assert!(callback.records_body);
    insta::assert_snapshot!("callback", written(&subscription, &callback, 0));
    let webhook = subscription_to("order-1", Spelling::Webhooks);
    let callback = entities::callback(
        &webhook,
        id("e1"),
        &EventId::new("e1"),
        EntityType::Document,
        event,
    )
    .unwrap();
    insta::assert_snapshot!("callback_of_webhook", written(&webhook, &callback, 0));
    // A topic's subscription is sent no callback, and the other way round.
    assert!(
        entities::callback(
            &to_topic(),
            id("e1"),
            &EventId::new("e1"),
            EntityType::Document,
            event
        )
        .is_err()
    );
}
