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
mod owner;
mod recorder;
mod retries;
mod settings;

use std::collections::HashSet;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use bellwire_queues::{Delivery, Protocol, Queue, Sources, Told, batch, consume};
use bellwire_rules::ids::delivery_id;
use bellwire_rules::verdict::Verdict;
use bellwire_runtime::logs;
use bellwire_store::deliveries::{Attempt, Known};
use bellwire_store::{Deliveries, Subscriptions};
use futures_util::future::join_all;
use lambda_runtime::Error;
use time::OffsetDateTime;
use tracing::Instrument;

use crate::attempt::{Post, Sent};
use crate::bodies::Bodies;
use crate::metrics::Metrics;
use crate::owner::Owners;
use crate::recorder::Recorder;
use crate::retries::Retries;
use crate::settings::Time;

/// What the function keeps between batches.
struct Function {
    subscriptions: Subscriptions,
    deliveries: Deliveries,
    bodies: Bodies,
    post: Post,
    retries: Retries,
    owners: Owners,
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
        sent: Sent,
        protocol: Protocol,
        failures: usize,
        accepted_at: OffsetDateTime,
        marked: bool,
    ) -> (Verdict, String) {
        let arrived = sent.verdict == Verdict::Delivered;
        let code = sent.record.response_code;
        let reason = sent.record.error_message.clone().unwrap_or_default();
        tracing::info!(arrived, code, reason, "attempt");
        self.metrics
            .attempt(protocol, arrived, failures, accepted_at);
        self.recorder.keep(Attempt {
            exchange: sent.record,
            arrived: arrived && marked,
        });
        (sent.verdict, reason)
    }
}

/// A message of a batch.
struct Received {
    message: SqsMessage,
    delivery: Result<Delivery, String>,
    /// Whether another message of the batch is for the same delivery.
    repeated: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &Function::from_env()?;
    consume(function.sources.clone(), |event| function.handle(event)).await
}

impl Function {
    async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let received = receive(event);
        let (recorder, recording) = recorder::start(&self.deliveries);
        let batch = Batch {
            recorder,
            metrics: Metrics::default(),
        };
        let working = async {
            let known = self.look_up(&received).await;
            let known = known.as_ref().map_err(ToString::to_string);
            let sent = received.iter().map(|it| self.work_off(it, &known, &batch));
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
    async fn look_up(&self, received: &[Received]) -> Result<Known, Error> {
        let (mut subscriptions, mut deliveries) = (HashSet::new(), HashSet::new());
        for delivery in received.iter().flat_map(|it| &it.delivery) {
            let id = delivery.subscription_id.as_str();
            if let Some(event_id) = delivery.told.event_id() {
                deliveries.insert(delivery_id(event_id, id));
                subscriptions.insert(id);
            }
        }
        Ok(self.deliveries.look_up(subscriptions, deliveries).await?)
    }

    /// Works off a message. Returns its id if it is to come again.
    async fn work_off(
        &self,
        received: &Received,
        known: &Result<&Known, String>,
        batch: &Batch,
    ) -> Option<String> {
        let message_id = batch::id(&received.message);
        let done = match (&received.delivery, known) {
            (Err(reason), _) => self.bury_unread(&received.message, reason).await,
            _ if received.repeated => Ok(()),
            (Ok(delivery), known) => {
                let span = tracing::info_span!(
                    "delivery",
                    subscription = delivery.subscription_id,
                    client = delivery.client_id,
                    attempt = delivery.attempt,
                    delivery = tracing::field::Empty,
                );
                let sending = async {
                    match (&delivery.told, known) {
                        (Told::Document { version }, _) => {
                            self.serve(delivery, *version, &message_id, batch).await
                        }
                        (_, Ok(known)) => self.tell(delivery, known, &message_id, batch).await,
                        (_, Err(cause)) => Err(cause.clone().into()),
                    }
                };
                sending.instrument(span).await
            }
        };
        let cause = done.err()?;
        tracing::error!(%cause, message_id, "delivery failed");
        Some(message_id)
    }

    /// Puts a message that is no delivery among the dead letters.
    async fn bury_unread(&self, message: &SqsMessage, reason: &str) -> Result<(), Error> {
        tracing::error!(reason, message_id = message.message_id, "dead letter");
        let body = message.body.as_deref().unwrap_or_default();
        Ok(self.dead_letters.bury(body, reason, None, None).await?)
    }
}

/// The messages of a batch. Of those for the same delivery, which would be sent at the same
/// time, all but one are repeated.
fn receive(event: SqsEvent) -> Vec<Received> {
    let mut seen = HashSet::new();
    let receive = |message| {
        let delivery = batch::read::<Delivery>(&message);
        let id = delivery.as_ref().ok().and_then(|delivery| {
            let event_id = delivery.told.event_id()?;
            Some(delivery_id(event_id, &delivery.subscription_id))
        });
        Received {
            repeated: id.is_some_and(|id| !seen.insert(id)),
            delivery,
            message,
        }
    };
    event.records.into_iter().map(receive).collect()
}
