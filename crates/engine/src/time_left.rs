//! What an invocation has time for.

use std::time::Duration;

use bellwire_runtime::deadline;

/// What an invocation has time for.
#[derive(Clone, Copy, Debug)]
pub struct TimeLeft {
    /// How long one step towards a document may take: nothing more is begun when less is left.
    step: Duration,
}

/// How many exchanges one more step may take: one for an access token, whoever asks for it, and one for
/// the delivery.
const EXCHANGES_PER_STEP: u32 = 2;
/// By how much a lease outlasts the invocation.
const BEYOND: Duration = Duration::from_secs(5);
/// What a function needs at its end for its tables and queues.
const RESERVE: Duration = Duration::from_secs(10);

impl TimeLeft {
    /// `exchange` is how long a request and its answer may take.
    pub fn new(exchange: Duration) -> Self {
        Self {
            step: exchange * EXCHANGES_PER_STEP + RESERVE,
        }
    }

    /// How long a lease lasts: longer than the invocation, since whoever finds one that is over
    /// takes it for left behind.
    pub fn lease(self) -> Duration {
        deadline::remaining().unwrap_or(self.step) + BEYOND
    }

    /// Whether there is time for another step.
    pub fn is_left(self) -> bool {
        deadline::remaining().is_none_or(|remaining| remaining >= self.step)
    }
}
