//! Fan-out: creating the deliveries of an event for its audience, one message each; and publishing events, which is
//! recording them and fanning them out ([`EventPublisher`]); and sending a delivery once more ([`Resends`]).
//!
//! The deliveries to a small topic's audience are created at once, by the caller. Those of a large topic
//! are created by segments: a message is sent for each, and the function that receives it creates the
//! deliveries to the segment's members. Either way, a step that is repeated sends the same messages
//! again, and `deliver` leaves out what has been delivered.

mod access;
mod current_document;
mod event_publisher;
mod resend;

use bellwire_domain::entity::{Clients, EntityKey};
use bellwire_domain::ids::{AudienceId, TopicId, entity_audience_id};
use bellwire_queues::{AudienceEvent, Delivery, DeliveryKind, FanOut, Message, Queue, QueueError};
use bellwire_store::members::{Member, Segments};
use bellwire_store::{Members, StoreError};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use time::{Duration, OffsetDateTime};

pub use access::{AccessJudge, Receivers, Restricted};
pub use current_document::deliver_current_document;
pub use event_publisher::{EventPublisher, RecordedEvent};
pub use resend::{NotResent, Resends, Resent};

/// Up to how many subscriptions a topic's deliveries are created without a message for each segment.
const SMALL: u64 = 100;
/// How large the messages of a topic's deliveries may be in all to be created so, in bytes.
const SMALL_BYTES: u64 = 1024 * 1024;
/// How many messages are built before they are sent, to limit memory: small payloads are in them.
const AT_ONCE: usize = 100;
/// For how many clients deliveries are created concurrently: each may take a dozen connections to SQS.
const CLIENTS_AT_ONCE: usize = 8;
/// By how much the clocks of two functions may differ.
const CLOCK_SKEW: Duration = Duration::seconds(1);

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

    /// The segments of a topic's audience, for [`Self::fan_out`].
    pub async fn segments(&self, topic_id: &TopicId) -> Result<Segments, FanOutError> {
        Ok(self.members.segments(topic_id).await?)
    }

    /// The Members table.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Creates the deliveries of events for the receivers among a topic's audience, directly or by segments.
    pub async fn fan_out(
        &self,
        topic_id: &TopicId,
        segments: &Segments,
        events: &[AudienceEvent],
        receivers: &Receivers<'_>,
    ) -> Result<(), FanOutError> {
        let audience_id = AudienceId::of_topic(topic_id);
        let payloads = events.iter().map(|event| payload_bytes(&event.kind));
        let bytes = payloads.sum::<u64>().saturating_mul(segments.given);
        if segments.given <= SMALL && bytes <= SMALL_BYTES {
            let members = self.members.of(&audience_id, 0).await?;
            let members = receivers.among(members).await?;
            return self.deliver_to(&members, events).await;
        }
        for events in events.chunks(AT_ONCE) {
            let messages = events.iter().flat_map(|event| {
                segments.numbers().map(|segment| {
                    Message::new(&FanOut::Segment {
                        audience_id: audience_id.clone(),
                        segment,
                        event: event.clone(),
                    })
                })
            });
            let messages = messages.collect::<Result<_, _>>()?;
            self.fan_outs.send_all(messages).await?;
        }
        Ok(())
    }

    /// Creates the deliveries of an event for the receivers among the members of one segment of an audience. Returns how
    /// many members there are.
    pub async fn fan_out_segment(
        &self,
        audience_id: &AudienceId,
        segment: u64,
        event: &AudienceEvent,
        receivers: &Receivers<'_>,
    ) -> Result<usize, FanOutError> {
        let members = self.members.of(audience_id, segment).await?;
        let count = members.len();
        let members = receivers.among(members).await?;
        let events = std::slice::from_ref(event);
        self.deliver_to(&members, events).await?;
        Ok(count)
    }

    /// Creates the deliveries of events for these members, of a repeated one for those of its time.
    async fn deliver_to(
        &self,
        members: &[Member],
        events: &[AudienceEvent],
    ) -> Result<(), FanOutError> {
        let wanted: Vec<(&Member, &AudienceEvent)> = events
            .iter()
            .flat_map(|event| members.iter().map(move |member| (member, event)))
            .filter(|(member, event)| !event.repeated || was_member(member, event.accepted_at))
            .collect();
        for wanted in wanted.chunks(AT_ONCE) {
            let messages = wanted
                .iter()
                .map(|(member, event)| Message::delivery(&delivery(member, event)))
                .collect::<Result<_, _>>()?;
            self.deliveries.send_all(messages).await?;
        }
        Ok(())
    }

    /// Creates the deliveries of an entity's event for the clients that it names, and for no others. A part of
    /// them may have been created when that fails.
    pub async fn fan_out_entity(
        &self,
        entity_key: &EntityKey,
        clients: &Clients,
        event: &AudienceEvent,
    ) -> Result<(), FanOutError> {
        let audiences: Vec<AudienceId> = clients
            .iter()
            .map(|client| entity_audience_id(client.as_str(), entity_key.as_str()))
            .collect();
        stream::iter(audiences)
            .map(|audience| async move {
                self.fan_out_segment(&audience, 0, event, &Receivers::Everyone)
                    .await
            })
            .buffer_unordered(CLIENTS_AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await
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

/// Whether a member had subscribed by then. One that can't be told from those that had, by their clocks, counts.
fn was_member(member: &Member, at: OffsetDateTime) -> bool {
    let until = at + CLOCK_SKEW;
    member
        .created_at
        .is_none_or(|created_at| created_at <= until)
}

/// How large a delivery's payload is in its message, in bytes.
fn payload_bytes(kind: &DeliveryKind) -> u64 {
    match kind {
        DeliveryKind::Event { payload, .. } => payload.message_bytes(),
        _ => 0,
    }
}

fn delivery(member: &Member, event: &AudienceEvent) -> Delivery {
    Delivery::new(
        member.subscription_id.clone(),
        member.client_id.clone(),
        event.accepted_at,
        event.kind.clone(),
    )
    .in_shard(event.shard)
    .restricted(event.restricted)
}
