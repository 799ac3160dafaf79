//! Ids: random ones, and ids that are derived from what they identify, so that a repeated step
//! arrives at the same id. All are UUIDs, the derived ones of version 8 (RFC 9562), but
//! those of deliveries, which say when their event was accepted and which it is.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Types of ids, so that one can't be mixed up with another; each is its text wherever it is written.
macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $id(String);

        impl $id {
            /// The id that is written so.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// The id of a topic: a random UUID.
    TopicId,
    /// The id of an audience: a topic's, or what follows from a client and an entity's key.
    AudienceId,
    /// The id of a subscription: a UUID, random for one to a topic, derived from client, entity and URL for
    /// one to an entity.
    SubscriptionId,
    /// The id of an event, of the deletion of a topic, or of a version of a document: a UUID, random or
    /// derived, or `deleted-` and the topic's id.
    EventId,
    /// The id of a delivery: a UUID that follows from the event, or the document's version, and the
    /// subscription. It is the same for all attempts, and their `webhook-id`.
    DeliveryId,
    /// The id that SQS gave to a message. A message that is received again has the same.
    MessageId,
}

impl AudienceId {
    /// That of the members of a topic.
    pub fn of_topic(topic_id: &TopicId) -> Self {
        Self(topic_id.0.clone())
    }
}

/// The id of the delivery of an event, or of a version of a document, to a subscription.
pub fn delivery_id(event_id: &EventId, subscription_id: &SubscriptionId) -> DeliveryId {
    DeliveryId(derived(&[event_id.as_str(), subscription_id.as_str()]))
}

/// What the retry that a message arranges for a subscription is known by: the same when the message is
/// received again.
pub fn retry_id(message_id: &MessageId, subscription_id: &SubscriptionId) -> String {
    derived(&[message_id.as_str(), subscription_id.as_str()])
}

/// The id that a client's `Idempotency-Key` stands for: of an event of a topic or an entity, or of
/// a test or a replay of a subscription. `source` is the topic's id, the entity's key, or the
/// subscription's id.
pub fn idempotent_event_id(client_id: &str, source: &str, key: &str) -> EventId {
    EventId(derived(&[client_id, source, key]))
}

/// The id of the event that is a version of a topic's document.
pub fn version_id(topic_id: &TopicId, version: u64) -> EventId {
    EventId(derived(&[topic_id.as_str(), &version.to_string()]))
}

/// The id of a client's subscription to an entity: the same for the same callback URL, so that
/// there is only one.
pub fn entity_subscription_id(client_id: &str, entity_key: &str, callback: &str) -> SubscriptionId {
    SubscriptionId(derived(&[client_id, entity_key, callback]))
}

/// The id of an entity's audience for one client: all of that client's subscriptions to it.
pub fn entity_audience_id(client_id: &str, entity_key: &str) -> AudienceId {
    AudienceId(derived(&[client_id, entity_key]))
}

fn derived(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps "ab", "c" and "a", "bc" apart.
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    uuid::Builder::from_custom_bytes(bytes)
        .into_uuid()
        .to_string()
}

/// The id of a new event.
pub fn new_event_id() -> EventId {
    EventId(random_id())
}

/// The id of a new subscription to a topic.
pub fn new_subscription_id() -> SubscriptionId {
    SubscriptionId(random_id())
}

/// A new random id: a UUID of version 4.
pub fn random_id() -> String {
    Uuid::new_v4().to_string()
}

/// A number that distinguishes one attempt to acquire a lease from another; 60 of its bits are
/// random.
pub fn nonce() -> u64 {
    Uuid::new_v4().as_u64_pair().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_from_event_and_subscription() {
        let id = delivery_id(&EventId::new("e1"), &SubscriptionId::new("s1"));
        assert_eq!(
            id,
            delivery_id(&EventId::new("e1"), &SubscriptionId::new("s1"))
        );
        assert_eq!(Uuid::parse_str(id.as_str()).unwrap().get_version_num(), 8);
        for (event, subscription) in [("e1", "s2"), ("e2", "s1"), ("e1s", "1"), ("s1", "e1")] {
            assert_ne!(
                id,
                delivery_id(&EventId::new(event), &SubscriptionId::new(subscription))
            );
        }
        assert_ne!(
            idempotent_event_id("c", "t", "k"),
            idempotent_event_id("c", "t", "l")
        );
        assert_ne!(
            version_id(&TopicId::new("t"), 1),
            version_id(&TopicId::new("t"), 11)
        );
    }
}
