//! How much time an invocation has left, by the deadline that Lambda gives.
//!
//! Measured by the wall clock, since the monotonic clock stands still while Lambda has a function
//! frozen.

use std::time::{Duration, SystemTime};

/// The time that an invocation keeps for its end: for one more call of AWS with the SDK's retries (see
/// [`crate::aws`]), and for its response.
pub(crate) const RESERVE: Duration = Duration::from_secs(10);

/// How far work of many steps has come within the time of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Steps {
    /// All are made.
    Done,
    /// There was no time for the others.
    OutOfTime,
}

tokio::task_local! {
    static DEADLINE: SystemTime;
}

/// Runs `work` in an invocation that Lambda ends at `deadline`, which [`remaining`] then knows.
pub async fn until<T>(deadline: SystemTime, work: impl Future<Output = T>) -> T {
    DEADLINE.scope(deadline, work).await
}

/// The time that the invocation has left, zero if it is over; `None` outside of one, and in tasks that
/// were spawned.
pub fn remaining() -> Option<Duration> {
    let deadline = DEADLINE.try_with(|deadline| *deadline).ok()?;
    Some(
        deadline
            .duration_since(SystemTime::now())
            .unwrap_or_default(),
    )
}

/// Whether the invocation has time for another step of work that can go on in another invocation. Always true outside
/// of one.
pub fn leaves_time() -> bool {
    remaining().is_none_or(|left| left > RESERVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_left_ends_at_nothing() {
        assert_eq!(remaining(), None);
        let minute = Duration::from_secs(60);
        let left = until(SystemTime::now() + minute, async { remaining() }).await;
        assert!(left.is_some_and(|left| left <= minute && left > minute / 2));
        let over = until(SystemTime::now() - minute, async { remaining() }).await;
        assert_eq!(over, Some(Duration::ZERO));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn there_is_time_for_a_step_until_only_the_reserve_is_left() {
        assert!(leaves_time());
        for (left, is_enough) in [
            (RESERVE * 2, true),
            (RESERVE, false),
            (Duration::ZERO, false),
        ] {
            let found = until(SystemTime::now() + left, async { leaves_time() }).await;
            assert_eq!(found, is_enough, "{left:?}");
        }
    }
}
