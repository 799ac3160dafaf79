//! `Deliveries` and `Retries`: sends what subscriptions are told to their endpoints.
//!
//! A batch is sent concurrently. A message is off its queue once its delivery has
//! arrived, its retry is arranged, or it is among the dead letters. One that fails for a
//! reason of ours comes again.
//!
//! Two disciplines: what stands for itself is in [`events`], documents in [`documents`].

mod access_token;
mod attempt;
mod bodies;
mod documents;
mod events;
mod metrics;
mod owner_notifications;
mod recorder;
mod retries;
mod settings;

use std::collections::{HashMap, HashSet};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use bellwire_queues::{Delivery, DeliveryKind, Protocol, Queue, Sources, batch, consume};
use bellwire_rules::ids::delivery_id;
use bellwire_rules::outcome::AttemptOutcome;
use bellwire_runtime::logs;
use bellwire_store::deliveries::{Attempt, Prefetched};
use bellwire_store::{Deliveries, Subscriptions};
use futures_util::future::join_all;
use lambda_runtime::Error;
use time::OffsetDateTime;
use tracing::Instrument;

use crate::attempt::{AttemptResult, WebhookSender};
use crate::bodies::Bodies;
use crate::metrics::Metrics;
use crate::owner_notifications::OwnerNotifications;
use crate::recorder::Recorder;
use crate::retries::Retries;
use crate::settings::Time;

/// What the function keeps between batches.
struct DeliverFunction {
    subscriptions: Subscriptions,
    deliveries: Deliveries,
    bodies: Bodies,
    sender: WebhookSender,
    retries: Retries,
    owners: OwnerNotifications,
    first_attempts: Queue,
    dead_letters: Queue,
    sources: Sources,
    time: Time,
    metrics_namespace: String,
}

/// What a batch shares.
struct Batch {
    recorder: Recorder,
    metrics: Metrics,
}

impl Batch {
    /// Counts, logs and records an attempt after so many failures to deliver what was accepted
    /// then. `marked` deliveries are not sent again once they have arrived. Returns what the
    /// attempt means, and why it is no success.
    fn note(
        &self,
        sent: AttemptResult,
        protocol: Protocol,
        failures: usize,
        accepted_at: OffsetDateTime,
        marked: bool,
    ) -> (AttemptOutcome, String) {
        let arrived = sent.outcome == AttemptOutcome::Delivered;
        let code = sent.record.response_code;
        let reason = sent.record.error_message.clone().unwrap_or_default();
        tracing::info!(arrived, code, reason, "attempt");
        self.metrics
            .attempt(protocol, arrived, failures, accepted_at);
        self.recorder.keep(Attempt {
            exchange: sent.record,
            arrived: arrived && marked,
        });
        (sent.outcome, reason)
    }
}

/// What a message of a batch asks for.
struct Received {
    /// The message, and the batch's others for the same delivery: it is sent once, and all of them
    /// share what becomes of it. The first is the one after the most attempts.
    messages: Vec<SqsMessage>,
    delivery: Result<Delivery, String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &DeliverFunction::from_env()?;
    consume(function.sources.clone(), |event| function.handle(event)).await
}

impl DeliverFunction {
    async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let received = receive(event);
        let (recorder, recording) = recorder::start(&self.deliveries);
        let batch = Batch {
            recorder,
            metrics: Metrics::default(),
        };
        let working = async {
            let known = self.prefetch(&received).await;
            let known = known.as_ref().map_err(ToString::to_string);
            let sent = received.iter().map(|it| self.process(it, &known, &batch));
            let failed: Vec<String> = join_all(sent).await.into_iter().flatten().collect();
            // The recording ends when nothing more can come.
            drop(batch.recorder);
            (failed, batch.metrics)
        };
        let ((failed, metrics), ()) = futures_util::join!(working, recording);
        metrics.print(&self.metrics_namespace);
        batch::failures(failed)
    }

    /// What has to be known of the batch's events before they are sent.
    async fn prefetch(&self, received: &[Received]) -> Result<Prefetched, Error> {
        let (mut subscriptions, mut deliveries) = (HashSet::new(), HashSet::new());
        for delivery in received.iter().flat_map(|it| &it.delivery) {
            let id = delivery.subscription_id.as_str();
            if let Some(event_id) = delivery.kind.event_id() {
                deliveries.insert(delivery_id(event_id, id));
                subscriptions.insert(id);
            }
        }
        Ok(self.deliveries.prefetch(subscriptions, deliveries).await?)
    }

    /// Works off messages for the same delivery. Returns their ids if they are to come again.
    async fn process(
        &self,
        received: &Received,
        known: &Result<&Prefetched, String>,
        batch: &Batch,
    ) -> Vec<String> {
        let ids: Vec<String> = received.messages.iter().map(batch::id).collect();
        let message_id = ids.first().map_or("", String::as_str);
        let done = match (&received.delivery, known) {
            (Err(reason), _) => self.dead_letter_unread(&received.messages, reason).await,
            (Ok(delivery), known) => {
                let span = tracing::info_span!(
                    "delivery",
                    subscription = delivery.subscription_id,
                    client = delivery.client_id,
                    attempt = delivery.attempt,
                    delivery = tracing::field::Empty,
                );
                let sending = async {
                    match (&delivery.kind, known) {
                        (DeliveryKind::Document { version }, _) => {
                            self.deliver_document(delivery, *version, message_id, batch)
                                .await
                        }
                        (_, Ok(known)) => {
                            self.deliver_event(delivery, known, message_id, batch).await
                        }
                        (_, Err(cause)) => Err(cause.clone().into()),
                    }
                };
                sending.instrument(span).await
            }
        };
        let Err(cause) = done else {
            return Vec::new();
        };
        tracing::error!(%cause, message_id, "delivery failed");
        ids
    }

    /// Puts a message that is no delivery among the dead letters.
    async fn dead_letter_unread(&self, messages: &[SqsMessage], reason: &str) -> Result<(), Error> {
        for message in messages {
            tracing::error!(reason, message_id = message.message_id, "dead request");
            let body = message.body.as_deref().unwrap_or_default();
            self.dead_letters
                .dead_letter(body, reason, None, None)
                .await?;
        }
        Ok(())
    }
}

/// What the messages of a batch ask for.
fn receive(event: SqsEvent) -> Vec<Received> {
    let mut received: Vec<Received> = Vec::with_capacity(event.records.len());
    let mut places: HashMap<String, usize> = HashMap::new();
    for message in event.records {
        let delivery = batch::read::<Delivery>(&message);
        let id = delivery.as_ref().ok().and_then(|delivery| {
            let event_id = delivery.kind.event_id()?;
            Some(delivery_id(event_id, &delivery.subscription_id))
        });
        let place = id.map(|id| *places.entry(id).or_insert(received.len()));
        match place.and_then(|place| received.get_mut(place)) {
            Some(same) => same.add(message, delivery),
            None => received.push(Received {
                messages: vec![message],
                delivery,
            }),
        }
    }
    received
}

impl Received {
    /// Adds a message for the same delivery.
    fn add(&mut self, message: SqsMessage, delivery: Result<Delivery, String>) {
        let attempts = |delivery: &Result<Delivery, String>| {
            delivery.as_ref().map_or(0, |delivery| delivery.attempt)
        };
        if attempts(&delivery) > attempts(&self.delivery) {
            self.messages.insert(0, message);
            self.delivery = delivery;
        } else {
            self.messages.push(message);
        }
    }
}
