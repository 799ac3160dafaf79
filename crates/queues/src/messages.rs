//! The messages of `Publications.fifo` and `FanOuts`, as JSON.

use bellwire_domain::entity::EntityEvent;
use bellwire_domain::ids::{AudienceId, EventId, SubscriptionId, TopicId};
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::{Shard, Shards};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::delivery::DeliveryKind;
use crate::hops::Hops;

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
    /// As [`AudienceEvent::restricted`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restricted: bool,
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
    /// Whether not everyone may see the topic, so that its members are judged before they get anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restricted: bool,
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
    #[serde(default, skip_serializing_if = "Shards::is_one")]
    pub shards: Shards,
    /// As [`AudienceEvent::restricted`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restricted: bool,
    /// The cursor at which the step before ended; missing in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many steps came before.
    #[serde(default, skip_serializing_if = "Hops::is_none")]
    pub hops: Hops,
}
