//! Which topic a publication is to, and whether it accepts one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_queues::Publication;
use lambda_http::http::StatusCode;
use serde_json::json;
use support::{
    TOPIC, URL, account, account_with, delivered, function, publish_batch_to, publish_by,
    publish_to,
};

#[tokio::test]
async fn a_topic_has_its_name_in_a_path_encoded_or_not() {
    let aws = account("event").await;
    aws.subscribe("s1", TOPIC, SubscriptionMode::Event, URL)
        .await;
    let function = function(&aws);
    publish_by(&function, None, &json!({"n": 0})).await;
    aws.empty_queues();
    aws.calls();
    for name in ["all%20orders", "all orders"] {
        let (status, _) = publish_to(&function, name, None, &json!({"n": 1})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{name}");
        let (status, _) = publish_batch_to(&aws, name, &json!([{"payload": 1}])).await;
        assert_eq!(status, StatusCode::MULTI_STATUS, "{name}");
    }
    assert_eq!(delivered(&aws).len(), 4);
    // A name takes one read more than an id.
    assert_eq!(aws.calls()[..2], ["GetItem", "BatchGetItem"]);
    for unknown in ["orders", "all%2520orders", "All%20orders", "%FF", "%00"] {
        let (status, _) = publish_to(&function, unknown, None, &json!({})).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{unknown}");
        let (status, _) = publish_batch_to(&aws, unknown, &json!([{"payload": 1}])).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{unknown}");
    }
}

#[tokio::test]
async fn an_event_that_is_repeated_by_name_is_the_same() {
    let aws = account("event").await;
    let function = function(&aws);
    let first = publish_to(&function, TOPIC, Some("k"), &json!({"n": 1})).await;
    let again = publish_to(&function, "all%20orders", Some("k"), &json!({"n": 1})).await;
    assert_eq!(first, again);
    assert_eq!(first.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_document_has_the_id_of_its_topic_however_it_is_named() {
    let aws = account("snapshot").await;
    publish_to(&function(&aws), "all orders", None, &json!({"n": 1})).await;
    let sent: Vec<Publication> = aws.messages("PublicationsQueue");
    assert_eq!(sent[0].topic_id.as_str(), TOPIC);
}

#[tokio::test]
async fn who_is_not_always_on_needs_a_subscription() {
    for payload in ["event", "snapshot"] {
        let payload = json!({"type": payload});
        let publisher = json!({"type": "http-post", "payload": payload, "alwaysOn": false});
        let aws = account_with(publisher).await;
        let function = function(&aws);
        let (status, _) = publish_by(&function, None, &json!({})).await;
        assert_eq!(status, StatusCode::GONE);
        assert!(aws.items("EventsTable").await.is_empty());
        assert!(aws.sent("PublicationsQueue").is_empty());

        let subscription = aws
            .subscribe("s1", TOPIC, SubscriptionMode::SnapshotOnly, URL)
            .await;
        let (status, _) = publish_by(&function, None, &json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED);

        // A number that a subscription had is none.
        aws.subscriptions().delete(&subscription).await.unwrap();
        let (status, _) = publish_by(&function, None, &json!({})).await;
        assert_eq!(status, StatusCode::GONE);
    }
}

#[tokio::test]
async fn a_batch_needs_a_subscription_too_unless_the_publisher_is_always_on() {
    let batch = json!([{"payload": 1}]);
    for (said, expected) in [
        (json!({"alwaysOn": false}), StatusCode::GONE),
        (json!({"alwaysOn": true}), StatusCode::MULTI_STATUS),
        (json!({}), StatusCode::MULTI_STATUS),
    ] {
        let mut publisher = json!({"type": "http-post", "payload": {"type": "event"}});
        let said = said.as_object().unwrap().clone();
        publisher.as_object_mut().unwrap().extend(said);
        let aws = account_with(publisher.clone()).await;
        let (status, _) = publish_batch_to(&aws, TOPIC, &batch).await;
        assert_eq!(status, expected, "{publisher}");
        aws.subscribe("s1", TOPIC, SubscriptionMode::Event, URL)
            .await;
        let (status, _) = publish_batch_to(&aws, TOPIC, &batch).await;
        assert_eq!(status, StatusCode::MULTI_STATUS);
    }
    // A document can't be in a batch, subscriptions or none.
    let aws = account_with(json!({"type": "http-post", "alwaysOn": false})).await;
    let (status, _) = publish_batch_to(&aws, TOPIC, &batch).await;
    assert_eq!(status, StatusCode::CONFLICT);
}
