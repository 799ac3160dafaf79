//! What becomes of events of entities when AWS fails, and when the function is killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use bellwire_domain::digest::sha256_hex;
use bellwire_doubles::{Aws, Effect, Fault, request};
use bellwire_queues::{Delivery, FanOut};
use entity_events::EntityEventsFunction;
use lambda_http::http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

const TABLES: [&str; 4] = [
    "ClientsTable",
    "MembersTable",
    "SubscriptionsTable",
    "EventsTable",
];

/// An account with a publisher, and with clients that follow the entity `e1`, each by a subscription.
async fn account(clients: usize) -> (Aws, Vec<String>) {
    let aws = Aws::with_tables(&TABLES).await;
    aws.add_client("key", true).await;
    let mut ids = Vec::new();
    for n in 0..clients {
        let letter = char::from(b'a' + u8::try_from(n).unwrap());
        let id = format!("cl_{}", letter.to_string().repeat(24));
        let entity = serde_json::from_value(json!("e1")).unwrap();
        aws.follow(&format!("s{n}"), &id, entity).await;
        ids.push(id);
    }
    (aws, ids)
}

fn function(aws: &Aws) -> EntityEventsFunction {
    EntityEventsFunction::new(&aws.app("EntityEvents", &[])).unwrap()
}

async fn publish(aws: &Aws, key: Option<&str>, clients: &[String]) -> StatusCode {
    publish_by(&function(aws), key, clients).await
}

async fn publish_by(
    function: &EntityEventsFunction,
    key: Option<&str>,
    clients: &[String],
) -> StatusCode {
    let body = json!({
        "client_ids": clients,
        "entity_key": "e1",
        "entity_type": "Document",
        "callback_event": "entity_updated",
    });
    let mut request = request(
        "POST",
        "/entities/events",
        "/entities/events",
        Some("key"),
        &body,
    );
    if let Some(key) = key {
        let key = HeaderValue::from_str(key).unwrap();
        request.headers_mut().insert("idempotency-key", key);
    }
    match function.handle(request).await {
        Ok(response) => response.status(),
        Err(failure) => failure.status(),
    }
}

/// The subscriptions and events for which deliveries were created.
fn delivered(aws: &Aws) -> BTreeSet<(String, String)> {
    let deliveries = aws.messages::<Delivery>("DeliveriesQueue").into_iter();
    deliveries
        .map(|it| {
            (
                it.subscription_id.to_string(),
                it.kind.event_id().unwrap().to_string(),
            )
        })
        .collect()
}

#[tokio::test]
async fn an_event_is_one_item_and_is_delivered_to_the_clients_that_it_names() {
    let (aws, ids) = account(3).await;
    assert_eq!(publish(&aws, None, &ids[..2]).await, StatusCode::ACCEPTED);
    let found: Vec<String> = delivered(&aws)
        .into_iter()
        .map(|(subscription, _)| subscription)
        .collect();
    assert_eq!(found, ["s0", "s1"]);
    let items = aws.items("EventsTable").await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["source"], format!("entity#{}", sha256_hex("e1")));
    assert_eq!(items[0]["payload"]["client_ids"], json!(ids[..2]));
    assert!(aws.sent("FanOutsQueue").is_empty());
}

#[tokio::test]
async fn an_event_for_many_clients_and_one_that_cannot_be_fanned_out_are_left() {
    let (aws, ids) = account(11).await;
    assert_eq!(publish(&aws, None, &ids).await, StatusCode::ACCEPTED);
    let messages: Vec<FanOut> = aws.messages("FanOutsQueue");
    assert!(
        matches!(messages[..], [FanOut::Entity { .. }]),
        "{messages:?}"
    );
    assert!(delivered(&aws).is_empty());

    let (aws, ids) = account(1).await;
    let function = function(&aws);
    publish_by(&function, None, &ids).await;
    // The publisher is remembered: its look-up is a query too.
    aws.fail("Query", Fault::Throttled, usize::MAX);
    let status = publish_by(&function, None, &ids).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(aws.sent("FanOutsQueue").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_repetition_with_the_same_key_completes_what_was_cut_off() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let (aws, ids) = account(2).await;
            let first = aws
                .killed_at(n, effect, publish(&aws, Some("k"), &ids))
                .await;
            assert_eq!(publish(&aws, Some("k"), &ids).await, StatusCode::ACCEPTED);
            assert_eq!(delivered(&aws).len(), 2, "{n} {effect:?}");
            let events: BTreeSet<String> = delivered(&aws)
                .into_iter()
                .map(|(_, event)| event)
                .collect();
            assert_eq!(events.len(), 1, "{n} {effect:?}");
            let before = aws.sent("DeliveriesQueue").len();
            publish(&aws, Some("k"), &ids).await;
            assert_eq!(aws.sent("DeliveriesQueue").len(), before, "{n} {effect:?}");
            if first.is_some() {
                assert!(n > 6, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_names_nobody_is_a_mistake_and_records_nothing() {
    let (aws, _) = account(1).await;
    assert_eq!(publish(&aws, None, &[]).await, StatusCode::BAD_REQUEST);
    let nothing: Vec<Value> = Vec::new();
    assert_eq!(aws.items("EventsTable").await, nothing);
}

#[tokio::test]
async fn of_a_batch_each_event_is_accepted_or_refused_by_itself_and_left_to_another_function() {
    let (aws, ids) = account(1).await;
    let event = |client: &str| {
        json!({
            "client_ids": [client],
            "entity_key": "e1",
            "entity_type": "Document",
            "callback_event": "entity_updated",
        })
    };
    let events = json!([
        {"event": event(&ids[0])},
        {"event": event("nobody")},
        {"event": event(&ids[0]), "idempotency_key": "k"},
        {"event": event(&ids[0]), "idempotency_key": "k"},
    ]);
    let body = json!({ "events": events });
    let path = "/entities/events/batch";
    let response = function(&aws)
        .handle(request("POST", path, path, Some("key"), &body))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::MULTI_STATUS);
    let body: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
    let results = body["data"]["events"].as_array().unwrap();
    let statuses: Vec<u64> = results
        .iter()
        .map(|it| it["status_code"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [202, 400, 202, 400], "{results:?}");
    assert_eq!(results[1]["field"], "events[1].event.client_ids[0]");
    assert_eq!(aws.messages::<FanOut>("FanOutsQueue").len(), 2);
    // The one without a key, and the other with its mark.
    assert_eq!(aws.items("EventsTable").await.len(), 3);
}
