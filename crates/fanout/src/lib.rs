//! Telling news to subscriptions: a message for each.
//!
//! A small topic is told at once, by whoever has the news. A large one is told by
//! segments: a message for each, and whoever takes it tells the segment's members. Either
//! way a step that is repeated sends the same messages again, and `deliver` knows what has
//! arrived.

use bellwire_queues::{AudienceEvent, Delivery, FanOut, Message, Queue, QueueError};
use bellwire_store::members::Member;
use bellwire_store::{Members, StoreError};

/// Up to how many subscriptions a topic is told without the step over segments.
const SMALL: u64 = 100;
/// How many deliveries are written down before they are sent: payloads travel with them.
const AT_ONCE: usize = 100;

/// The news could not be told to all.
#[derive(Debug, thiserror::Error)]
pub enum FanOutError {
    /// The members can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The messages can't be sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// The members of topics, and the ways to them.
#[derive(Clone, Debug)]
pub struct Audience {
    members: Members,
    fan_outs: Queue,
    deliveries: Queue,
}

impl Audience {
    /// The members in this table, told by way of these queues.
    pub fn new(members: Members, fan_outs: Queue, deliveries: Queue) -> Self {
        Self {
            members,
            fan_outs,
            deliveries,
        }
    }

    /// Tells all members of a topic, directly or by segments.
    pub async fn fan_out(&self, topic_id: &str, event: AudienceEvent) -> Result<(), FanOutError> {
        let segments = self.members.segments(topic_id).await?;
        if segments.given <= SMALL {
            self.fan_out_segment(topic_id, 0, &event).await?;
            return Ok(());
        }
        let messages = segments
            .numbers()
            .map(|segment| {
                Message::new(&FanOut::Segment {
                    audience_id: topic_id.to_owned(),
                    segment,
                    event: event.clone(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(self.fan_outs.send_all(messages).await?)
    }

    /// Tells the members of one segment of an audience. Returns how many there are.
    pub async fn fan_out_segment(
        &self,
        audience_id: &str,
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

    /// Has a segment of a topic that turned out to be empty left out from now on, if it stays so.
    pub async fn skip_if_empty(&self, topic_id: &str, segment: u64) -> Result<bool, FanOutError> {
        Ok(self.members.skip_if_empty(topic_id, segment).await?)
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
