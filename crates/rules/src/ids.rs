//! Ids: random ones, and those that follow from what they are of, so that whoever repeats
//! a step speaks of the same thing. All are UUIDs; those that follow are of version 8
//! (RFC 9562).

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The id of the delivery of an event to a subscription.
pub fn delivery_id(event_id: &str, subscription_id: &str) -> String {
    derived(&[event_id, subscription_id])
}

/// The id of the event that a publisher's `Idempotency-Key` stands for, of a topic or an
/// entity.
pub fn idempotent_event_id(client_id: &str, source: &str, key: &str) -> String {
    derived(&[client_id, source, key])
}

/// The id of a version of a topic's document.
pub fn version_id(topic_id: &str, version: u64) -> String {
    derived(&[topic_id, &version.to_string()])
}

/// The id of a client's subscription to an entity: the same for the same callback, so that
/// there is one.
pub fn entity_subscription_id(client_id: &str, entity_key: &str, callback: &str) -> String {
    derived(&[client_id, entity_key, callback])
}

/// The id of all of a client's subscriptions to an entity.
pub fn entity_audience_id(client_id: &str, entity_key: &str) -> String {
    derived(&[client_id, entity_key])
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

/// A new random id.
pub fn random_id() -> String {
    Uuid::new_v4().to_string()
}

/// A number by which one attempt at something is known from another: 60 of its bits are random.
pub fn nonce() -> u64 {
    Uuid::new_v4().as_u64_pair().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_from_event_and_subscription() {
        let id = delivery_id("e1", "s1");
        assert_eq!(id, delivery_id("e1", "s1"));
        assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 8);
        for (event, subscription) in [("e1", "s2"), ("e2", "s1"), ("e1s", "1"), ("s1", "e1")] {
            assert_ne!(id, delivery_id(event, subscription));
        }
        assert_ne!(
            idempotent_event_id("c", "t", "k"),
            idempotent_event_id("c", "t", "l")
        );
        assert_ne!(version_id("t", 1), version_id("t", 11));
    }
}
