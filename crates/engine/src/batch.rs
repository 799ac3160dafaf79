//! What the deliveries of a batch share.

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
#[derive(Debug, Default)]
pub struct Delivered(Mutex<String>);

impl Delivered {
    fn add(&self, delivery: &Delivery, attempt: &AttemptResult) {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, client) = (&delivery.subscription_id, &delivery.client_id);
        let (code, ms) = (
            attempt.content.status.unwrap_or_default(),
            attempt.content.duration_ms,
        );
        let between = if line.is_empty() { "" } else { "; " };
        let (delivery_id, failures) = (&attempt.delivery_id, attempt.content.failures);
        // Writing to a text can't fail.
        let _ = write!(
            line,
            "{between}delivery={delivery_id} subscription={id} client={client} attempt={failures} code={code} ms={ms}",
        );
    }

    /// Writes the line, if there is anything in it.
    pub fn log(self) {
        let line = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !line.is_empty() {
            tracing::info!(deliveries = line, "delivered");
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
        self.metrics
            .attempt(protocol, arrived, failures, accepted_at);
        let (key, first) = key.unzip();
        self.recorder.keep(FinishedAttempt {
            subscription_id: delivery.subscription_id.clone(),
            delivery_id: attempt.delivery_id,
            key,
            first: first.unwrap_or(false),
            arrived,
            sent_at: attempt.sent_at,
            content: attempt.content,
        });
        reason
    }
}
