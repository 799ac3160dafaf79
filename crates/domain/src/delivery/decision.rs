//! What follows an attempt: the rule of retries, as a pure function.
//!
//! Events and documents share it. What they make of a decision differs where their disciplines do: an event
//! that is exhausted, or whose endpoint is gone, is a dead letter. A document whose endpoint is gone is
//! none, since it goes on with the current version once the endpoint is enabled, and an exhausted one begins
//! a new schedule if a version was published since the last one began ([`crate::delivery::lease::release`]).

use std::time::Duration;

use crate::delivery::outcome::AttemptOutcome;
use crate::delivery::retry::RetrySchedule;

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the endpoint has acknowledged the delivery.
    Done,
    /// Another attempt, after this pause.
    RetryAfter(Duration),
    /// No more attempts: the schedule is exhausted. An endpoint at which every attempt has failed for long
    /// is disabled ([`crate::endpoint::give_up`]).
    Exhausted,
    /// No more attempts: the endpoint wants none, and is disabled ([`crate::endpoint::gone`]).
    DisableEndpoint,
}

/// What follows the attempt with this outcome, after `failures` others that failed. `random` is a number
/// from 0 to 1, by which the pause deviates from the schedule; an endpoint that asked to wait is left alone
/// at least as long.
pub fn after_attempt(
    outcome: &AttemptOutcome,
    failures: usize,
    schedule: &RetrySchedule,
    random: f64,
) -> Decision {
    match outcome {
        AttemptOutcome::Delivered => Decision::Done,
        AttemptOutcome::Gone => Decision::DisableEndpoint,
        AttemptOutcome::Failed { leave_alone } => match schedule.pause(failures + 1, random) {
            Some(pause) => Decision::RetryAfter(pause.max(leave_alone.unwrap_or_default())),
            None => Decision::Exhausted,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(outcome: AttemptOutcome, failures: usize) -> Decision {
        let schedule = "0s 10s".parse().unwrap();
        after_attempt(&outcome, failures, &schedule, 0.5)
    }

    fn failed(leave_alone: Option<u64>) -> AttemptOutcome {
        AttemptOutcome::Failed {
            leave_alone: leave_alone.map(Duration::from_secs),
        }
    }

    #[test]
    fn an_answer_ends_it_and_a_failure_is_retried_by_the_schedule() {
        let after = |seconds| Decision::RetryAfter(Duration::from_secs(seconds));
        for failures in 0..4 {
            assert_eq!(decide(AttemptOutcome::Delivered, failures), Decision::Done);
            let gone = decide(AttemptOutcome::Gone, failures);
            assert_eq!(gone, Decision::DisableEndpoint);
        }
        assert_eq!(decide(failed(None), 0), after(0));
        assert_eq!(decide(failed(None), 1), after(10));
        assert_eq!(decide(failed(None), 2), Decision::Exhausted);
        assert_eq!(decide(failed(None), 9), Decision::Exhausted);
    }

    #[test]
    fn an_endpoint_that_asks_to_wait_is_left_alone_but_gets_no_more_attempts() {
        let after = |seconds| Decision::RetryAfter(Duration::from_secs(seconds));
        assert_eq!(decide(failed(Some(7)), 0), after(7));
        assert_eq!(decide(failed(Some(7)), 1), after(10));
        assert_eq!(decide(failed(Some(99)), 1), after(99));
        assert_eq!(decide(failed(Some(7)), 2), Decision::Exhausted);
    }
}
