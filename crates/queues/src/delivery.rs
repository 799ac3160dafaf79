//! The messages of `Deliveries` and `Retries`, as JSON.

use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::entity::{CallbackEvent, EntityType};
use bellwire_domain::ids::{DeliveryId, EventId, SubscriptionId};
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::Shard;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::hops::Hops;

/// A message of `Deliveries` and `Retries`: the delivery of an event, or of a document, to one subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// The id of the subscription.
    pub subscription_id: SubscriptionId,
    /// The id of the subscription's client: the group by which SQS is fair.
    pub client_id: String,
    /// How many attempts have failed.
    #[serde(default)]
    pub attempt: usize,
    /// How often it was left to another invocation since an attempt last succeeded.
    #[serde(default, skip_serializing_if = "Hops::is_none")]
    pub hops: Hops,
    /// When the API accepted the event or the version.
    #[serde(with = "iso_serde")]
    pub accepted_at: OffsetDateTime,
    /// Whether the id of the delivery says when the event was accepted; not in messages of earlier versions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dated: bool,
    /// The shard of the event; the first one for what has no shards.
    #[serde(default, skip_serializing_if = "Shard::is_first")]
    pub shard: Shard,
    /// Whether not everyone may see the topic, so that it is judged again before a retry.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restricted: bool,
    /// The id of the resend, if the owner has asked for this attempt: it is one beside the schedule of retries, and made
    /// though the delivery has arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resend: Option<EventId>,
    /// What is delivered.
    #[serde(rename = "told")]
    pub kind: DeliveryKind,
}

impl Delivery {
    /// A delivery before its first attempt, of what is in the first shard.
    pub fn new(
        subscription_id: SubscriptionId,
        client_id: String,
        accepted_at: OffsetDateTime,
        kind: DeliveryKind,
    ) -> Self {
        Self {
            subscription_id,
            client_id,
            attempt: 0,
            hops: Hops::default(),
            accepted_at,
            dated: true,
            shard: Shard::default(),
            restricted: false,
            resend: None,
            kind,
        }
    }

    /// The delivery, of an event in this shard.
    pub fn in_shard(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }

    /// The delivery, of a topic that not everyone may see, if `restricted`.
    pub fn restricted(self, restricted: bool) -> Self {
        Self { restricted, ..self }
    }

    /// Which delivery of an event it is; `None` for a document.
    pub fn key(&self) -> Option<DeliveryKey> {
        let accepted_at = match self.kind {
            // The repetition of a test has another time, and is the same delivery.
            DeliveryKind::Test { .. } => OffsetDateTime::UNIX_EPOCH,
            _ => self.accepted_at,
        };
        Some(DeliveryKey {
            subscription_id: self.subscription_id.clone(),
            accepted_at,
            event_id: self.kind.event_id()?.clone(),
            shard: self.shard,
        })
    }

    /// The mark by which it is known that nothing is left to send: that the delivery has arrived, or of a resend that it
    /// was made; `None` for a document.
    pub fn mark(&self) -> Option<DeliveryKey> {
        let key = self.key()?;
        Some(match &self.resend {
            Some(resend) => DeliveryKey::of_resend(resend, &key.subscription_id, key.shard),
            None => key,
        })
    }

    /// The id of the delivery, which is the same for all of its attempts; `None` for a document, whose versions get
    /// theirs when they are sent.
    pub fn id(&self) -> Option<DeliveryId> {
        let key = self.key()?;
        Some(if self.dated {
            key.id()
        } else {
            key.earlier_id()
        })
    }
}

/// What is delivered to a subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKind {
    /// A topic's document, up to this version. What is sent depends on the version that the
    /// endpoint has acknowledged.
    Document {
        /// The number of the version.
        version: u64,
    },
    /// An event, as it was published.
    Event {
        /// The id of the event.
        event_id: EventId,
        /// The event.
        payload: Payload,
    },
    /// A test that the subscription's owner has requested; it is sent once.
    Test {
        /// The id of the test.
        event_id: EventId,
        /// The body of the request.
        payload: Payload,
    },
    /// The notice that the topic was deleted, and the subscription with it.
    TopicDeleted {
        /// The id of the deletion.
        event_id: EventId,
    },
    /// An event of the entity.
    Entity {
        /// The id of the event.
        event_id: EventId,
        /// The type of the entity.
        entity_type: EntityType,
        /// What has happened to the entity.
        callback_event: CallbackEvent,
    },
    /// Nothing: a delivery of the event has arrived, and that could not be recorded.
    Arrived {
        /// The id of the event.
        event_id: EventId,
    },
}

/// The protocol that a delivery belongs to, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Topic subscriptions.
    Streams,
    /// Entity subscriptions.
    Entities,
}

impl Protocol {
    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Entities => "entities",
        }
    }
}

impl DeliveryKind {
    /// The protocol that the delivery belongs to.
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::Entity { .. } => Protocol::Entities,
            Self::Document { .. }
            | Self::Event { .. }
            | Self::Test { .. }
            | Self::TopicDeleted { .. }
            | Self::Arrived { .. } => Protocol::Streams,
        }
    }

    /// The id of the event; `None` for a document, whose versions get theirs when they are sent.
    pub fn event_id(&self) -> Option<&EventId> {
        match self {
            Self::Document { .. } => None,
            Self::Event { event_id, .. }
            | Self::Test { event_id, .. }
            | Self::TopicDeleted { event_id }
            | Self::Entity { event_id, .. }
            | Self::Arrived { event_id } => Some(event_id),
        }
    }
}

/// The type of a request's body, as its receiver reads it in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    /// A whole document.
    Snapshot,
    /// A document's change, as a JSON patch.
    Patch,
    /// An event.
    Event,
    /// An error, such as the deletion of the topic.
    Error,
}

impl EventType {
    /// The name in requests and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Patch => "patch",
            Self::Event => "event",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of an older version may still be in a queue, or in a dead-letter queue.
    #[test]
    fn messages_are_written_as_they_always_were() {
        let delivery = Delivery {
            subscription_id: SubscriptionId::new("s1"),
            client_id: "c1".to_owned(),
            attempt: 2,
            hops: Hops::default(),
            dated: false,
            shard: Shard::default(),
            restricted: false,
            resend: None,
            accepted_at: OffsetDateTime::UNIX_EPOCH,
            kind: DeliveryKind::Event {
                event_id: EventId::new("e1"),
                payload: Payload::Stored("events/e1".to_owned()),
            },
        };
        let text = r#"{"subscription_id":"s1","client_id":"c1","attempt":2,"accepted_at":"1970-01-01T00:00:00.000000Z","told":{"event":{"event_id":"e1","payload":{"stored":"events/e1"}}}}"#;
        assert_eq!(serde_json::to_string(&delivery).unwrap(), text);
        let read: Delivery = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
