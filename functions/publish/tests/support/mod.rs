//! A publisher, its topic, and requests to publish.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::collections::BTreeSet;

use bellwire_doubles::{Aws, request};
use bellwire_queues::Delivery;
use lambda_http::http::{HeaderValue, StatusCode};
use publish::PublishFunction;
use serde_json::{Value, json};

const TABLES: [&str; 5] = [
    "ClientsTable",
    "TopicsTable",
    "MembersTable",
    "SubscriptionsTable",
    "EventsTable",
];
pub const URL: &str = "https://example.com/";
/// The id of the topic.
pub const TOPIC: &str = "6f1a8c9e-3b1d-4c7a-9a55-0d5f6f1f2a11";

/// An account with a publisher whose key is `key`, and a topic `all orders` of this payload type.
pub async fn account(payload: &str) -> Aws {
    let publisher = json!({"type": "http-post", "config": {}, "payload": {"type": payload}});
    account_with(publisher).await
}

/// The same, with this publisher of the topic.
pub async fn account_with(publisher: Value) -> Aws {
    let aws = Aws::with_tables(&TABLES).await;
    aws.add_client("key", true).await;
    let definition = json!({"name": "all orders", "publisher": publisher});
    aws.add_topic(TOPIC, definition).await;
    aws
}

/// Publishes to the topic. Returns the status and the id.
pub async fn publish(aws: &Aws, key: Option<&str>, body: &Value) -> (StatusCode, String) {
    publish_by(&function(aws), key, body).await
}

pub fn function(aws: &Aws) -> PublishFunction {
    PublishFunction::new(&aws.app("Publish", &[])).unwrap()
}

pub async fn publish_by(
    function: &PublishFunction,
    key: Option<&str>,
    body: &Value,
) -> (StatusCode, String) {
    publish_to(function, TOPIC, key, body).await
}

/// Publishes to the topic that the path names so.
pub async fn publish_to(
    function: &PublishFunction,
    topic: &str,
    key: Option<&str>,
    body: &Value,
) -> (StatusCode, String) {
    let path = "/publishers/http-post/topics/";
    let (resource, path) = (format!("{path}{{topicId}}"), format!("{path}{topic}"));
    let mut request = request("POST", &resource, &path, Some("key"), body);
    if let Some(key) = key {
        let key = HeaderValue::from_str(key).unwrap();
        request.headers_mut().insert("idempotency-key", key);
    }
    match function.handle(request).await {
        Ok(response) => {
            let body: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
            (response.status(), body["id"].as_str().unwrap().to_owned())
        }
        Err(failure) => (failure.status(), String::new()),
    }
}

/// The subscriptions and events for which deliveries were created.
pub fn delivered(aws: &Aws) -> BTreeSet<(String, String)> {
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

/// Publishes a batch to the topic. Returns the status, and what came of each event.
pub async fn publish_batch(aws: &Aws, events: &Value) -> (StatusCode, Vec<Value>) {
    publish_batch_to(aws, TOPIC, events).await
}

/// Publishes a batch to the topic that the path names so.
pub async fn publish_batch_to(aws: &Aws, topic: &str, events: &Value) -> (StatusCode, Vec<Value>) {
    let path = "/publishers/http-post/topics/";
    let (resource, path) = (
        format!("{path}{{topicId}}/batch"),
        format!("{path}{topic}/batch"),
    );
    let body = json!({ "events": events });
    let request = request("POST", &resource, &path, Some("key"), &body);
    match function(aws).handle(request).await {
        Ok(response) => {
            let body: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
            (
                response.status(),
                body["events"].as_array().unwrap().clone(),
            )
        }
        Err(failure) => (failure.status(), Vec::new()),
    }
}
