//! The messages of the queues, as JSON.

use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::entity::{CallbackEvent, EntityEvent, EntityType};
use bellwire_domain::ids::{AudienceId, DeliveryId, EventId, SubscriptionId, TopicId};
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::{Shard, Shards};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A message of `Publications.fifo`: what happened to a topic, in the order of acceptance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Publication {
    /// The id of the publication, and of the event if it is one.
    pub event_id: EventId,
    /// The topic's id.
    pub topic_id: TopicId,
    /// When the API accepted it.
    #[serde(with = "iso_serde")]
    pub accepted_at: OffsetDateTime,
    /// Whether it was redriven from the dead-letter queue, so that newer ones may have been processed before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redriven: bool,
    /// What was published, or has happened.
    pub work: Work,
}

/// What was published to a topic, or has happened to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The topic's document was published, as a whole.
    Document {
        /// The document.
        payload: Payload,
    },
    /// An event was published.
    Event {
        /// The event.
        payload: Payload,
        /// Whether the publisher gave it an `Idempotency-Key`, so that the same id may be
        /// published again, with another time.
        repeatable: bool,
    },
    /// The topic was deleted.
    TopicDeleted,
}

/// A message of `FanOuts`: a part of a fan-out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FanOut {
    /// Create the deliveries of an event for the members of one segment of an audience.
    Segment {
        /// The audience's id.
        audience_id: AudienceId,
        /// The segment's number.
        segment: u64,
        /// What the members receive.
        #[serde(rename = "announcement")]
        event: AudienceEvent,
    },
    /// Create the deliveries of an event for a topic's audience, directly or by segments.
    Audience {
        /// The topic's id.
        topic_id: TopicId,
        /// What the members receive.
        event: AudienceEvent,
    },
    /// Create the deliveries of past events for one subscription.
    Replay(Replay),
    /// Create the deliveries of an entity's event for the clients that it names. EventBridge sends
    /// this message too, by the template's rules.
    Entity {
        /// The id of the event.
        event_id: EventId,
        /// When the API, or EventBridge, accepted it.
        #[serde(with = "iso_serde")]
        accepted_at: OffsetDateTime,
        /// The event.
        event: EntityEvent,
        /// As [`AudienceEvent::repeated`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        repeated: bool,
    },
}

/// What an audience receives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AudienceEvent {
    /// When the API accepted it.
    #[serde(with = "iso_serde")]
    pub accepted_at: OffsetDateTime,
    /// What is delivered to each subscription.
    #[serde(rename = "told")]
    pub kind: DeliveryKind,
    /// The shard of the event; the first one for what has no shards.
    #[serde(default, skip_serializing_if = "Shard::is_first")]
    pub shard: Shard,
    /// Whether this is the repetition of a fan-out that may not have been completed: it is for the members of
    /// that time, and not for those that have subscribed since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// A request to deliver a topic's past events to a subscription; those that were delivered are left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replay {
    /// The id of the replay; empty in messages of earlier versions.
    #[serde(default)]
    pub replay_id: String,
    /// The id of the subscription.
    pub subscription_id: SubscriptionId,
    /// The id of the subscription's client.
    pub client_id: String,
    /// The topic's id.
    pub topic_id: TopicId,
    /// The earliest time of acceptance, inclusive.
    #[serde(with = "iso_serde")]
    pub start: OffsetDateTime,
    /// The latest time of acceptance, inclusive.
    #[serde(with = "iso_serde")]
    pub end: OffsetDateTime,
    /// How many shards the topic has.
    #[serde(default, skip_serializing_if = "is_one")]
    pub shards: Shards,
    /// The cursor at which the step before ended; missing in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many steps came before.
    #[serde(default, skip_serializing_if = "Hops::is_none")]
    pub hops: Hops,
}

fn is_one(shards: &Shards) -> bool {
    *shards == Shards::ONE
}

/// How often functions have sent a message on to themselves.
///
/// Lambda stops such loops after some 16 times, unless a function's `RecursiveLoop` allows them, as
/// the template does; loops that would never end are stopped here instead.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hops(u32);

impl Hops {
    /// One more. The error, if there were `most` before, is the reason for the dead letter.
    pub fn next(self, most: u32) -> Result<Self, String> {
        if self.0 >= most {
            return Err(format!("sent on {most} times without coming to an end"));
        }
        Ok(Self(self.0 + 1))
    }

    /// Whether the message was never sent on.
    pub fn is_none(&self) -> bool {
        self.0 == 0
    }
}

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
            kind,
        }
    }

    /// The delivery, of an event in this shard.
    pub fn in_shard(self, shard: Shard) -> Self {
        Self { shard, ..self }
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

    #[test]
    fn a_message_is_sent_on_so_often_and_no_more() {
        let mut hops = Hops::default();
        for _ in 0..3 {
            hops = hops.next(3).unwrap();
        }
        assert_eq!(
            hops.next(3),
            Err("sent on 3 times without coming to an end".to_owned())
        );
        // A message that was never sent on is written as by earlier versions.
        let text = r#"{"replay":{"replay_id":"r","subscription_id":"s","client_id":"c","topic_id":"t","start":"1970-01-01T00:00:00.000000Z","end":"1970-01-01T00:00:00.000000Z"}}"#;
        let mut read: FanOut = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let earlier: FanOut =
            serde_json::from_str(&text.replace(r#""replay_id":"r","#, "")).unwrap();
        assert!(matches!(earlier, FanOut::Replay(replay) if replay.replay_id.is_empty()));
        if let FanOut::Replay(replay) = &mut read {
            replay.hops = hops;
        }
        let sent_on = serde_json::to_string(&read).unwrap();
        assert!(sent_on.contains(r#""hops":3"#));
        let FanOut::Replay(replay) = serde_json::from_str(&sent_on).unwrap() else {
            panic!("a replay");
        };
        assert_eq!(replay.hops, hops);
    }
}
