//! What has become of a delivery: a pure function of its attempts, and of what is on record of its subscription.

use std::str::FromStr;

use time::{Duration, OffsetDateTime};

use crate::delivery::progress::Progress;
use crate::delivery::retry::RetrySchedule;

/// How much later than its schedule says a retry may be made: an endpoint can ask for a day
/// ([`crate::delivery::retry_after`]). A retry that is later was dropped, since the endpoint was disabled when it was due.
const MAY_BE_LATE: Duration = Duration::days(1);

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// The endpoint has acknowledged it.
    Delivered,
    /// It is to be attempted again.
    Retrying,
    /// It is not attempted any more.
    Failed,
    /// The endpoint has acknowledged a later version of the document.
    Superseded,
}

/// The text is not the name of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of delivered, retrying, failed, superseded")]
pub struct BadState;

/// What an attempt says of its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// When the request was sent.
    pub sent_at: OffsetDateTime,
    /// How many attempts had failed before.
    pub failures: usize,
    /// The status of the response; `None` if there was none.
    pub status: Option<u16>,
    /// Whether it was made because its owner asked for it, beside the schedule.
    pub resend: bool,
}

/// What is on record of the subscription.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The schedule of retries.
    pub schedule: &'a RetrySchedule,
    /// Whether nothing is sent: the endpoint, or its client, is disabled.
    pub silent: bool,
    /// The current time.
    pub now: OffsetDateTime,
}

impl DeliveryState {
    /// The name, as it is shown and asked for.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
        }
    }
}

impl FromStr for DeliveryState {
    type Err = BadState;

    fn from_str(text: &str) -> Result<Self, BadState> {
        [
            Self::Delivered,
            Self::Retrying,
            Self::Failed,
            Self::Superseded,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or(BadState)
    }
}

impl Made {
    fn has_arrived(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether the schedule has another attempt after this one, at an endpoint that wants it.
    fn is_followed(&self, schedule: &RetrySchedule) -> bool {
        self.status != Some(410) && self.failures < schedule.retries()
    }
}

/// The state of the delivery of an event, with these attempts, newest first. `arrived`: whether it is marked as arrived.
pub fn of_event(attempts: &[Made], arrived: bool, situation: Situation<'_>) -> DeliveryState {
    if arrived || attempts.iter().any(Made::has_arrived) {
        return DeliveryState::Delivered;
    }
    let Situation {
        schedule,
        silent,
        now,
    } = situation;
    // A resend neither ends the schedule nor goes on with it.
    let last = attempts.iter().find(|attempt| !attempt.resend);
    let due_until = last.filter(|last| last.is_followed(schedule)).map(|last| {
        // With the longest that jitter makes of it.
        let pause = schedule.pause(last.failures + 1, 1.0).unwrap_or_default();
        last.sent_at.saturating_add(MAY_BE_LATE) + pause
    });
    if !silent && due_until.is_some_and(|until| now <= until) {
        DeliveryState::Retrying
    } else {
        DeliveryState::Failed
    }
}

/// The state of a test, with these attempts: it isn't retried.
pub fn of_test(attempts: &[Made], arrived: bool) -> DeliveryState {
    if arrived || attempts.iter().any(Made::has_arrived) {
        DeliveryState::Delivered
    } else {
        DeliveryState::Failed
    }
}

/// The state of the delivery of a document's version, with these attempts, newest first. A version that isn't the newest
/// is retried as long as the document is: the newest one is sent in its place.
pub fn of_document(
    version: u64,
    attempts: &[Made],
    progress: &Progress,
    situation: Situation<'_>,
) -> DeliveryState {
    let acknowledged = progress.acknowledged;
    if acknowledged == version || attempts.iter().any(Made::has_arrived) {
        return DeliveryState::Delivered;
    }
    if acknowledged > version {
        return DeliveryState::Superseded;
    }
    // Between two messages there may be neither a lease nor a retry on record.
    let goes_on = progress.lease.is_some()
        || progress.retry.is_some()
        || attempts
            .first()
            .is_some_and(|last| last.is_followed(situation.schedule));
    if goes_on && !situation.silent {
        DeliveryState::Retrying
    } else {
        DeliveryState::Failed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::delivery::progress::Retry;
    use crate::ids::MessageId;

    const SENT: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    fn made(failures: usize, status: u16) -> Made {
        Made {
            sent_at: SENT,
            failures,
            status: (status > 0).then_some(status),
            resend: false,
        }
    }

    fn resent(failures: usize, status: u16) -> Made {
        Made {
            resend: true,
            ..made(failures, status)
        }
    }

    fn event_after(attempts: &[Made], silent: bool, later: Duration) -> DeliveryState {
        let schedule = "0s 1h".parse().unwrap();
        let situation = Situation {
            schedule: &schedule,
            silent,
            now: SENT + later,
        };
        of_event(attempts, false, situation)
    }

    fn event(attempts: &[Made]) -> DeliveryState {
        event_after(attempts, false, Duration::ZERO)
    }

    fn document(version: u64, attempts: &[Made], progress: &Progress) -> DeliveryState {
        let schedule = "0s 1h".parse().unwrap();
        let situation = Situation {
            schedule: &schedule,
            silent: false,
            now: SENT,
        };
        of_document(version, attempts, progress, situation)
    }

    #[test]
    fn an_event_is_retried_until_it_arrives_or_its_schedule_ends() {
        use DeliveryState::{Delivered, Failed, Retrying};
        for (attempts, state) in [
            (&[made(0, 200)][..], Delivered),
            (&[made(0, 500)], Retrying),
            (&[made(0, 0)], Retrying),
            (&[made(1, 500), made(0, 500)], Retrying),
            (&[made(2, 500), made(1, 500), made(0, 500)], Failed),
            (&[made(2, 204), made(1, 500), made(0, 500)], Delivered),
            (&[made(0, 410)], Failed),
            // A resend that fails changes nothing, and one that arrives is enough.
            (&[resent(1, 500), made(0, 500)], Retrying),
            (&[resent(1, 410), made(0, 500)], Retrying),
            (&[resent(3, 500), made(2, 500)], Failed),
            (&[made(1, 500), resent(1, 200), made(0, 500)], Delivered),
            (&[resent(3, 500)], Failed),
            (&[], Failed),
        ] {
            assert_eq!(event(attempts), state, "{attempts:?}");
        }
    }

    #[test]
    fn what_is_not_sent_any_more_has_failed() {
        let failed = [made(1, 500)];
        let later = |later| event_after(&failed, false, later);
        let disabled = event_after(&failed, true, Duration::ZERO);
        assert_eq!(disabled, DeliveryState::Failed);
        assert_eq!(later(Duration::hours(25)), DeliveryState::Retrying);
        // It was dropped when the endpoint was disabled, which it isn't any more.
        assert_eq!(later(Duration::hours(26)), DeliveryState::Failed);
    }

    #[test]
    fn a_mark_is_as_good_as_an_attempt_that_has_arrived() {
        let schedule = "0s".parse().unwrap();
        let situation = Situation {
            schedule: &schedule,
            silent: true,
            now: SENT,
        };
        let state = of_event(&[made(0, 500)], true, situation);
        assert_eq!(state, DeliveryState::Delivered);
        assert_eq!(of_test(&[made(0, 500)], true), DeliveryState::Delivered);
        assert_eq!(of_test(&[made(0, 500)], false), DeliveryState::Failed);
    }

    #[test]
    fn a_version_is_superseded_by_a_later_one() {
        let acknowledged = |version| Progress {
            wanted: 9,
            acknowledged: version,
            ..Progress::default()
        };
        let (failing, exhausted) = ([made(0, 500)], [made(2, 500)]);
        for (at, attempts, state) in [
            (4, &failing, DeliveryState::Retrying),
            (4, &exhausted, DeliveryState::Failed),
            (5, &exhausted, DeliveryState::Delivered),
            (6, &failing, DeliveryState::Superseded),
            (6, &[made(0, 200)], DeliveryState::Delivered),
        ] {
            assert_eq!(document(5, attempts, &acknowledged(at)), state, "{at}");
        }
        let retried = Progress {
            retry: Some(Retry {
                at: 1,
                message_id: MessageId::new("m1"),
            }),
            ..acknowledged(4)
        };
        assert_eq!(document(5, &exhausted, &retried), DeliveryState::Retrying);
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in [
            DeliveryState::Delivered,
            DeliveryState::Retrying,
            DeliveryState::Failed,
            DeliveryState::Superseded,
        ] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        for text in ["", "Failed", "pending"] {
            assert_eq!(text.parse::<DeliveryState>(), Err(BadState));
        }
    }

    proptest! {
        #[test]
        fn what_has_arrived_stays_delivered(
            statuses in proptest::collection::vec((0usize..4, 100u16..600, any::<bool>()), 0..5),
            silent: bool,
            days in 0i64..20,
        ) {
            let mut attempts: Vec<Made> = statuses
                .iter()
                .map(|(failures, status, resend)| Made { resend: *resend, ..made(*failures, *status) })
                .collect();
            attempts.push(made(0, 200));
            prop_assert_eq!(event_after(&attempts, silent, Duration::days(days)), DeliveryState::Delivered);
        }
    }
}
