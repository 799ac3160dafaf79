//! Fan-out: creating the deliveries of an event for its audience, one message each.
//!
//! The deliveries to a small topic's audience are created at once, by the caller. Those of a large topic
//! are created by segments: a message is sent for each, and the function that receives it creates the
//! deliveries to the segment's members. Either way, a step that is repeated sends the same messages
//! again, and `deliver` leaves out what has been delivered.

mod current_document;

use bellwire_domain::ids::{AudienceId, TopicId};
use bellwire_queues::{AudienceEvent, Delivery, FanOut, Message, Queue, QueueError};
use bellwire_store::members::Member;
use bellwire_store::{Members, StoreError};

pub use current_document::deliver_current_document;

/// Up to how many subscriptions a topic's deliveries are created without a message for each segment.
const SMALL: u64 = 100;
/// How many messages are built before they are sent, to limit memory: small payloads are in them.
const AT_ONCE: usize = 100;

/// The fan-out could not be completed; a part of the deliveries may have been created.
#[derive(Debug, thiserror::Error)]
pub enum FanOutError {
    /// The members can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The messages can't be sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// The members of audiences, and the queues by which they are reached.
#[derive(Clone, Debug)]
pub struct Audience {
    members: Members,
    fan_outs: Queue,
    deliveries: Queue,
}

impl Audience {
    /// `fan_outs` is the queue for messages about segments, `deliveries` the one for deliveries.
    pub fn new(members: Members, fan_outs: Queue, deliveries: Queue) -> Self {
        Self {
            members,
            fan_outs,
            deliveries,
        }
    }

    /// Creates the deliveries of an event for a topic's audience, directly or by segments.
    pub async fn fan_out(
        &self,
        topic_id: &TopicId,
        event: AudienceEvent,
    ) -> Result<(), FanOutError> {
        let audience_id = AudienceId::of_topic(topic_id);
        let segments = self.members.segments(topic_id).await?;
        if segments.given <= SMALL {
            self.fan_out_segment(&audience_id, 0, &event).await?;
            return Ok(());
        }
        let messages = segments
            .numbers()
            .map(|segment| {
                Message::new(&FanOut::Segment {
                    audience_id: audience_id.clone(),
                    segment,
                    event: event.clone(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(self.fan_outs.send_all(messages).await?)
    }

    /// Creates the deliveries of an event for the members of one segment of an audience. Returns how many
    /// there are.
    pub async fn fan_out_segment(
        &self,
        audience_id: &AudienceId,
        segment: u64,
        event: &AudienceEvent,
    ) -> Result<usize, FanOutError> {
        let members = self.members.of(audience_id, segment).await?;
        for members in members.chunks(AT_ONCE) {
            let messages = members
                .iter()
                .map(|member| Message::delivery(&delivery(member, event)))
                .collect::<Result<_, _>>()?;
            self.deliveries.send_all(messages).await?;
        }
        Ok(members.len())
    }

    /// Excludes a segment of a topic that was found empty from now on, if it can't get members any more.
    /// Returns whether it is excluded.
    pub async fn skip_if_empty(
        &self,
        audience_id: &AudienceId,
        segment: u64,
    ) -> Result<bool, FanOutError> {
        Ok(self.members.skip_if_empty(audience_id, segment).await?)
    }
}

fn delivery(member: &Member, event: &AudienceEvent) -> Delivery {
    Delivery::new(
        member.subscription_id.clone(),
        member.client_id.clone(),
        event.accepted_at,
        event.kind.clone(),
    )
}
