//! What the deliveries of a batch share.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::delivery::outcome::AttemptOutcome;
use bellwire_queues::Delivery;
use bellwire_store::attempts::FinishedAttempt;
use time::OffsetDateTime;

use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::targets::webhook::AttemptResult;

/// The recorder, the metrics and the log of a batch.
#[derive(Debug)]
pub struct Batch {
    /// Records attempts.
    pub recorder: Recorder,
    /// Counts them.
    pub metrics: Metrics,
    /// What is logged of those that have succeeded.
    pub delivered: Delivered,
}

/// The attempts of a batch that have succeeded, for one line of the log: most lines would be about them.
///
/// Under each client there are its deliveries, each with the ids of delivery and subscription, the attempt's number from 0,
/// the status, and the milliseconds: `client=cl_… <delivery> <subscription> 0 200 31ms, …; client=…`.
#[derive(Debug, Default)]
pub struct Delivered(Mutex<BTreeMap<String, String>>);

impl Delivered {
    fn add(&self, delivery: &Delivery, attempt: &AttemptResult) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = clients.entry(delivery.client_id.clone()).or_default();
        let (code, ms) = (
            attempt.content.status.unwrap_or_default(),
            attempt.content.duration_ms,
        );
        let between = if line.is_empty() { "" } else { "," };
        let (id, failures) = (&attempt.delivery_id, attempt.content.failures);
        let subscription = &delivery.subscription_id;
        // Writing to a text can't fail.
        let _ = write!(
            line,
            "{between} {id} {subscription} {failures} {code} {ms}ms"
        );
    }

    /// Writes the line, if there is anything in it.
    pub fn log(self) {
        let clients = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let lines = clients.iter();
        let lines: Vec<String> = lines
            .map(|(client, line)| format!("client={client}{line}"))
            .collect();
        if !lines.is_empty() {
            tracing::info!(deliveries = lines.join("; "), "delivered");
        }
    }
}

impl Batch {
    /// Counts, logs and records an attempt of a delivery, of what was accepted at `accepted_at`. `key` is which delivery
    /// of an event it was, and whether nothing was on record of it before; `None` for a document. Returns why it is no
    /// success; empty when it is one.
    pub fn note(
        &self,
        delivery: &Delivery,
        attempt: AttemptResult,
        accepted_at: OffsetDateTime,
        key: Option<(DeliveryKey, bool)>,
    ) -> String {
        let arrived = attempt.outcome == AttemptOutcome::Delivered;
        let reason = attempt.reason();
        if arrived {
            self.delivered.add(delivery, &attempt);
        } else {
            let (code, ms) = (attempt.content.status, attempt.content.duration_ms);
            tracing::info!(arrived, code, ms, reason, "attempt");
        }
        let (protocol, failures) = (delivery.kind.protocol(), attempt.content.failures);
        // The owner says when a resend is made: that is no latency.
        let accepted_at = delivery.resend.is_none().then_some(accepted_at);
        self.metrics
            .attempt(protocol, arrived, failures, accepted_at);
        let (key, first) = key.unzip();
        self.recorder.keep(FinishedAttempt {
            subscription_id: delivery.subscription_id.clone(),
            delivery_id: attempt.delivery_id,
            key,
            first: first.unwrap_or(false),
            arrived,
            resend: delivery.resend.is_some().then(|| delivery.mark()).flatten(),
            sent_at: attempt.sent_at,
            content: attempt.content,
        });
        reason
    }
}
