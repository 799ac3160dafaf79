//! The delivery engine: a batch of messages becomes attempts, records, retries and dead letters.
//!
//! The steps: prefetch the subscriptions of a batch and which of its deliveries have arrived; for a document
//! acquire the lease; render what is sent (`protocols`); send it (`targets`); decide what follows
//! ([`bellwire_domain::delivery::decision`]); record the attempt; carry the decision out. The deliveries of a batch are
//! processed at once. A message is deleted from its queue once its delivery has arrived, its retry is
//! arranged, or it is in the dead-letter queue; one that fails for a reason of ours is received again.
//!
//! Two disciplines: events stand for themselves and have no order (`events`); documents have one
//! (`documents`).

mod batch;
pub mod bodies;
mod documents;
mod error;
mod events;
mod metrics;
pub mod owner_notifications;
mod protocols;
mod received;
mod recorder;
mod rendered;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod requests_test;
pub mod retries;
pub mod targets;
pub mod time_left;

use std::collections::HashSet;

use bellwire_domain::ids::MessageId;
use bellwire_fanout::AccessJudge;
use bellwire_queues::{Delivery, DeliveryKind, Queue, Received};
use bellwire_store::prefetch::Prefetched;
use bellwire_store::{Deliveries, Subscriptions};
use futures_util::future::join_all;
use time::{Duration, OffsetDateTime};
use tracing::Instrument;

use crate::batch::{Batch, Delivered};
use crate::bodies::Bodies;
use crate::metrics::Metrics;
use crate::owner_notifications::OwnerNotifications;
use crate::received::{ReceivedDelivery, by_delivery};
use crate::retries::Retries;
use crate::targets::webhook::WebhookSender;
use crate::time_left::TimeLeft;

pub use error::Error;

/// From how long after its acceptance on an event may have been delivered by an earlier version, which marked it in
/// another table.
const LATE: Duration = Duration::seconds(60);

/// What deliveries need, between batches.
#[derive(Debug)]
pub struct Engine {
    /// The Subscriptions table, with the leases.
    pub subscriptions: Subscriptions,
    /// The tables of attempts and of what has arrived.
    pub deliveries: Deliveries,
    /// The payloads of events, and the versions of documents.
    pub bodies: Bodies,
    /// Judges who may receive a topic's publications.
    pub access: AccessJudge,
    /// Sends to webhooks.
    pub webhooks: WebhookSender,
    /// The schedule of retries, and the ways to have one later.
    pub retries: Retries,
    /// Disables endpoints, and notifies their owners.
    pub owners: OwnerNotifications,
    /// The queue of first attempts: what is left to another function goes there.
    pub first_attempts: Queue,
    /// The dead-letter queue of deliveries.
    pub dead_letters: Queue,
    /// What an invocation has time for.
    pub time: TimeLeft,
    /// The namespace of the metrics, which are written to the log.
    pub metrics_namespace: String,
}

impl Engine {
    /// Attempts the deliveries of a batch at once. Returns the ids of the messages that failed.
    pub async fn deliver(&self, batch: Vec<Received<Delivery>>) -> Vec<MessageId> {
        let received = by_delivery(batch);
        let (recorder, recording) = recorder::start(&self.deliveries, &self.retries);
        let batch = Batch {
            recorder,
            metrics: Metrics::default(),
            delivered: Delivered::default(),
        };
        let working = async {
            let prefetched = self.prefetch(&received).await;
            let prefetched = prefetched.as_ref().map_err(ToString::to_string);
            let processed = received
                .iter()
                .map(|it| self.process(it, &prefetched, &batch));
            let failed: Vec<MessageId> = join_all(processed).await.into_iter().flatten().collect();
            // The recording ends when nothing more can come.
            drop(batch.recorder);
            (failed, batch.metrics, batch.delivered)
        };
        let ((failed, metrics, delivered), ()) = futures_util::join!(working, recording);
        delivered.log();
        metrics.print(&self.metrics_namespace);
        failed
    }

    /// Reads the subscriptions of the batch's events, and what is on record of their deliveries, in one call.
    async fn prefetch(&self, received: &[ReceivedDelivery]) -> Result<Prefetched, Error> {
        let now = OffsetDateTime::now_utc();
        let (mut subscriptions, mut keys, mut earlier) =
            (HashSet::new(), Vec::new(), HashSet::new());
        for ReceivedDelivery { delivery, .. } in received {
            // Nothing is sent for a message that only records an arrival.
            let records = matches!(delivery.kind, DeliveryKind::Arrived { .. });
            if let Some(mark) = delivery.mark().filter(|_| !records) {
                // An earlier version may have delivered it: the event is replayed, or the message is as old.
                let late = delivery.attempt == 0 && now - delivery.accepted_at > LATE;
                if (late || !delivery.dated) && delivery.resend.is_none() {
                    earlier.insert(mark.earlier_id());
                }
                subscriptions.insert(&delivery.subscription_id);
                keys.push(mark);
            }
        }
        let deliveries = &self.deliveries;
        Ok(deliveries.prefetch(subscriptions, &keys, earlier).await?)
    }

    /// Processes a delivery. Returns the ids of its messages if they have to be received again.
    async fn process(
        &self,
        received: &ReceivedDelivery,
        prefetched: &Result<&Prefetched, String>,
        batch: &Batch,
    ) -> Vec<MessageId> {
        let (delivery, message_id) = (&received.delivery, &received.message_id);
        let span = tracing::info_span!(
            "delivery",
            subscription = %delivery.subscription_id,
            client = delivery.client_id,
            attempt = delivery.attempt,
            delivery = tracing::field::Empty,
        );
        let processing = async {
            match (&delivery.kind, prefetched) {
                (DeliveryKind::Document { version }, _) => {
                    self.deliver_document(delivery, *version, message_id, batch)
                        .await
                }
                (DeliveryKind::Arrived { .. }, _) => self.note_arrived(delivery).await,
                (_, Ok(prefetched)) => {
                    self.deliver_event(delivery, prefetched, message_id, batch)
                        .await
                }
                (_, Err(cause)) => Err(Error::Prefetch(cause.clone())),
            }
        };
        let Err(cause) = processing.instrument(span).await else {
            return Vec::new();
        };
        tracing::error!(%cause, %message_id, "delivery failed");
        received.message_ids()
    }

    /// Whether the client may still receive what a delivery of a topic is of. It was judged when the delivery was created,
    /// and is judged again before each retry. A subscription whose client may not is suspended.
    async fn may_receive(&self, delivery: &Delivery) -> Result<bool, Error> {
        if !delivery.restricted || delivery.attempt == 0 {
            return Ok(true);
        }
        let id = &delivery.subscription_id;
        let permitted = self.access.suspend_unless_permitted(id).await?;
        if !permitted {
            tracing::info!("the client may not see the topic any more");
        }
        Ok(permitted)
    }

    /// Records that a delivery has arrived, which failed when it did.
    async fn note_arrived(&self, delivery: &Delivery) -> Result<(), Error> {
        if let Some(key) = delivery.key() {
            let now = OffsetDateTime::now_utc();
            self.deliveries.note_arrived(&key, now).await?;
            tracing::info!("recorded that it has arrived");
        }
        Ok(())
    }
}
