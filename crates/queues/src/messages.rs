//! What the queues carry, as JSON.

use bellwire_rules::entity::{CallbackEvent, EntityEvent, EntityType};
use bellwire_rules::payload::Payload;
use bellwire_rules::timestamp::iso_serde;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// `Publications.fifo`: what happened to a topic, in the order of acceptance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Publication {
    /// The id of the publication, and of the event when it is one.
    pub event_id: String,
    /// The topic.
    pub topic_id: String,
    /// When the API took it.
    #[serde(with = "iso_serde")]
    pub accepted_at: OffsetDateTime,
    /// Whether it comes from the dead letters, so that newer ones may have gone before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redriven: bool,
    /// What it is.
    pub work: Work,
}

/// What a publication is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The topic's whole document.
    Document {
        /// The document.
        payload: Payload,
    },
    /// An event.
    Event {
        /// The event.
        payload: Payload,
        /// Whether the publisher gave it an `Idempotency-Key`, so that the same id may
        /// come again with another time.
        repeatable: bool,
    },
    /// The topic was deleted.
    TopicDeleted,
}

/// `Fanout`: a part of the work of telling many.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FanOut {
    /// Tell the members of one segment of an audience.
    Segment {
        /// The audience.
        audience_id: String,
        /// The segment's number.
        segment: u64,
        /// What they are told.
        #[serde(rename = "announcement")]
        event: AudienceEvent,
    },
    /// Tell one subscription again what it has missed.
    Replay(Replay),
    /// Tell clients what has happened to an entity. EventBridge writes this one too, by the
    /// template's rules.
    Entity {
        /// The id of the event.
        event_id: String,
        /// When the API, or EventBridge, took it.
        #[serde(with = "iso_serde")]
        accepted_at: OffsetDateTime,
        /// The event.
        event: EntityEvent,
    },
}

/// The same news for many subscriptions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AudienceEvent {
    /// When the API took what is told.
    #[serde(with = "iso_serde")]
    pub accepted_at: OffsetDateTime,
    /// What is told.
    #[serde(rename = "told")]
    pub kind: DeliveryKind,
}

/// A wish to have a topic's events again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replay {
    /// The id of the replay; empty in messages of earlier versions.
    #[serde(default)]
    pub replay_id: String,
    /// Whom to tell.
    pub subscription_id: String,
    /// The client whose subscription it is.
    pub client_id: String,
    /// The topic.
    pub topic_id: String,
    /// From when on.
    #[serde(with = "iso_serde")]
    pub start: OffsetDateTime,
    /// Until when.
    #[serde(with = "iso_serde")]
    pub end: OffsetDateTime,
    /// Where an earlier step of the same replay ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many steps came before.
    #[serde(default, skip_serializing_if = "Hops::is_none")]
    pub hops: Hops,
}

/// How often functions have sent a message on to themselves.
///
/// Lambda ends such loops after some 16 times, unless a function's `RecursiveLoop` allows them, as
/// the template does; what can't come to an end by itself is ended here instead.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hops(u32);

impl Hops {
    /// One more; the reason for a dead letter when there were `most` before.
    pub fn next(self, most: u32) -> Result<Self, String> {
        if self.0 >= most {
            return Err(format!("sent on {most} times without coming to an end"));
        }
        Ok(Self(self.0 + 1))
    }

    /// Whether it was never sent on.
    pub fn is_none(&self) -> bool {
        self.0 == 0
    }
}

/// `Deliveries` and `Retries`: one thing to tell to one subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Whom to tell.
    pub subscription_id: String,
    /// The client whose subscription it is: the group by which SQS is fair.
    pub client_id: String,
    /// How many attempts have failed.
    #[serde(default)]
    pub attempt: usize,
    /// How often it was left to another function since something arrived.
    #[serde(default, skip_serializing_if = "Hops::is_none")]
    pub hops: Hops,
    /// When the API took what is told.
    #[serde(with = "iso_serde")]
    pub accepted_at: OffsetDateTime,
    /// What is told.
    #[serde(rename = "told")]
    pub kind: DeliveryKind,
}

impl Delivery {
    /// One that nobody has attempted yet.
    pub fn new(
        subscription_id: String,
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
            kind,
        }
    }
}

/// What a subscription is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKind {
    /// That a topic's document has this version. What is sent depends on what the
    /// subscription has.
    Document {
        /// The version.
        version: u64,
    },
    /// An event, as it was published.
    Event {
        /// Its id.
        event_id: String,
        /// The event.
        payload: Payload,
    },
    /// What its owner wants to see arriving, once.
    Test {
        /// The id of the test.
        event_id: String,
        /// What is sent.
        payload: Payload,
    },
    /// That its topic was deleted, and the subscription with it.
    TopicDeleted {
        /// The id of the deletion.
        event_id: String,
    },
    /// What has happened to its entity.
    Entity {
        /// The id of the event.
        event_id: String,
        /// What the entity is.
        entity_type: EntityType,
        /// What has happened.
        callback_event: CallbackEvent,
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
    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Entities => "entities",
        }
    }
}

impl DeliveryKind {
    /// The protocol that it belongs to.
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::Entity { .. } => Protocol::Entities,
            _ => Protocol::Streams,
        }
    }

    /// The id of the event; a document's versions have theirs when they are sent.
    pub fn event_id(&self) -> Option<&str> {
        match self {
            Self::Document { .. } => None,
            Self::Event { event_id, .. }
            | Self::Test { event_id, .. }
            | Self::TopicDeleted { event_id }
            | Self::Entity { event_id, .. } => Some(event_id),
        }
    }
}

/// What the body of a delivery is, as it is named to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    /// A whole document.
    Snapshot,
    /// A document's change.
    Patch,
    /// An event.
    Event,
    /// Something that went wrong.
    Error,
}

impl EventType {
    /// The name.
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
            subscription_id: "s1".to_owned(),
            client_id: "c1".to_owned(),
            attempt: 2,
            hops: Hops::default(),
            accepted_at: OffsetDateTime::UNIX_EPOCH,
            kind: DeliveryKind::Event {
                event_id: "e1".to_owned(),
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
        // One that was never sent on is written as it always was.
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
