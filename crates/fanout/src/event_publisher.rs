//! Publishing events: each is recorded, and then fanned out.
//!
//! The order of events is promised to nobody, so that whoever accepts an event publishes it. When the fan-out fails
//! after the event is on record, it is left to the function `fanout`, by one message: what was accepted is never lost.
//! A function that is killed between the two has not answered, and may have reached some subscriptions; its caller
//! repeats the request. With an `Idempotency-Key` the repetition finds the event on record, and the mark that its
//! fan-out was not completed: it fans out the first event again, to those that were subscribed then.

use bellwire_domain::entity::EntityEvent;
use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::Shard;
use bellwire_queues::{AudienceEvent, DeliveryKind, FanOut, Message, Queue};
use bellwire_runtime::backoff::Backoff;
use bellwire_store::events::{Event, EventSource, Recorded};
use bellwire_store::members::Segments;
use bellwire_store::{Events, StoreError};
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::{Duration, OffsetDateTime};

use crate::{Audience, FanOutError, Receivers};

/// To how many clients the deliveries of an entity's event are created without another function.
const FEW_CLIENTS: usize = 10;
/// How long the function may run that publishes an event: API Gateway's limit, and a margin.
const MAY_RUN: Duration = Duration::seconds(30);
/// How often a repetition looks whether the request before it is done: for about a second.
const LOOKS: usize = 5;

/// Publishes events of topics and entities.
#[derive(Clone, Debug)]
pub struct EventPublisher {
    events: Events,
    audience: Audience,
    fan_outs: Queue,
}

/// An event that is on record, and is to be fanned out.
#[derive(Clone, Debug)]
pub struct RecordedEvent<T = Payload> {
    source: EventSource,
    event: Event<T>,
    shard: Shard,
    /// Whether it has an `Idempotency-Key`, and so a mark.
    repeatable: bool,
    /// Whether a request before this one recorded it.
    repeated: bool,
}

impl EventPublisher {
    /// `fan_outs` is the queue for what is left to the function `fanout`.
    pub fn new(events: Events, audience: Audience, fan_outs: Queue) -> Self {
        Self {
            events,
            audience,
            fan_outs,
        }
    }

    /// The audiences.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Records an event. `repeatable` events have an id that a repetition has too; `None` when that is one whose
    /// first was fanned out: nothing is left to do.
    ///
    /// # Errors
    /// [`StoreError::HotPartition`] when the partition of its shard takes no more.
    pub async fn record<T>(
        &self,
        source: EventSource,
        event: Event<T>,
        repeatable: bool,
    ) -> Result<Option<RecordedEvent<T>>, StoreError>
    where
        T: Serialize + DeserializeOwned,
    {
        let now = OffsetDateTime::now_utc();
        let shard = source.shard_of(&event.event_id);
        if !repeatable {
            self.events.record(&source, &event, now).await?;
            return Ok(Some(RecordedEvent {
                source,
                event,
                shard,
                repeatable,
                repeated: false,
            }));
        }
        let recorded = self.events.record_once(&source, &event, now).await?;
        let (event, shard, repeated) = match recorded {
            Recorded::New => (event, shard, false),
            Recorded::Pending(first, shard) => {
                if self.is_completed(&source, &first, now).await? {
                    return Ok(None);
                }
                (first, shard, true)
            }
            Recorded::Done => return Ok(None),
        };
        Ok(Some(RecordedEvent {
            source,
            event,
            shard,
            repeatable,
            repeated,
        }))
    }

    /// Whether another request, which may still be running, completes the fan-out of an event within a moment: of
    /// several at once with the same key, one creates the deliveries.
    async fn is_completed<T>(
        &self,
        source: &EventSource,
        first: &Event<T>,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut backoff = Backoff::new();
        let mut looks = 0;
        while now - first.accepted_at < MAY_RUN && looks < LOOKS && backoff.pause().await {
            if !self.events.is_pending(source, &first.event_id).await? {
                return Ok(true);
            }
            looks += 1;
        }
        Ok(false)
    }

    /// Creates the deliveries of a topic's events, for its receivers.
    ///
    /// # Errors
    /// When members can't be read, or messages can't be sent. A part of the deliveries may have been created.
    pub async fn fan_out(
        &self,
        topic_id: &TopicId,
        segments: &Segments,
        recorded: &[RecordedEvent],
        receivers: &Receivers<'_>,
    ) -> Result<(), FanOutError> {
        let restricted = receivers.are_restricted();
        let events = recorded.iter().map(|it| it.of_topic(restricted));
        let events: Vec<AudienceEvent> = events.collect();
        self.audience
            .fan_out(topic_id, segments, &events, receivers)
            .await?;
        self.note_fanned_out(recorded).await;
        Ok(())
    }

    /// Leaves the fan-out of a topic's events to the function `fanout`.
    ///
    /// # Errors
    /// When messages can't be sent. Some may have been.
    pub async fn leave(
        &self,
        topic_id: &TopicId,
        recorded: &[RecordedEvent],
        receivers: &Receivers<'_>,
    ) -> Result<(), FanOutError> {
        let restricted = receivers.are_restricted();
        let messages = recorded.iter().map(|recorded| {
            Message::new(&FanOut::Audience {
                topic_id: topic_id.clone(),
                event: recorded.of_topic(restricted),
            })
        });
        self.send_on(messages.collect::<Result<_, _>>()?).await?;
        self.note_fanned_out(recorded).await;
        Ok(())
    }

    /// Creates the deliveries of an entity's event, or leaves that to the function `fanout` if it names many
    /// clients.
    ///
    /// # Errors
    /// As [`Self::fan_out`].
    pub async fn fan_out_entity(
        &self,
        recorded: &RecordedEvent<EntityEvent>,
    ) -> Result<(), FanOutError> {
        let named = &recorded.event.payload;
        if named.client_ids.iter().count() > FEW_CLIENTS {
            return self.leave_entities(std::slice::from_ref(recorded)).await;
        }
        let event = recorded.of_entity();
        let (key, clients) = (&named.entity_key, &named.client_ids);
        self.audience.fan_out_entity(key, clients, &event).await?;
        self.note_fanned_out(std::slice::from_ref(recorded)).await;
        Ok(())
    }

    /// Leaves the fan-out of events of entities to the function `fanout`.
    ///
    /// # Errors
    /// When messages can't be sent. Some may have been.
    pub async fn leave_entities(
        &self,
        recorded: &[RecordedEvent<EntityEvent>],
    ) -> Result<(), FanOutError> {
        let messages = recorded.iter().map(|recorded| {
            Message::new(&FanOut::Entity {
                event_id: recorded.event.event_id.clone(),
                accepted_at: recorded.event.accepted_at,
                event: recorded.event.payload.clone(),
                repeated: recorded.repeated,
            })
        });
        self.send_on(messages.collect::<Result<_, _>>()?).await?;
        self.note_fanned_out(recorded).await;
        Ok(())
    }

    /// Sends messages to the function `fanout`; a single one by another call than that which may just have failed.
    async fn send_on(&self, mut messages: Vec<Message>) -> Result<(), FanOutError> {
        match (messages.len(), messages.pop()) {
            (1, Some(message)) => self.fan_outs.send(message).await?,
            (_, last) => {
                messages.extend(last);
                self.fan_outs.send_all(messages).await?;
            }
        }
        Ok(())
    }

    /// Sets the marks of events whose fan-out is complete, or certain. If that fails, a repetition of the request
    /// fans them out again, and `deliver` leaves out what has arrived.
    async fn note_fanned_out<T>(&self, recorded: &[RecordedEvent<T>]) {
        let marked = recorded.iter().filter(|recorded| recorded.repeatable);
        let noted = marked.map(|recorded| async move {
            let id = &recorded.event.event_id;
            if let Err(error) = self.events.note_fanned_out(&recorded.source, id).await {
                tracing::warn!(%error, event = %id, "the fan-out was not marked as complete");
            }
        });
        join_all(noted).await;
    }
}

impl RecordedEvent {
    fn of_topic(&self, restricted: bool) -> AudienceEvent {
        let kind = DeliveryKind::Event {
            event_id: self.event.event_id.clone(),
            payload: self.event.payload.clone(),
        };
        AudienceEvent {
            restricted,
            ..self.to_audience(kind)
        }
    }
}

impl RecordedEvent<EntityEvent> {
    fn of_entity(&self) -> AudienceEvent {
        let kind = DeliveryKind::Entity {
            event_id: self.event.event_id.clone(),
            entity_type: self.event.payload.entity_type,
            callback_event: self.event.payload.callback_event,
        };
        self.to_audience(kind)
    }
}

impl<T> RecordedEvent<T> {
    fn to_audience(&self, kind: DeliveryKind) -> AudienceEvent {
        AudienceEvent {
            accepted_at: self.event.accepted_at,
            kind,
            shard: self.shard,
            repeated: self.repeated,
            restricted: false,
        }
    }
}
