//! Recording attempts while others are under way.
//!
//! Those that end together are written together, in as few calls as can be: an endpoint that
//! stalls delays nobody's record by more than a moment.

use bellwire_store::attempts::FinishedAttempt;
use bellwire_store::{Deliveries, StoreError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::retries::Retries;

/// How long the first attempt of a batch that has ended waits for the others.
const MOMENT: Duration = Duration::from_millis(50);

/// Takes attempts to record.
#[derive(Debug)]
pub struct Recorder(UnboundedSender<FinishedAttempt>);

/// A recorder, and the recording, which ends when the recorder is gone.
pub fn start<'a>(
    deliveries: &'a Deliveries,
    retries: &'a Retries,
) -> (Recorder, impl Future<Output = ()> + use<'a>) {
    let (to, from) = unbounded_channel();
    (Recorder(to), record(deliveries, retries, from))
}

impl Recorder {
    /// Has an attempt recorded.
    pub fn keep(&self, attempt: FinishedAttempt) {
        // The recording ends behind every attempt of its batch.
        let _ = self.0.send(attempt);
    }
}

async fn record(
    deliveries: &Deliveries,
    retries: &Retries,
    mut from: UnboundedReceiver<FinishedAttempt>,
) {
    let mut attempts = Vec::new();
    while from.recv_many(&mut attempts, usize::MAX).await > 0 {
        let others = async { while from.recv_many(&mut attempts, usize::MAX).await > 0 {} };
        // Ends as soon as there are no others.
        let _ = tokio::time::timeout(MOMENT, others).await;
        let now = OffsetDateTime::now_utc();
        for (index, cause) in deliveries.record(&attempts, now).await {
            if let Some(attempt) = attempts.get(index) {
                unrecorded(attempt, &cause, retries).await;
            }
        }
        attempts.clear();
    }
}

/// Sees to an attempt that could not be recorded. The request was sent: to fail would be to send it again. That it has
/// arrived is left to a message; the log has what the record lacks.
async fn unrecorded(attempt: &FinishedAttempt, cause: &StoreError, retries: &Retries) {
    tracing::error!(
        %cause,
        delivery = %attempt.delivery_id,
        subscription = %attempt.subscription_id,
        arrived = attempt.arrived,
        code = attempt.content.status,
        "attempt not recorded"
    );
    let arrival = attempt.key.as_ref().filter(|_| attempt.arrived);
    for key in arrival.into_iter().chain(&attempt.resend) {
        if let Err(cause) = retries.leave_arrival(key).await {
            tracing::error!(%cause, delivery = %attempt.delivery_id, "its arrival is not on record");
        }
    }
}
