//! What the deliveries of a batch share.

use bellwire_domain::delivery::outcome::AttemptOutcome;
use bellwire_queues::Protocol;
use bellwire_store::deliveries::Attempt;
use time::OffsetDateTime;

use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::targets::webhook::AttemptResult;

/// The recorder and the metrics of a batch.
#[derive(Debug)]
pub struct Batch {
    /// Records attempts.
    pub recorder: Recorder,
    /// Counts them.
    pub metrics: Metrics,
}

impl Batch {
    /// Counts, logs and records an attempt, made after `failures` others to deliver what was accepted at
    /// `accepted_at`. `marked` deliveries are not attempted again once they have arrived. Returns why
    /// it is no success; empty when it is one.
    pub fn note(
        &self,
        attempt: AttemptResult,
        protocol: Protocol,
        failures: usize,
        accepted_at: OffsetDateTime,
        marked: bool,
    ) -> String {
        let arrived = attempt.outcome == AttemptOutcome::Delivered;
        let code = attempt.record.response_code;
        let reason = attempt.record.error_message.clone().unwrap_or_default();
        tracing::info!(arrived, code, reason, "attempt");
        self.metrics
            .attempt(protocol, arrived, failures, accepted_at);
        self.recorder.keep(Attempt {
            exchange: attempt.record,
            arrived: arrived && marked,
        });
        reason
    }
}
