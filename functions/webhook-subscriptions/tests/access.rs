//! A client that may not see a topic, or may not any more.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::Topic;
use bellwire_doubles::{Aws, request};
use bellwire_queues::Delivery;
use bellwire_store::topics::{Found, Written};
use lambda_http::http::StatusCode;
use serde_json::{Value, from_value, json};

use crate::support::{URL, account, call, create, patch};

/// Gives the topic this access.
async fn set_access(aws: &Aws, access: Value) {
    let topics = aws.app("Topics", &[]).topics().unwrap();
    let Found::Live(known) = topics.get(&TopicId::new("t1")).await.unwrap() else {
        panic!("no topic");
    };
    let changed = Topic {
        access: from_value(access).unwrap(),
        ..known.topic.clone()
    };
    assert_eq!(
        topics.update(&known, &changed).await.unwrap(),
        Written::Done
    );
}

/// Calls the subscription's path with something behind it.
async fn post(aws: &Aws, subscription: &Value, what: &str, body: &Value) -> StatusCode {
    let prefix = "/subscribers/webhook/subscriptions";
    let id = subscription["id"].as_str().unwrap();
    let resource = format!("{prefix}/{{subscriptionId}}/{what}");
    let path = format!("{prefix}/{id}/{what}");
    let request = request("POST", &resource, &path, Some("key"), body);
    let app = aws.app("WebhookSubscriptions", &[]);
    let function = webhook_subscriptions::WebhookSubscriptionsFunction::new(&app).unwrap();
    match function.handle(request).await {
        Ok(response) => response.status(),
        Err(failure) => failure.status(),
    }
}

#[tokio::test]
async fn who_may_not_see_a_topic_cannot_subscribe_to_it() {
    let (aws, _) = account().await;
    set_access(&aws, json!({"clients": ["other"]})).await;
    let answer = create(&aws, &json!({"webhookUrl": URL})).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_subscription_whose_client_has_lost_access_says_so_until_it_has_it_again() {
    let (aws, made) = account().await;
    set_access(&aws, json!({"clients": ["other"]})).await;
    for _ in 0..2 {
        let shown = call(&aws, "GET", &made, &Value::Null, &[]).await.body;
        assert_eq!(shown["subscriptionStatus"], "suspended");
        assert_eq!(shown["disabledReason"], "access");
    }
    for (what, body) in [
        ("enable", Value::Null),
        ("test", json!({"n": 1})),
        ("replay", json!({"start": "2026-01-01T00:00:00Z"})),
    ] {
        assert_eq!(
            post(&aws, &made, what, &body).await,
            StatusCode::CONFLICT,
            "{what}"
        );
    }
    let active = json!({"subscriptionStatus": "active"});
    assert_eq!(
        patch(&aws, &made, &active).await.status,
        StatusCode::CONFLICT
    );
    // What else its owner may do with it.
    let other = json!({"webhookUrl": "https://example.com/other"});
    assert_eq!(patch(&aws, &made, &other).await.status, StatusCode::OK);
    assert!(aws.messages::<Delivery>("DeliveriesQueue").is_empty());
    set_access(&aws, json!("everyone")).await;
    let shown = call(&aws, "GET", &made, &Value::Null, &[]).await.body;
    assert_eq!(shown["subscriptionStatus"], "active");
    assert_eq!(shown.get("disabledReason"), None);
    // The document goes on with a snapshot.
    assert_eq!(aws.messages::<Delivery>("DeliveriesQueue").len(), 1);
    set_access(&aws, json!({"clients": ["other"]})).await;
    let deleted = call(&aws, "DELETE", &made, &Value::Null, &[]).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn the_first_document_of_a_restricted_topic_is_judged_again_before_a_retry() {
    let (aws, _) = account().await;
    let aws_client = aws.add_client("other", false).await;
    set_access(&aws, json!({"clients": [aws_client.as_str()]})).await;
    let prefix = "/subscribers/webhook/topics";
    let resource = format!("{prefix}/{{topicId}}/subscriptions");
    let path = format!("{prefix}/t1/subscriptions");
    let body = json!({"webhookUrl": URL});
    let request = request("POST", &resource, &path, Some("other"), &body);
    let app = aws.app("WebhookSubscriptions", &[]);
    let function = webhook_subscriptions::WebhookSubscriptionsFunction::new(&app).unwrap();
    assert_eq!(
        function.handle(request).await.unwrap().status(),
        StatusCode::CREATED
    );
    let [first] = aws
        .messages::<Delivery>("DeliveriesQueue")
        .try_into()
        .unwrap();
    assert!(first.restricted);
}
