//! Sending a delivery once more, because its owner asks for it.
//!
//! An event is sent in one attempt beside the schedule of its retries, whether or not it has arrived; what was published
//! is read from the Events table, as for a replay. A document's version is never sent out of order: its owner asks for
//! another snapshot, which the lease has sent, and only of the current version.

use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::delivery::retry::RetrySchedule;
use bellwire_domain::entity::EntityEvent;
use bellwire_domain::ids::EventId;
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::Shards;
use bellwire_queues::{Delivery, DeliveryKind, Message, Queue};
use bellwire_store::answers::Together;
use bellwire_store::delivery_record::DeliveryRecord;
use bellwire_store::events::EventSource;
use bellwire_store::snapshot_request::SnapshotAsked;
use bellwire_store::{Attempts, Events, Subscription, Subscriptions};
use time::OffsetDateTime;

use crate::{FanOutError, Restricted, deliver_current_document};

/// Sends deliveries once more.
#[derive(Clone, Debug)]
pub struct Resends {
    events: Events,
    attempts: Attempts,
    subscriptions: Subscriptions,
    deliveries: Queue,
    schedule: RetrySchedule,
}

/// Why a delivery isn't sent once more. The text is for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotResent {
    /// Its endpoint is disabled.
    #[error("the subscription is disabled: enable it first")]
    Disabled,
    /// Its client is disabled.
    #[error("the client is disabled")]
    ClientDisabled,
    /// It is a test.
    #[error("this was a test, of which the payload isn't kept: send another one")]
    Test,
    /// What was published is not kept any more.
    #[error("the payload is not kept any more")]
    PayloadGone,
    /// It is a version of a document that isn't the current one.
    #[error("a newer version has replaced this one")]
    Replaced,
}

/// What became of the request to send a delivery once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resent {
    /// It is on its way.
    Done,
    /// A request with the same key was answered meanwhile.
    Before,
    /// It isn't sent.
    Refused(NotResent),
    /// The subscription was deleted meanwhile.
    Gone,
}

impl Resends {
    /// `deliveries` is the queue of first attempts, and `schedule` that of retries.
    pub fn new(
        events: Events,
        attempts: Attempts,
        subscriptions: Subscriptions,
        deliveries: Queue,
        schedule: RetrySchedule,
    ) -> Self {
        Self {
            events,
            attempts,
            subscriptions,
            deliveries,
            schedule,
        }
    }

    /// The number of the attempt that a resend makes, from 0: of an event that has not arrived behind all retries that
    /// there may be, so that none of them has the same; of one that has arrived behind the others. Resends that are asked
    /// for at the same time have the same. A document begins a new schedule of retries.
    pub fn attempt(&self, delivery: &DeliveryRecord) -> usize {
        let has_arrived = delivery.arrived || delivery.attempts.iter().any(|it| it.has_arrived());
        match delivery.version() {
            Some(_) => 0,
            None if has_arrived => delivery.attempt_count(),
            None => delivery.attempt_count().max(self.schedule.retries() + 1),
        }
    }

    /// Has a delivery of a subscription sent once more. `resend_id` is that of a repetition of the request, too; an event
    /// is sent once for it. `restricted`: whether not everyone may see the topic. `response`, which is written together
    /// with the request for a document, is to be recorded by the caller otherwise.
    ///
    /// # Errors
    /// When a table or the queue fails: to repeat it completes what was cut off.
    pub async fn resend(
        &self,
        subscription: &Subscription,
        delivery: &DeliveryRecord,
        resend_id: EventId,
        response: Option<Together>,
        restricted: Restricted,
        now: OffsetDateTime,
    ) -> Result<Resent, FanOutError> {
        if subscription.client_disabled {
            return Ok(Resent::Refused(NotResent::ClientDisabled));
        }
        if subscription.disabled.is_some() {
            return Ok(Resent::Refused(NotResent::Disabled));
        }
        if let Some(version) = delivery.version() {
            return self
                .ask_for_document(subscription, version, response, restricted, now)
                .await;
        }
        if delivery.is_test(subscription) {
            return Ok(Resent::Refused(NotResent::Test));
        }
        let Some((kind, key)) = self.event(subscription, delivery, now).await? else {
            return Ok(Resent::Refused(NotResent::PayloadGone));
        };
        // First, so that whoever lists deliveries doesn't miss the attempt.
        self.attempts.note_resent(&key).await?;
        let (id, client_id) = (&subscription.subscription_id, &subscription.client_id);
        let message = Delivery {
            attempt: self.attempt(delivery),
            resend: Some(resend_id),
            ..Delivery::new(id.clone(), client_id.clone(), key.accepted_at, kind)
        };
        let message = message.in_shard(key.shard).restricted(restricted.0);
        let message = Message::delivery(&message)?;
        self.deliveries.send(message).await?;
        Ok(Resent::Done)
    }

    /// What a delivery to a topic's subscription was of: the event, or the version of the document, as it was sent. `None`
    /// when it isn't kept any more, or it was a test.
    ///
    /// # Errors
    /// When the table fails.
    pub async fn payload(
        &self,
        subscription: &Subscription,
        delivery: &DeliveryRecord,
        now: OffsetDateTime,
    ) -> Result<Option<Payload>, FanOutError> {
        let (Some((topic_id, _)), Some(version)) = (subscription.topic(), delivery.version())
        else {
            return Ok(match self.event(subscription, delivery, now).await? {
                Some((DeliveryKind::Event { payload, .. }, _)) => Some(payload),
                _ => None,
            });
        };
        let version = self.events.version(topic_id, version).await?;
        Ok(version.and_then(|version| match delivery.event_type() {
            "patch" => version.patch,
            _ => Some(version.snapshot),
        }))
    }

    /// Completes an earlier request for a document that was cut off when its response was on record.
    ///
    /// # Errors
    /// When a table or the queue fails.
    pub async fn complete(
        &self,
        subscription: &Subscription,
        restricted: Restricted,
        now: OffsetDateTime,
    ) -> Result<(), FanOutError> {
        if subscription.progress.in_doubt && !subscription.state().is_silent() {
            self.send_document(subscription, restricted, now).await?;
        }
        Ok(())
    }

    /// Creates the delivery of a topic's current document.
    async fn send_document(
        &self,
        subscription: &Subscription,
        restricted: Restricted,
        now: OffsetDateTime,
    ) -> Result<(), FanOutError> {
        let (events, deliveries) = (&self.events, &self.deliveries);
        deliver_current_document(events, deliveries, subscription, restricted, now).await
    }

    /// What was published, and which delivery it is; `None` when it isn't kept any more.
    async fn event(
        &self,
        subscription: &Subscription,
        delivery: &DeliveryRecord,
        now: OffsetDateTime,
    ) -> Result<Option<(DeliveryKind, DeliveryKey)>, FanOutError> {
        let (Some(event_id), Some(accepted_at)) = (&delivery.event_id, delivery.accepted_at) else {
            return Ok(None);
        };
        let (shard, event_id) = (delivery.shard, event_id.clone());
        let kind = match (subscription.topic(), subscription.entity()) {
            (Some((topic_id, _)), _) => {
                let source = EventSource::of_topic(topic_id, Shards::ONE);
                let event = self
                    .events
                    .event::<Payload>(&source, shard, accepted_at, &event_id, now)
                    .await?;
                event.map(|event| DeliveryKind::Event {
                    event_id: event_id.clone(),
                    payload: event.payload,
                })
            }
            (None, Some(entity_key)) => {
                let source = EventSource::of_entity(entity_key);
                let event = self
                    .events
                    .event::<EntityEvent>(&source, shard, accepted_at, &event_id, now)
                    .await?;
                event.map(|event| DeliveryKind::Entity {
                    event_id: event_id.clone(),
                    entity_type: event.payload.entity_type,
                    callback_event: event.payload.callback_event,
                })
            }
            (None, None) => None,
        };
        let key = DeliveryKey {
            subscription_id: subscription.subscription_id.clone(),
            accepted_at,
            event_id,
            shard,
        };
        Ok(kind.map(|kind| (kind, key)))
    }

    /// Asks for another snapshot of a document of which this version is current.
    async fn ask_for_document(
        &self,
        subscription: &Subscription,
        version: u64,
        response: Option<Together>,
        restricted: Restricted,
        now: OffsetDateTime,
    ) -> Result<Resent, FanOutError> {
        let Some((topic_id, _)) = subscription.topic() else {
            return Ok(Resent::Refused(NotResent::PayloadGone));
        };
        match self.events.latest(topic_id).await? {
            None => return Ok(Resent::Refused(NotResent::PayloadGone)),
            Some(latest) if latest.version > version => {
                return Ok(Resent::Refused(NotResent::Replaced));
            }
            Some(_) => {}
        }
        let id = &subscription.subscription_id;
        let subscriptions = &self.subscriptions;
        match subscriptions.ask_for_snapshot(id, response).await? {
            SnapshotAsked::Done(asked) => {
                self.send_document(&asked, restricted, now).await?;
                Ok(Resent::Done)
            }
            SnapshotAsked::Disabled => Ok(Resent::Refused(NotResent::Disabled)),
            SnapshotAsked::Before => Ok(Resent::Before),
            SnapshotAsked::Gone => Ok(Resent::Gone),
        }
    }
}
