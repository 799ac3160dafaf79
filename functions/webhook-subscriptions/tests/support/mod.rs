//! A client with a subscription to a document, and requests of the client.
#![allow(dead_code, reason = "each test file uses some of it")]

use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::payload::{Payload, compress};
use bellwire_doubles::{Aws, request};
use bellwire_store::versions::Version;
use lambda_http::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION};
use lambda_http::http::{HeaderName, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use webhook_subscriptions::WebhookSubscriptionsFunction;

const TABLES: [&str; 6] = [
    "ClientsTable",
    "TopicsTable",
    "MembersTable",
    "SubscriptionsTable",
    "EventsTable",
    "AnswersTable",
];
pub const URL: &str = "https://example.com/hook";

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// Null for a failure.
    pub body: Value,
    pub etag: Option<String>,
    pub location: Option<String>,
}

/// An account with a client whose key is `key`, a topic `t1` with a document, and a subscription of the client
/// to it. Returns the subscription's view.
pub async fn account() -> (Aws, Value) {
    let aws = Aws::with_tables(&TABLES).await;
    aws.add_client("key", false).await;
    let publisher = json!({"type": "http-post", "config": {}, "payload": {"type": "snapshot"}});
    aws.add_topic("t1", json!({"name": "t1", "publisher": publisher}))
        .await;
    let version = Version {
        version: 1,
        accepted_at: OffsetDateTime::now_utc(),
        snapshot: Payload::inline(&compress(b"1")),
        patch: None,
        confirmed_at: None,
    };
    let (topic, now) = (TopicId::new("t1"), OffsetDateTime::now_utc());
    let events = aws.app("Commit", &[]).events().unwrap();
    events
        .commit(&topic, "p1", &version, None, now)
        .await
        .unwrap();
    let body = json!({"webhookUrl": URL, "webhookHeaders": {"X-Key": "hush"}});
    let made = create(&aws, &body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let shown = call(&aws, "GET", &made.body, &Value::Null, &[]).await;
    aws.empty_queues();
    aws.calls();
    (aws, shown.body)
}

/// Creates a subscription to `t1`.
pub async fn create(aws: &Aws, body: &Value) -> Answer {
    let prefix = "/subscribers/webhook/topics";
    let resource = format!("{prefix}/{{topicId}}/subscriptions");
    let path = format!("{prefix}/t1/subscriptions");
    handle(aws, request("POST", &resource, &path, Some("key"), body)).await
}

/// Changes a subscription.
pub async fn patch(aws: &Aws, subscription: &Value, body: &Value) -> Answer {
    call(aws, "PATCH", subscription, body, &[]).await
}

/// Changes a subscription that is as this entity tag says.
pub async fn patch_if(aws: &Aws, subscription: &Value, body: &Value, tag: &str) -> Answer {
    call(aws, "PATCH", subscription, body, &[(IF_MATCH, tag)]).await
}

/// Shows a subscription.
pub async fn show(aws: &Aws, subscription: &Value) -> Answer {
    call(aws, "GET", subscription, &Value::Null, &[]).await
}

/// A call of a subscription, with these headers.
pub async fn call(
    aws: &Aws,
    method: &str,
    subscription: &Value,
    body: &Value,
    headers: &[(HeaderName, &str)],
) -> Answer {
    let prefix = "/subscribers/webhook/subscriptions";
    let id = subscription["id"].as_str().unwrap();
    let (resource, path) = (
        format!("{prefix}/{{subscriptionId}}"),
        format!("{prefix}/{id}"),
    );
    let mut request = request(method, &resource, &path, Some("key"), body);
    for (name, value) in headers {
        if value.is_empty() {
            request.headers_mut().remove(name);
        } else {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
    }
    handle(aws, request).await
}

/// A call with the content type `media_type`; without any if it is empty.
pub async fn patch_as(aws: &Aws, subscription: &Value, body: &Value, media_type: &str) -> Answer {
    call(
        aws,
        "PATCH",
        subscription,
        body,
        &[(CONTENT_TYPE, media_type)],
    )
    .await
}

async fn handle(aws: &Aws, request: lambda_http::Request) -> Answer {
    let limits = [("SUBSCRIPTIONS_PER_HOST", "1")];
    let function = WebhookSubscriptionsFunction::new(&aws.app("WebhookSubscriptions", &limits));
    match function.unwrap().handle(request).await {
        Ok(response) => {
            let header = |name| {
                let value = response.headers().get(name)?;
                Some(value.to_str().unwrap().to_owned())
            };
            Answer {
                status: response.status(),
                body: serde_json::from_slice(response.body().as_ref()).unwrap_or_default(),
                etag: header(ETAG),
                location: header(LOCATION),
            }
        }
        Err(failure) => Answer {
            status: failure.status(),
            body: Value::Null,
            etag: None,
            location: None,
        },
    }
}

/// The counts of the client's subscriptions that are not 0, sorted: in all, and at each host.
pub async fn counts(aws: &Aws) -> Vec<String> {
    let items = aws.items("MembersTable").await.into_iter();
    let counts = items.filter(|item| item["subscriptions"].as_i64().is_some_and(|it| it != 0));
    let mut counts: Vec<String> = counts
        .map(|it| {
            let what = it["subscription_id"].as_str().unwrap();
            format!("{what}: {}", it["subscriptions"])
        })
        .collect();
    counts.sort();
    counts
}
