//! Which delivery of an event it is: the subscription, when the event was accepted, the event, and its shard.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::ids::{DeliveryId, EventId, SubscriptionId, delivery_id};
use crate::timestamp::iso;
use crate::topic::shards::Shard;

/// The delivery of an event to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryKey {
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// When the event was accepted.
    pub accepted_at: OffsetDateTime,
    /// The event.
    pub event_id: EventId,
    /// The shard of the event.
    pub shard: Shard,
}

impl DeliveryKey {
    /// The id of the delivery: the time of acceptance in microseconds since 1970, in sixteen digits, the event's id,
    /// and eight digits that differ between subscriptions, with `_` in between.
    pub fn id(&self) -> DeliveryId {
        let micros = self.accepted_at.unix_timestamp_nanos() / 1000;
        let hash = Sha256::digest(self.subscription_id.as_str().as_bytes());
        let short: String = hash
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        DeliveryId::new(format!("{micros:016}_{}_{short}", self.event_id))
    }

    /// The delivery to this subscription that has the id, if [`Self::id`] has made it for this subscription; as in the
    /// first shard, which the id doesn't say.
    pub fn of_id(id: &DeliveryId, subscription_id: &SubscriptionId) -> Option<Self> {
        let (micros, _) = id.as_str().split_once('_')?;
        let event_id = event_of(id)?;
        let micros = i128::from(micros.parse::<u64>().ok()?);
        let key = Self {
            subscription_id: subscription_id.clone(),
            accepted_at: OffsetDateTime::from_unix_timestamp_nanos(micros * 1000).ok()?,
            event_id,
            shard: Shard::default(),
        };
        (key.id() == *id).then_some(key)
    }

    /// The key under which it is marked that a delivery in this shard was sent once more, as a resend with this id asks.
    pub fn of_resend(resend_id: &EventId, subscription_id: &SubscriptionId, shard: Shard) -> Self {
        Self {
            subscription_id: subscription_id.clone(),
            accepted_at: OffsetDateTime::UNIX_EPOCH,
            event_id: resend_id.clone(),
            shard,
        }
    }

    /// Whether it is the delivery of a test, whose repetition has another time and is the same delivery.
    pub fn is_test(&self) -> bool {
        self.accepted_at == OffsetDateTime::UNIX_EPOCH
    }

    /// The id that the delivery has in messages of earlier versions.
    pub fn earlier_id(&self) -> DeliveryId {
        delivery_id(&self.event_id, &self.subscription_id)
    }

    /// The partition of its records among those of attempts.
    pub fn partition(&self) -> String {
        self.shard.partition(self.subscription_id.as_str())
    }

    /// The sort key of its record among those of the subscription: `a#`, the time of acceptance, `#` and the event.
    pub fn record_key(&self) -> String {
        format!("a#{}#{}", iso(self.accepted_at), self.event_id)
    }
}

/// The event of a delivery whose id [`DeliveryKey::id`] has made; `None` for other ids.
pub fn event_of(id: &DeliveryId) -> Option<EventId> {
    let (micros, rest) = id.as_str().split_once('_')?;
    let (event_id, _) = rest.rsplit_once('_')?;
    (micros.len() == 16).then(|| EventId::new(event_id))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_id_says_acceptance_and_event_and_differs_between_subscriptions() {
        let key = |subscription: &str| DeliveryKey {
            subscription_id: SubscriptionId::new(subscription),
            accepted_at: datetime!(2026-01-01 00:00:00.000001 UTC),
            event_id: EventId::new("e_1"),
            shard: Shard::default(),
        };
        let id = key("s1").id();
        assert!(id.as_str().starts_with("1767225600000001_e_1_"), "{id}");
        assert_ne!(id, key("s2").id());
        assert_eq!(event_of(&id), Some(EventId::new("e_1")));
        assert_eq!(event_of(&key("s1").earlier_id()), None);
        assert_eq!(key("s1").record_key(), "a#2026-01-01T00:00:00.000001Z#e_1");
        let test = DeliveryKey {
            accepted_at: OffsetDateTime::UNIX_EPOCH,
            ..key("s1")
        };
        assert!(test.id().as_str().starts_with("0000000000000000_e_1_"));
        assert!(test.is_test() && !key("s1").is_test());
    }

    #[test]
    fn an_id_is_read_by_its_own_subscription_alone() {
        let key = DeliveryKey {
            subscription_id: SubscriptionId::new("s1"),
            accepted_at: datetime!(2026-01-01 00:00:00.000001 UTC),
            event_id: EventId::new("e_1"),
            shard: Shard::default(),
        };
        let id = key.id();
        assert_eq!(
            DeliveryKey::of_id(&id, &key.subscription_id),
            Some(key.clone())
        );
        assert_eq!(DeliveryKey::of_id(&id, &SubscriptionId::new("s2")), None);
        let hash = id.as_str().rsplit_once('_').unwrap().1.to_owned();
        for text in [
            String::new(),
            "_".to_owned(),
            "__".to_owned(),
            "1767225600000001".to_owned(),
            format!("1767225600000001_{hash}"),
            format!("+767225600000001_e_1_{hash}"),
            format!("-767225600000001_e_1_{hash}"),
            format!("176722560000000x_e_1_{hash}"),
            format!("é767225600000001_e_1_{hash}"),
        ] {
            let id = DeliveryId::new(text);
            assert_eq!(DeliveryKey::of_id(&id, &key.subscription_id), None, "{id}");
        }
    }
}
