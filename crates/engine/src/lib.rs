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

use bellwire_domain::ids::{MessageId, delivery_id};
use bellwire_queues::{Delivery, DeliveryKind, Queue, Received};
use bellwire_store::deliveries::Prefetched;
use bellwire_store::{Deliveries, Subscriptions};
use futures_util::future::join_all;
use tracing::Instrument;

use crate::batch::Batch;
use crate::bodies::Bodies;
use crate::metrics::Metrics;
use crate::owner_notifications::OwnerNotifications;
use crate::received::{ReceivedDelivery, by_delivery};
use crate::retries::Retries;
use crate::targets::webhook::WebhookSender;
use crate::time_left::TimeLeft;

pub use error::Error;

/// What deliveries need, between batches.
#[derive(Debug)]
pub struct Engine {
    /// The Subscriptions table, with the leases.
    pub subscriptions: Subscriptions,
    /// The tables of attempts and of what has arrived.
    pub deliveries: Deliveries,
    /// The payloads of events, and the versions of documents.
    pub bodies: Bodies,
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
        let (recorder, recording) = recorder::start(&self.deliveries);
        let batch = Batch {
            recorder,
            metrics: Metrics::default(),
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
            (failed, batch.metrics)
        };
        let ((failed, metrics), ()) = futures_util::join!(working, recording);
        metrics.print(&self.metrics_namespace);
        failed
    }

    /// Reads the subscriptions of the batch's events, and which of them have arrived, in one call.
    async fn prefetch(&self, received: &[ReceivedDelivery]) -> Result<Prefetched, Error> {
        let (mut subscriptions, mut deliveries) = (HashSet::new(), HashSet::new());
        for ReceivedDelivery { delivery, .. } in received {
            let id = &delivery.subscription_id;
            if let Some(event_id) = delivery.kind.event_id() {
                deliveries.insert(delivery_id(event_id, id));
                subscriptions.insert(id);
            }
        }
        Ok(self.deliveries.prefetch(subscriptions, deliveries).await?)
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
}
