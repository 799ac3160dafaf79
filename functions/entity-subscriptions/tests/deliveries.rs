//! Looking at deliveries of callbacks, and having them sent once more.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::ClientId;
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::entity::EntityKey;
use bellwire_domain::ids::{EventId, SubscriptionId};
use bellwire_domain::topic::shards::Shard;
use bellwire_doubles::{Aws, Effect};
use bellwire_queues::{Delivery, DeliveryKind};
use bellwire_store::attempt_record::Content;
use bellwire_store::attempts::FinishedAttempt;
use bellwire_store::events::{Event, EventSource};
use serde_json::json;
use support::{Call, SECRET, account, basic, wanted};
use time::{Duration, OffsetDateTime};

const LIST: [&str; 2] = [
    "/subscriptions/{key}/deliveries",
    "/v1/webhooks/{key}/deliveries",
];
const ONE: [&str; 2] = [
    "/subscriptions/{key}/deliveries/{deliveryKey}",
    "/v1/webhooks/{key}/deliveries/{deliveryKey}",
];
const RESEND: [&str; 2] = [
    "/subscriptions/{key}/deliveries/{deliveryKey}/resend",
    "/v1/webhooks/{key}/deliveries/{deliveryKey}/resend",
];

/// An account with a client, its subscription to the entity `k1`, and a delivery that has failed once.
async fn delivered() -> (Aws, ClientId, String, DeliveryKey) {
    let (aws, client_id) = account().await;
    let call = Call::new("POST", "/subscriptions")
        .body(json!({"subscription": wanted("k1", "https://example.com/callback")}))
        .authorization(&basic(&client_id, SECRET));
    let (_, made) = call.made(&aws).await;
    let key = made["data"]["subscription"]["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let delivery = publish(&aws, &client_id, &key).await;
    (aws, client_id, key, delivery)
}

async fn publish(aws: &Aws, client_id: &ClientId, subscription: &str) -> DeliveryKey {
    let now = OffsetDateTime::now_utc();
    let micros = (now - Duration::minutes(5)).unix_timestamp_nanos() / 1000;
    let accepted_at = OffsetDateTime::from_unix_timestamp_nanos(micros * 1000).unwrap();
    let payload = json!({
        "client_ids": [client_id.as_str()],
        "entity_key": "k1",
        "entity_type": "Document",
        "callback_event": "entity_updated",
    });
    let event = Event {
        event_id: EventId::new("e1"),
        accepted_at,
        payload: serde_json::from_value::<bellwire_domain::entity::EntityEvent>(payload).unwrap(),
    };
    let source = EventSource::of_entity(&EntityKey::try_from("k1".to_owned()).unwrap());
    let events = aws.app("EntityEvents", &[]).events().unwrap();
    events.record(&source, &event, now).await.unwrap();
    let key = DeliveryKey {
        subscription_id: SubscriptionId::new(subscription),
        accepted_at,
        event_id: event.event_id,
        shard: Shard::default(),
    };
    let next = now + Duration::minutes(10);
    let attempt = FinishedAttempt {
        subscription_id: key.subscription_id.clone(),
        delivery_id: key.id(),
        key: Some(key.clone()),
        first: true,
        arrived: false,
        resend: None,
        sent_at: accepted_at,
        content: Content {
            event_type: "entity_updated".to_owned(),
            status: Some(503),
            request_body: Some("{}".to_owned()),
            next_attempt: i64::try_from(next.unix_timestamp_nanos() / 1_000_000).ok(),
            ..Content::default()
        },
    };
    let deliveries = aws.app("Deliver", &[]).deliveries().unwrap();
    assert!(deliveries.record(&[attempt], now).await.is_empty());
    key
}

#[tokio::test]
async fn a_delivery_is_listed_and_shown_in_either_spelling_and_says_when_it_is_retried() {
    let (aws, client_id, key, delivery) = delivered().await;
    for (list, one) in LIST.into_iter().zip(ONE) {
        let (status, page) = Call::new("GET", list)
            .by(&client_id)
            .on(&key)
            .made(&aws)
            .await;
        let found = &page["data"]["deliveries"];
        assert_eq!((status, found.as_array().unwrap().len()), (200, 1));
        assert_eq!(found[0]["state"], "retrying");
        assert_eq!(
            found[0]["next_attempt"],
            found[0]["attempts"][0]["next_attempt"]
        );
        let call = Call::new("GET", one).by(&client_id).on(&key);
        let (status, shown) = call.of(delivery.id().as_str()).made(&aws).await;
        assert_eq!((status, &shown["data"]["delivery"]), (200, &found[0]));
        let filtered = Call::new("GET", list).by(&client_id).on(&key);
        let (_, none) = filtered
            .with("callback_event", "document_status_changed")
            .made(&aws)
            .await;
        assert_eq!(none["data"]["deliveries"], json!([]));
        let refused = Call::new("GET", list).by(&client_id).on(&key);
        assert_eq!(
            refused.with("callback_event", "event").made(&aws).await.0,
            400
        );
    }
    // A disabled endpoint isn't tried again.
    let id = SubscriptionId::new(key.clone());
    aws.subscriptions()
        .disable(&id, OffsetDateTime::now_utc())
        .await
        .unwrap();
    let (_, page) = Call::new("GET", LIST[0])
        .by(&client_id)
        .on(&key)
        .made(&aws)
        .await;
    let found = &page["data"]["deliveries"][0];
    assert_eq!(found["state"], "failed");
    assert!(found.get("next_attempt").is_none());
    assert!(found["attempts"][0].get("next_attempt").is_none());
}

#[tokio::test]
async fn it_is_sent_once_more_once_wherever_the_function_is_killed() {
    for (spelling, effect) in [(0, Effect::None), (1, Effect::Done)] {
        for n in 1.. {
            let (aws, client_id, key, delivery) = delivered().await;
            let id = delivery.id();
            let call = || {
                let authorization = basic(&client_id, SECRET);
                let call = Call::new("POST", RESEND[spelling]).on(&key).of(id.as_str());
                call.authorization(&authorization).idempotency_key("k")
            };
            let ended = aws.killed_at(n, effect, call().made(&aws)).await;
            if ended.is_none() {
                assert_eq!(call().made(&aws).await.0, 202, "{n} {effect:?}");
            }
            let (status, answer) = call().made(&aws).await;
            assert_eq!(status, 202);
            // Behind the eight retries that there may be.
            let expected = json!({"delivery_key": id, "attempt": 10});
            assert_eq!(answer["data"], expected);
            let sent: Vec<Delivery> = aws.messages("DeliveriesQueue");
            assert!((1..=2).contains(&sent.len()), "{n} {effect:?}");
            for message in &sent {
                assert_eq!((message.id(), message.attempt), (Some(id.clone()), 9));
                assert_eq!(message.resend, sent[0].resend);
                assert!(matches!(message.kind, DeliveryKind::Entity { .. }));
            }
            if ended.is_some() {
                assert_eq!(sent.len(), 1);
                assert!(n > 5, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn nobody_elses_and_nothing_unknown_is_shown_or_sent() {
    let (aws, client_id, key, delivery) = delivered().await;
    let other = aws.add_client("other", false).await;
    let id = delivery.id();
    for (method, resource) in [("GET", ONE[0]), ("POST", RESEND[0])] {
        let call = |by: &ClientId, id: &str| {
            let call = Call::new(method, resource).on(&key).of(id);
            call.authorization(&basic(by, SECRET))
        };
        assert_eq!(call(&other, id.as_str()).made(&aws).await.0, 404);
        for unknown in ["x", "1_2_3", &"9".repeat(2000)] {
            assert_eq!(call(&client_id, unknown).made(&aws).await.0, 404);
        }
        let stranger = Call::new(method, resource).on(&key).of(id.as_str());
        assert_eq!(stranger.made(&aws).await.0, 401);
    }
    assert!(aws.sent("DeliveriesQueue").is_empty());
}
