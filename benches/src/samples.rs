//! Sample topics, subscriptions and documents.

use anyhow::{Context, Result};
use bellwire_domain::endpoint::signature::generate_secret;
use bellwire_domain::ids::{TopicId, new_subscription_id, random_id};
use bellwire_domain::topic::Topic;
use bellwire_domain::topic::modes::{PayloadType, SubscriptionMode};
use bellwire_store::Limits;
use bellwire_store::subscription::{Source, Subscription, Webhook};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::stack::CLIENT_ID;

/// A topic of documents or events, with a random name.
pub fn topic(kind: PayloadType) -> Result<Topic> {
    let id = TopicId::new(random_id());
    let definition = json!({
        "name": id,
        "publisher": {"type": "http-post", "payload": {"type": kind}},
        "subscribers": [{"type": "webhook"}],
    });
    let definition = serde_json::from_value(definition).context("a definition")?;
    Ok(Topic::new(id, definition, OffsetDateTime::now_utc()))
}

/// Limits that are too high to be reached.
pub const LIMITS: Limits = Limits {
    of_client: 1_000_000,
    at_host: 1_000_000,
};

/// A subscription of a webhook to a topic.
pub fn subscription(
    topic_id: &TopicId,
    mode: SubscriptionMode,
    segment: u64,
    webhook_url: String,
) -> Result<Subscription> {
    let now = OffsetDateTime::now_utc();
    let source = Source::Topic {
        topic_id: topic_id.clone(),
        mode,
    };
    let webhook = Webhook::new(&webhook_url, generate_secret()?);
    Ok(Subscription {
        segment,
        ..Subscription::new(new_subscription_id(), CLIENT_ID, source, webhook, now)
    })
}

/// A JSON text of about this length, which compresses as orders do, and begins with its number:
/// `{"n":12,`. No order is the same under another number.
pub fn orders(number: usize, length: usize) -> String {
    let order = |n: usize| {
        json!({"id": n, "customer": format!("customer-{}", (n + number) * 7919 % 9973),
               "amount": (n + number) * 104_729 % 99_991, "state": "shipped"})
    };
    let mut orders: Vec<Value> = Vec::new();
    let mut so_far = r#"{"n":12,"orders":[]}"#.len();
    while so_far < length {
        let next = order(orders.len());
        so_far += next.to_string().len() + 1;
        orders.push(next);
    }
    format!(r#"{{"n":{number},"orders":{}}}"#, Value::from(orders))
}
