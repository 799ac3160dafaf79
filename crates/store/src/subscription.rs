//! A subscription, as the Subscriptions table has it.

use bellwire_domain::Secret;
use bellwire_domain::delivery::progress::Progress;
use bellwire_domain::endpoint::authorization::Authorization;
use bellwire_domain::endpoint::headers::WebhookHeaders;
use bellwire_domain::endpoint::signature::SigningSecrets;
use bellwire_domain::endpoint::{Disabled, EndpointState};
use bellwire_domain::entity::{EntityKey, Spelling};
use bellwire_domain::ids::entity_audience_id;
use bellwire_domain::ids::{AudienceId, SubscriptionId, TopicId};
use bellwire_domain::timestamp::{self, iso_serde};
use bellwire_domain::topic::modes::SubscriptionMode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The prefix of the cursors of subscriptions to entities.
pub(crate) const ENTITIES: &str = "entity#";

/// A client's registration for events at one endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// The subscription's id, a UUID.
    pub subscription_id: SubscriptionId,
    /// The id of the client that owns it.
    pub client_id: String,
    /// The topic or the entity whose events it receives.
    #[serde(flatten)]
    pub source: Source,
    /// The number of the segment that it is in, of its audience.
    pub segment: u64,
    /// Where its deliveries go.
    #[serde(flatten)]
    pub target: Target,
    /// When it was created.
    #[serde(with = "iso_serde")]
    pub created_at: OffsetDateTime,
    /// When its owner, or Bellwire, last changed it.
    #[serde(with = "iso_serde")]
    pub updated_at: OffsetDateTime,
    /// Why and since when the endpoint is disabled, so that nothing is sent to it; missing unless it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Whether its owner is yet to be notified that the endpoint was disabled.
    #[serde(
        rename = "unannounced",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub owner_unnotified: bool,
    /// Whether its client is disabled, so that nothing is sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub client_disabled: bool,
    /// Since when every attempt has failed; missing unless the last one did.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub failing_since: Option<OffsetDateTime>,
    /// When its topic was deleted; missing unless it was.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub ended_at: Option<OffsetDateTime>,
    /// How far the delivery of a document's versions has come, and the lease; the default unless it is to
    /// a document.
    #[serde(flatten)]
    pub progress: Progress,
}

/// The topic or the entity whose events a subscription receives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// A topic (protocol B).
    Topic {
        /// The topic's id.
        topic_id: TopicId,
        /// The form in which its events, or its document, are delivered.
        mode: SubscriptionMode,
    },
    /// An entity (protocol C).
    Entity {
        /// The entity's key.
        entity_key: EntityKey,
        /// The spelling of the protocol that it was made in; missing if that is the earlier one.
        #[serde(default, skip_serializing_if = "Spelling::is_default")]
        spelling: Spelling,
    },
}

/// Where a subscription's deliveries go. Another kind is another variant here, and another file in
/// `crates/engine/src/targets`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// A POST to a URL.
    Webhook(Webhook),
}

/// An endpoint that gets signed POSTs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// The URL, in normal form.
    #[serde(rename = "webhook_url")]
    pub url: String,
    /// The headers that its owner adds to each delivery.
    #[serde(default, rename = "webhook_headers")]
    pub headers: WebhookHeaders,
    /// How access tokens are had; `None` if the endpoint needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// What deliveries are signed with.
    pub secrets: SigningSecrets,
    /// The name under which the endpoint allows deliveries; `None` where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

impl Webhook {
    /// An endpoint without headers of its owner's, which needs no access token and was not asked for its consent.
    pub fn new(url: &str, secret: Secret) -> Self {
        Self {
            url: url.to_owned(),
            headers: WebhookHeaders::default(),
            authorization: None,
            secrets: SigningSecrets::new(secret),
            origin: None,
        }
    }
}

impl Subscription {
    /// An enabled subscription in the first segment, to which nothing was delivered yet.
    pub fn new(
        id: SubscriptionId,
        client_id: &str,
        source: Source,
        webhook: Webhook,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            subscription_id: id,
            client_id: client_id.to_owned(),
            source,
            segment: 0,
            target: Target::Webhook(webhook),
            created_at: now,
            updated_at: now,
            disabled: None,
            owner_unnotified: false,
            client_disabled: false,
            failing_since: None,
            ended_at: None,
            progress: Progress::default(),
        }
    }

    /// The webhook that its deliveries go to.
    pub fn webhook(&self) -> &Webhook {
        let Target::Webhook(webhook) = &self.target;
        webhook
    }

    /// The part of the subscription that attempts change.
    pub fn state(&self) -> EndpointState {
        EndpointState {
            progress: self.progress.clone(),
            disabled: self.disabled.clone(),
            owner_unnotified: self.owner_unnotified,
            client_disabled: self.client_disabled,
            failing_since: self.failing_since,
        }
    }

    /// The subscription in another state.
    pub(crate) fn in_state(self, state: EndpointState) -> Self {
        Self {
            progress: state.progress,
            disabled: state.disabled,
            owner_unnotified: state.owner_unnotified,
            client_disabled: state.client_disabled,
            failing_since: state.failing_since,
            ..self
        }
    }

    /// The topic's id, and the form of its deliveries; `None` for a subscription to an entity.
    pub fn topic(&self) -> Option<(&TopicId, SubscriptionMode)> {
        match &self.source {
            Source::Topic { topic_id, mode } => Some((topic_id, *mode)),
            Source::Entity { .. } => None,
        }
    }

    /// The entity's key; `None` for a subscription to a topic.
    pub fn entity(&self) -> Option<&EntityKey> {
        match &self.source {
            Source::Topic { .. } => None,
            Source::Entity { entity_key, .. } => Some(entity_key),
        }
    }

    /// The spelling of protocol C that its callbacks have; the default for a subscription to a topic, which has none.
    pub fn spelling(&self) -> Spelling {
        match &self.source {
            Source::Topic { .. } => Spelling::default(),
            Source::Entity { spelling, .. } => *spelling,
        }
    }

    /// The id of the audience that it belongs to: all subscriptions to a topic, or all of one client to
    /// an entity.
    pub fn audience_id(&self) -> AudienceId {
        match &self.source {
            Source::Topic { topic_id, .. } => AudienceId::of_topic(topic_id),
            Source::Entity { entity_key, .. } => {
                entity_audience_id(&self.client_id, entity_key.as_str())
            }
        }
    }

    /// Its sort key in the index `by-client`, and its cursor. Of one client, subscriptions to a topic,
    /// and those to entities, are adjacent, oldest first.
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
