//! What is on record of a subscription.

use bellwire_rules::authorization::Authorization;
use bellwire_rules::entity::EntityKey;
use bellwire_rules::ids::entity_audience_id;
use bellwire_rules::modes::SubscriptionMode;
use bellwire_rules::signature::SigningSecrets;
use bellwire_rules::timestamp::{self, iso_serde};
use bellwire_rules::webhook_headers::WebhookHeaders;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// What the place of a subscription to an entity, in its client's list, begins with.
pub(crate) const ENTITIES: &str = "entity#";

/// One endpoint's wish to be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id, a UUID.
    pub subscription_id: String,
    /// Whose it is.
    pub client_id: String,
    /// What it is told of.
    #[serde(flatten)]
    pub source: Source,
    /// The segment of its audience that it is in.
    pub segment: u64,
    /// Where deliveries are sent, in normal form.
    pub webhook_url: String,
    /// With which headers.
    #[serde(default)]
    pub webhook_headers: WebhookHeaders,
    /// With which access token, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// What they are signed with.
    pub secrets: SigningSecrets,
    /// When it was made.
    #[serde(with = "iso_serde")]
    pub created_at: OffsetDateTime,
    /// When its owner, or Bellwire, changed it last.
    #[serde(with = "iso_serde")]
    pub updated_at: OffsetDateTime,
    /// Why nothing is sent, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Whether its owner is still to be told that it was disabled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unannounced: bool,
    /// Since when every attempt has failed, if the last one did.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub failing_since: Option<OffsetDateTime>,
    /// How far it has come, if it is to a document.
    #[serde(flatten)]
    pub progress: Progress,
}

/// What a subscription is told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// A topic (protocol B).
    Topic {
        /// The topic.
        topic_id: String,
        /// In which form.
        mode: SubscriptionMode,
    },
    /// An entity (protocol C).
    Entity {
        /// The entity.
        entity_key: EntityKey,
    },
}

impl Subscription {
    /// The topic that it is to, and in which form; `None` for one to an entity.
    pub fn topic(&self) -> Option<(&str, SubscriptionMode)> {
        match &self.source {
            Source::Topic { topic_id, mode } => Some((topic_id, *mode)),
            Source::Entity { .. } => None,
        }
    }

    /// The entity that it is to; `None` for one to a topic.
    pub fn entity(&self) -> Option<&EntityKey> {
        match &self.source {
            Source::Topic { .. } => None,
            Source::Entity { entity_key } => Some(entity_key),
        }
    }

    /// The id of all the subscriptions that are told the same: to a topic, or of one client
    /// to an entity.
    pub fn audience_id(&self) -> String {
        match &self.source {
            Source::Topic { topic_id, .. } => topic_id.clone(),
            Source::Entity { entity_key } => {
                entity_audience_id(&self.client_id, entity_key.as_str())
            }
        }
    }

    /// Its place in the list of its client's subscriptions: those to a topic, and those to
    /// entities, stand together, oldest first.
    pub(crate) fn listed(&self) -> String {
        let created_at = timestamp::iso(self.created_at);
        match &self.source {
            Source::Topic { topic_id, .. } => format!("{topic_id}#{created_at}"),
            Source::Entity { .. } => {
                format!("{ENTITIES}{created_at}#{}", self.subscription_id)
            }
        }
    }
}

/// How far a subscription to a document has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The newest version that is known to be wanted; 0 before the first.
    #[serde(default)]
    pub wanted: u64,
    /// The version that the endpoint acknowledged last; 0 before the first.
    #[serde(default)]
    pub acknowledged: u64,
    /// Whether the endpoint may have something else than the acknowledged version.
    #[serde(default)]
    pub in_doubt: bool,
    /// How often a snapshot was asked for, whatever the endpoint has.
    #[serde(default)]
    pub snapshots_asked: u64,
    /// The message whose turn it is to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<String>,
    /// Which of the attempts to take it, since a message may come twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_nonce: Option<u64>,
    /// Until when, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_until: Option<u64>,
    /// How many attempts have failed in a row.
    #[serde(default)]
    pub failures: usize,
    /// When it is to be tried again, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<u64>,
    /// The message that failed, and arranged for the retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_by: Option<String>,
}

/// That nothing is sent to an endpoint, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Why.
    pub reason: DisabledReason,
    /// Since when.
    #[serde(with = "iso_serde")]
    pub at: OffsetDateTime,
}

/// Why nothing is sent to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DisabledReason {
    /// Its owner wanted it so.
    Requested,
    /// Every attempt failed for days.
    Failing,
    /// It answered 410 Gone.
    Gone,
}
