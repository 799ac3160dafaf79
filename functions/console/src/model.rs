//! What the API returns, as far as pages show it.

use std::collections::BTreeMap;

use bellwire_domain::timestamp::iso_serde;
pub use bellwire_web::model::{Items, Topic};
use bellwire_web::plot::{HourCounts, Latency};
use serde::Deserialize;
use time::OffsetDateTime;

/// A subscription to a topic.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// The topic's.
    pub topic_id: String,
    /// The topic's name, in lists.
    pub topic_name: Option<String>,
    /// Where deliveries go.
    pub webhook_url: String,
    /// The names of its own headers, with redacted values.
    pub webhook_headers: BTreeMap<String, String>,
    /// The form in which publications are delivered.
    pub subscription_mode: String,
    /// `active` or `disabled`.
    pub status: String,
    /// Why it is disabled.
    pub disabled_reason: Option<String>,
    /// Since when it is.
    #[serde(default, with = "iso_serde::option")]
    pub disabled_timestamp: Option<OffsetDateTime>,
    /// Since when every attempt has failed.
    #[serde(default, with = "iso_serde::option")]
    pub failing_since: Option<OffsetDateTime>,
    /// When it was created.
    #[serde(with = "iso_serde")]
    pub create_timestamp: OffsetDateTime,
    /// The signing secret, when it was just created.
    pub secret: Option<String>,
}

/// A response of protocol C.
#[derive(Debug, Deserialize)]
pub struct Envelope<T> {
    /// What it is about.
    pub data: T,
    /// What follows.
    pub pagination: Option<Pagination>,
}

/// Whether there is another page.
#[derive(Debug, Deserialize)]
pub struct Pagination {
    /// Its address.
    pub next: Option<String>,
}

/// Subscriptions to entities.
#[derive(Debug, Deserialize)]
pub struct Entities {
    /// The subscriptions.
    pub subscriptions: Vec<Entity>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub struct OneEntity {
    /// The subscription.
    pub subscription: Entity,
}

/// A subscription to an entity. Dates are in milliseconds since 1970.
#[derive(Clone, Debug, Deserialize)]
pub struct Entity {
    /// Its id.
    pub key: String,
    /// The entity.
    pub entity_key: String,
    /// Where deliveries go.
    pub callback: String,
    /// When it was created.
    pub date_created: i64,
    /// Since when every attempt has failed.
    pub date_failing_since: Option<i64>,
    /// Since when it is disabled.
    pub date_disabled: Option<i64>,
    /// Why it is.
    pub disabled_reason: Option<String>,
    /// The signing secret, when it was just made.
    pub secret: Option<String>,
}

/// A callback URL of query notifications.
#[derive(Clone, Debug, Deserialize)]
pub struct CallbackUrl {
    /// The URL.
    #[serde(rename = "callbackUrl")]
    pub url: String,
    /// `PENDING_CONFIRMATION` or `CONFIRMED`.
    pub status: String,
    /// The outcomes that are notified.
    pub statuses: Vec<String>,
    /// When it was registered.
    #[serde(with = "iso_serde")]
    pub created_at: OffsetDateTime,
}

/// The callback URLs of a client.
#[derive(Debug, Deserialize)]
pub struct CallbackUrls {
    /// The URLs.
    pub subscriptions: Vec<CallbackUrl>,
}

/// Counts of attempts over a period.
#[derive(Debug, Deserialize)]
pub struct Stats {
    /// How many deliveries arrived.
    pub delivered: u64,
    /// How many attempts failed.
    pub failed: u64,
    /// How many were retries.
    pub retried: u64,
    /// How long answered attempts took.
    pub latency: Latency,
    /// The hours that had attempts.
    pub hours: Vec<HourCounts>,
    /// The counts of each subscription that had attempts, for all of a client.
    #[serde(default)]
    pub subscriptions: Vec<StatsOfSubscription>,
}

/// The counts of one subscription.
#[derive(Debug, Deserialize)]
pub struct StatsOfSubscription {
    /// The subscription's id.
    pub id: String,
    /// How many deliveries arrived.
    pub delivered: u64,
    /// How many attempts failed.
    pub failed: u64,
    /// How long answered attempts took.
    pub latency: Latency,
    /// The latest hour that had failures.
    #[serde(default, with = "iso_serde::option")]
    pub last_failed_hour: Option<OffsetDateTime>,
}

/// A time that is written in milliseconds since 1970.
pub fn of_millis(milliseconds: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()
}
