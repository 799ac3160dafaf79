//! An account with an operator, and what a customer can have.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
// Each test file has use for another part.
#![allow(dead_code)]

use std::pin::Pin;

use bellwire_api::Failure;
use bellwire_client_lifecycle::ClientLifecycle;
use bellwire_domain::client::ExternalId;
use bellwire_domain::ids::{SubscriptionId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::{ClientId, Format, Secret, Statuses};
use bellwire_doubles::{Aws, request};
use bellwire_store::callbacks::Wanted;
use bellwire_store::subscription::{Source, Subscription, Webhook};
use bellwire_store::versions::{Committed, Version};
use bellwire_store::{Client, Limits};
use clients::ClientsFunction;
use lambda_http::Body;
use lambda_http::http::{HeaderValue, Response};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// The tables that the function knows.
pub const TABLES: [&str; 10] = [
    "ClientsTable",
    "AnswersTable",
    "SubscriptionsTable",
    "MembersTable",
    "ExchangesTable",
    "CountsTable",
    "EventsTable",
    "CallbacksTable",
    "QueriesTable",
    "TopicsTable",
];
/// The tables whose items belong to clients.
pub const OWN: [&str; 7] = [
    "ClientsTable",
    "KeysTable",
    "SubscriptionsTable",
    "MembersTable",
    "ExchangesTable",
    "CallbacksTable",
    "QueriesTable",
];
pub const ID: &str = "/v1/clients/{clientId}";

/// An account with the operator `op`.
pub async fn account() -> Aws {
    let aws = Aws::with_tables(&TABLES).await;
    aws.add_operator("op").await;
    aws
}

pub fn function(aws: &Aws) -> ClientsFunction {
    ClientsFunction::new(&aws.app("Clients", &[])).unwrap()
}

pub fn lifecycle(aws: &Aws) -> ClientLifecycle {
    aws.app("Clients", &[]).client_lifecycle().unwrap()
}

pub fn id_of(external_id: &str) -> ClientId {
    ExternalId::parse(external_id).unwrap().client_id()
}

/// What the function answers the operator: status and body, which is null if there is none.
pub async fn call(aws: &Aws, method: &str, path: &str, body: Value) -> (u16, Value) {
    with_key(aws, method, path, body, None).await
}

/// As [`call`], with an `Idempotency-Key`.
pub async fn with_key(
    aws: &Aws,
    method: &str,
    path: &str,
    body: Value,
    key: Option<&str>,
) -> (u16, Value) {
    let resource = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["", "v1", "clients"] => "/v1/clients",
        ["", "v1", "clients", _] => ID,
        ["", "v1", "clients", _, "keys"] => "/v1/clients/{clientId}/keys",
        ["", "v1", "clients", _, "keys", _] => "/v1/clients/{clientId}/keys/{keyId}",
        _ => "/v1/clients/{clientId}/secret/rotate",
    };
    let mut request = request(method, resource, path, Some("op"), &body);
    if let Some(key) = key {
        let key = HeaderValue::from_str(key).unwrap();
        request.headers_mut().insert("idempotency-key", key);
    }
    answered(function(aws).handle(request).await)
}

pub fn answered(result: Result<Response<Body>, Failure>) -> (u16, Value) {
    match result {
        Ok(response) => {
            let body = serde_json::from_slice(response.body().as_ref()).unwrap_or_default();
            (response.status().as_u16(), body)
        }
        Err(failure) => (failure.status().as_u16(), json!(format!("{failure:?}"))),
    }
}

/// Creates a customer with a key `bwk`, whose hash is that of the client's name.
pub async fn customer(aws: &Aws, external_id: &str) -> ClientId {
    let id = id_of(external_id);
    aws.add_client_with(Client {
        name: external_id.to_owned(),
        external_id: Some(ExternalId::parse(external_id).unwrap()),
        ..aws.client(id.clone())
    })
    .await;
    id
}

/// Subscribes a client to the topic `t1`.
pub async fn subscribe(aws: &Aws, client_id: &ClientId, id: &str) {
    let source = Source::Topic {
        topic_id: TopicId::new("t1"),
        mode: SubscriptionMode::SnapshotOnly,
    };
    let webhook = Webhook::new("https://example.com/", Secret::new("secret"));
    let now = OffsetDateTime::now_utc();
    let id = SubscriptionId::new(id);
    let subscription = Subscription::new(id, client_id.as_str(), source, webhook, now);
    let limits = Limits {
        of_client: 100,
        at_host: 100,
    };
    let subscriptions = aws.subscriptions();
    let created = subscriptions.create(&subscription, &limits, Vec::new());
    created.await.unwrap();
}

/// Gives a client two subscriptions with attempts, a callback URL with its SNS topic, and a query.
pub async fn belongings(aws: &Aws, client_id: &ClientId) {
    let entity = serde_json::from_value(json!("order-1")).unwrap();
    subscribe(aws, client_id, &format!("topic-{client_id}")).await;
    aws.follow(&format!("entity-{client_id}"), client_id.as_str(), entity)
        .await;
    for id in ["topic", "entity"] {
        for number in 0..3 {
            let id = format!("{id}-{client_id}");
            let number = number.to_string();
            let item = [("subscription_id", id.as_str()), ("exchange_id", &number)];
            aws.put_item("ExchangesTable", &item).await;
        }
    }
    let wanted = Wanted {
        callback_url: "https://example.com/".to_owned(),
        statuses: Statuses::default(),
        format: Format::default(),
        subscription_arn: "arn".to_owned(),
    };
    let callbacks = aws.app("Clients", &[]).callbacks().unwrap();
    let now = OffsetDateTime::now_utc();
    callbacks
        .record_pending(client_id, &wanted, now)
        .await
        .unwrap();
    aws.create_topic(&format!("bellwire-{client_id}"));
    let id = format!("query-{client_id}");
    let item = [
        ("execution_id", id.as_str()),
        ("client_id", client_id.as_str()),
        ("registered_at", "2026-01-01T00:00:00Z"),
    ];
    aws.put_item("QueriesTable", &item).await;
}

/// The items of all tables that have to do with a client, but for the number of members that its topics ever had.
pub async fn left_of(aws: &Aws, client_id: &ClientId) -> Vec<Value> {
    let mut left = Vec::new();
    for table in OWN {
        let items = aws.items(table).await.into_iter();
        left.extend(items.filter(|item| item.to_string().contains(client_id.as_str())));
    }
    let arns = aws.topics();
    let arns = arns.keys().filter(|arn| arn.ends_with(client_id.as_str()));
    left.extend(arns.map(|arn| json!(arn)));
    left
}

/// Whether everything of a client says that it is disabled, or nothing does.
pub async fn is_disabled(aws: &Aws, client_id: &ClientId) -> bool {
    let mut found = Vec::new();
    for (table, name) in [
        ("ClientsTable", "disabled_at"),
        ("KeysTable", "client_disabled"),
        ("SubscriptionsTable", "client_disabled"),
    ] {
        let items = aws.items(table).await.into_iter();
        let own = items.filter(|item| item["client_id"] == client_id.as_str());
        found.extend(own.map(|item| !item[name].is_null()));
    }
    assert!(found.len() >= 3, "{found:?}");
    assert!(found.iter().all(|it| *it == found[0]), "{found:?}");
    found[0]
}

/// Puts a document of the topic `t1` on record.
pub async fn publish(aws: &Aws) {
    let events = aws.app("Clients", &[]).events().unwrap();
    let now = OffsetDateTime::now_utc();
    let version = Version {
        version: 1,
        accepted_at: now,
        snapshot: Payload::Stored("documents/1".to_owned()),
        patch: None,
        confirmed_at: None,
    };
    let topic_id = TopicId::new("t1");
    let committed = events.commit(&topic_id, "p1", &version, None, now);
    assert_eq!(committed.await.unwrap(), Committed::Done);
}

/// Lets a request come as far as its `n`th call of AWS; `false` if it ends before.
pub async fn stands_still<T>(
    aws: &Aws,
    n: usize,
    mut request: Pin<&mut impl Future<Output = T>>,
) -> bool {
    aws.calls();
    while aws.called() < n {
        tokio::select! {
            biased;
            _ = request.as_mut() => return false,
            () = tokio::task::yield_now() => {}
        }
    }
    true
}

/// Whether a client is on record as disabled.
pub async fn is_off(aws: &Aws, id: &ClientId) -> bool {
    let clients = aws.app("Clients", &[]).clients().unwrap();
    clients
        .get(id)
        .await
        .unwrap()
        .unwrap()
        .disabled_at
        .is_some()
}
