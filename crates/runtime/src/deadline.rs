//! How much time an invocation has left, by the deadline that Lambda gives.
//!
//! Measured by the wall clock, since the monotonic clock stands still while Lambda has a function
//! frozen.

use std::time::{Duration, SystemTime};

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
}
