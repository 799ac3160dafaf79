//! Pauses before a request for what AWS left out, or refused for now, is repeated: exponential, with
//! jitter, and within the time that the invocation has left.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html#Programming.Errors.BatchOperations>

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::deadline::{self, RESERVE};

/// The first pause, before jitter, which adds up to as much again.
const FIRST: Duration = Duration::from_millis(25);
/// The longest pause, before jitter.
const LONGEST: Duration = Duration::from_secs(2);
/// The most pauses where no deadline is known.
const OUTSIDE: usize = 8;

/// The pauses before the repetitions of one request.
#[derive(Debug)]
pub struct Backoff {
    pauses: ExponentialBackoff,
    taken: usize,
}

impl Backoff {
    /// Begins with the shortest pause.
    #[must_use]
    pub fn new() -> Self {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST)
            .with_max_delay(LONGEST)
            .with_jitter()
            .without_max_times();
        Self {
            pauses: pauses.build(),
            taken: 0,
        }
    }

    /// Waits before a repetition. Returns `false` at once if there is no time left for one.
    pub async fn pause(&mut self) -> bool {
        let Some(pause) = self.next(deadline::remaining()) else {
            return false;
        };
        tokio::time::sleep(pause).await;
        true
    }

    /// The next pause; `None` if `remaining`, the time that the invocation has left, is too short for
    /// it. Without a known deadline, `None` after [`OUTSIDE`] pauses.
    fn next(&mut self, remaining: Option<Duration>) -> Option<Duration> {
        let pause = self.pauses.next()?;
        self.taken += 1;
        let there_is_time = match remaining {
            Some(remaining) => remaining > pause + RESERVE,
            None => self.taken <= OUTSIDE,
        };
        there_is_time.then_some(pause)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_below_their_limit() {
        let mut backoff = Backoff::new();
        let plenty = Some(Duration::from_secs(900));
        for n in 0..20 {
            let pause = backoff.next(plenty).unwrap();
            let base = LONGEST.min(FIRST * 2u32.pow(n.min(10)));
            assert!(pause >= base && pause <= base * 2, "{n}: {pause:?}");
        }
    }

    #[test]
    fn without_time_there_is_no_pause() {
        assert_eq!(Backoff::new().next(Some(RESERVE)), None);
        assert_eq!(Backoff::new().next(Some(Duration::ZERO)), None);
        assert!(Backoff::new().next(Some(RESERVE * 2)).is_some());
    }

    #[test]
    fn without_an_end_there_are_some_attempts() {
        let mut backoff = Backoff::new();
        let pauses = std::iter::from_fn(|| backoff.next(None)).count();
        assert_eq!(pauses, OUTSIDE);
    }
}
