//! Recording attempts while others are under way.
//!
//! Those that end together are written together, in as few calls as can be: an endpoint that
//! stalls delays nobody's record by more than a moment.

use bellwire_store::Deliveries;
use bellwire_store::deliveries::Attempt;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long the first attempt of a batch that has ended waits for the others.
const MOMENT: Duration = Duration::from_millis(50);

/// Takes attempts to record.
#[derive(Debug)]
pub struct Recorder(UnboundedSender<Attempt>);

/// A recorder, and the recording, which ends when the recorder is gone.
pub fn start(deliveries: &Deliveries) -> (Recorder, impl Future<Output = ()>) {
    let (to, from) = unbounded_channel();
    (Recorder(to), record(deliveries, from))
}

impl Recorder {
    /// Has an attempt recorded.
    pub fn keep(&self, attempt: Attempt) {
        // The recording ends behind every attempt of its batch.
        let _ = self.0.send(attempt);
    }
}

async fn record(deliveries: &Deliveries, mut from: UnboundedReceiver<Attempt>) {
    let mut attempts = Vec::new();
    while from.recv_many(&mut attempts, usize::MAX).await > 0 {
        let others = async { while from.recv_many(&mut attempts, usize::MAX).await > 0 {} };
        // Ends as soon as there are no others.
        let _ = tokio::time::timeout(MOMENT, others).await;
        let now = OffsetDateTime::now_utc();
        // The request was sent. To fail would be to send it again.
        if let Err(cause) = deliveries.record(&attempts, now).await {
            tracing::error!(%cause, attempts = attempts.len(), "exchanges not recorded");
            for attempt in &attempts {
                let exchange = &attempt.exchange;
                tracing::error!(
                    delivery = exchange.pipeline_id,
                    subscription = %exchange.subscription_id,
                    arrived = attempt.arrived,
                    code = exchange.response_code,
                    "attempt not recorded"
                );
            }
        }
        attempts.clear();
    }
}
