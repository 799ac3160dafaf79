//! What is on record of a subscription.

use bellwire_rules::authorization::Authorization;
use bellwire_rules::endpoint::{Disabled, EndpointState};
use bellwire_rules::entity::EntityKey;
use bellwire_rules::ids::entity_audience_id;
use bellwire_rules::lease::Progress;
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
    /// The name under which its endpoint lets itself be called, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
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
    #[serde(
        rename = "unannounced",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub owner_unnotified: bool,
    /// Whether its client is shut out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub client_disabled: bool,
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
    /// What attempts change of it.
    pub fn state(&self) -> EndpointState {
        EndpointState {
            progress: self.progress.clone(),
            disabled: self.disabled.clone(),
            owner_unnotified: self.owner_unnotified,
            client_disabled: self.client_disabled,
            failing_since: self.failing_since,
        }
    }

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
