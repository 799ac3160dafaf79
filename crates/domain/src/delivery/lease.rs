//! The lease of a subscription to a document: who may send to it, and what follows. Decisions are
//! pure functions.
//!
//! A message says that a subscription wants a version; many messages may say so at once. One of
//! them acquires the lease, sends what is missing, and releases the lease, unless more is wanted by
//! then. The others record what they want, and are done. So versions are sent one after the other,
//! and a repeated message finds nothing to do. After a failure, only the retry acquires the lease
//! until the retry is due. A lease expires some seconds after the function that holds it must have
//! ended. Whoever acquires one that was not released knows that the endpoint may have received
//! something that is not on record.
//!
//! Each decision is a function from the state on record to the state that replaces it. Its caller
//! (`bellwire_store::leases`) writes the new state on the condition that the old one is still
//! there, and decides again when it isn't. `tests/lease_model` explores the same functions with
//! crashes, repetitions, lost answers and late effects.

use time::{Duration, OffsetDateTime};

use crate::delivery::progress::{Lease, Progress, Retry, Schedule};
use crate::delivery::session::Session;
use crate::endpoint::{DisabledReason, EndpointState, disabled_by_us};
use crate::ids::MessageId;
/// The request of a message for the lease.
#[derive(Clone, Copy, Debug)]
pub struct Acquire<'a> {
    /// The version that the message wants delivered.
    pub version: u64,
    /// The id of the message.
    pub message_id: &'a MessageId,
    /// A random number: the same message, received again, has another one.
    pub nonce: u64,
    /// How many attempts had failed when the message was sent: 0 unless it is a retry.
    pub failures: usize,
    /// The current time, in milliseconds since 1970.
    pub now: u64,
    /// When the lease expires, if it is granted; in milliseconds since 1970.
    pub until: u64,
}

/// The outcome of a request for the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The message holds the lease as soon as this state is written.
    Granted(EndpointState),
    /// The message holds the lease: this very request was granted, and the answer was lost.
    Yours,
    /// The holder of the lease, or the pending retry, delivers the version as soon as this state is
    /// written.
    Pending(EndpointState),
    /// There is nothing to do, or the holder of the lease, or the pending retry, will do it.
    Nothing,
    /// An earlier receipt of the same message holds the lease, or died with it: ask again later.
    Busy,
    /// The same message failed, and may have died before its retry was arranged: arrange it now.
    ArrangeRetry(Retry),
    /// The endpoint, or its client, is disabled.
    Disabled,
}

/// Decides on a message's request for the lease.
pub fn acquire(state: &EndpointState, request: Acquire<'_>) -> Acquired {
    let progress = &state.progress;
    let lease = progress.lease.as_ref();
    let held = lease.filter(|lease| lease.until > request.now);
    let own = held.filter(|lease| lease.message_id == *request.message_id);
    if state.is_silent() {
        // While this message holds the lease, others leave to it what is wanted, so it must still
        // be in the queue when the endpoint is enabled.
        return match own {
            Some(_) => Acquired::Busy,
            None => Acquired::Disabled,
        };
    }
    let known = request.version <= progress.wanted;
    let left_to_another = || {
        if known {
            return Acquired::Nothing;
        }
        let mut next = state.clone();
        next.progress.wanted = request.version;
        Acquired::Pending(next)
    };
    if let Some(lease) = own {
        return if lease.nonce == request.nonce {
            Acquired::Yours
        } else {
            Acquired::Busy
        };
    }
    if held.is_some() {
        return left_to_another();
    }
    let is_the_retry = request.failures > 0 && request.failures == progress.failures;
    if let Some(retry) = &progress.retry
        && retry.at > request.now
        && !is_the_retry
    {
        return if retry.message_id == *request.message_id {
            Acquired::ArrangeRetry(retry.clone())
        } else {
            left_to_another()
        };
    }
    let left_behind = lease.is_some();
    let up_to_date = progress.acknowledged >= progress.wanted && !progress.in_doubt;
    if known && up_to_date && !left_behind {
        return Acquired::Nothing;
    }
    let mut next = state.clone();
    next.progress = Progress {
        wanted: progress.wanted.max(request.version),
        in_doubt: progress.in_doubt || left_behind,
        lease: Some(Lease {
            message_id: request.message_id.clone(),
            nonce: request.nonce,
            until: request.until,
        }),
        retry: None,
        ..next.progress
    };
    Acquired::Granted(next)
}

/// Why a holder releases its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Everything that was wanted has been delivered.
    UpToDate,
    /// The function has no time for another attempt.
    OutOfTime,
    /// An attempt failed.
    Failed {
        /// When the schedule has the next attempt, in milliseconds since 1970; `None` when it is
        /// exhausted.
        retry_at: Option<u64>,
    },
    /// The endpoint answered 410 Gone.
    Gone,
}

/// The outcome of releasing a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// The lease is not held any more: its holder took too long.
    Lost,
    /// The lease is not released, because more is wanted: its holder continues with this session.
    GoOn(Session),
    /// The lease is released as soon as this state is written; then comes what follows.
    Write(EndpointState, Then),
}

/// What follows the release of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// Nothing is left to do.
    Done,
    /// Another message continues.
    SendOn {
        /// The version that the message wants.
        version: u64,
    },
    /// The attempt is repeated when the state's retry is due.
    Retry {
        /// The version that the retry wants.
        version: u64,
        /// How many attempts have failed.
        failures: usize,
    },
    /// A new schedule of retries begins at once: for what was wanted since the last one began, or
    /// because the owner has enabled the endpoint, or given it another URL.
    NewSchedule {
        /// The version that the new schedule wants.
        version: u64,
    },
    /// The delivery becomes a dead letter.
    DeadLetter {
        /// The version that was not delivered.
        version: u64,
        /// How many attempts had failed before the last one.
        failures: usize,
    },
    /// The endpoint was disabled, and its owner is notified.
    NotifyOwner,
}

/// Releases a lease. When a schedule is exhausted, an endpoint at which every attempt has failed
/// for at least `disable_after` is disabled.
pub fn release(
    state: &EndpointState,
    nonce: u64,
    session: Session,
    ending: Ending,
    now: OffsetDateTime,
    disable_after: Duration,
) -> Release {
    let progress = &state.progress;
    let Some(lease) = progress.lease.as_ref().filter(|it| it.nonce == nonce) else {
        return Release::Lost;
    };
    let asked_again = progress.snapshots_asked != session.snapshots_asked;
    let in_doubt = session.in_doubt || asked_again;
    let silent = state.is_silent();
    if ending == Ending::UpToDate && !silent && (progress.wanted > session.wanted || asked_again) {
        return Release::GoOn(Session {
            wanted: progress.wanted,
            in_doubt,
            snapshots_asked: progress.snapshots_asked,
            ..session
        });
    }
    let next = released(state, session, now);
    let version = progress.wanted;
    match ending {
        // Meanwhile the owner has disabled the endpoint, or the operator the client.
        _ if silent => Release::Write(anew(next), Then::Done),
        Ending::UpToDate => Release::Write(next, Then::Done),
        Ending::OutOfTime => Release::Write(next, Then::SendOn { version }),
        // Meanwhile the owner has enabled the endpoint, or given it another URL: what failed before
        // doesn't count.
        Ending::Failed { .. } | Ending::Gone if asked_again => {
            Release::Write(anew(next), Then::NewSchedule { version })
        }
        Ending::Failed { retry_at: Some(at) } => {
            let message_id = lease.message_id.clone();
            let failures = session.failures + 1;
            let mut next = next;
            next.progress.failures = failures;
            next.progress.schedule = Some(schedule(progress, session));
            next.progress.retry = Some(Retry { at, message_id });
            Release::Write(next, Then::Retry { version, failures })
        }
        Ending::Failed { retry_at: None } => {
            let wanted_since = version > schedule(progress, session).wanted;
            exhausted(anew(next), session, wanted_since, now, disable_after)
        }
        Ending::Gone => {
            let next = disabled_by_us(anew(next), DisabledReason::Gone, now);
            Release::Write(next, Then::NotifyOwner)
        }
    }
}

/// The state without the lease, with what its holder knows.
fn released(state: &EndpointState, session: Session, now: OffsetDateTime) -> EndpointState {
    let progress = &state.progress;
    let asked_again = progress.snapshots_asked != session.snapshots_asked;
    EndpointState {
        progress: Progress {
            acknowledged: session.acknowledged,
            in_doubt: session.in_doubt || asked_again,
            lease: None,
            failures: session.failures,
            retry: None,
            schedule: progress.schedule.clone().filter(|_| session.failures > 0),
            ..progress.clone()
        },
        failing_since: match session.arrived {
            Some(true) => None,
            Some(false) => state.failing_since.or(Some(now)),
            None => state.failing_since,
        },
        ..state.clone()
    }
}

/// The schedule of retries that a failed attempt is part of; it begins with the first failure.
fn schedule(progress: &Progress, session: Session) -> Schedule {
    match (&progress.schedule, session.failures) {
        (Some(schedule), 1..) => schedule.clone(),
        _ => Schedule {
            wanted: session.wanted,
        },
    }
}

/// The state without a schedule of retries, and without its failures.
fn anew(mut state: EndpointState) -> EndpointState {
    state.progress.failures = 0;
    state.progress.schedule = None;
    state
}

/// What follows the last attempt of a schedule. `wanted_since`: whether more was wanted after it
/// began.
fn exhausted(
    next: EndpointState,
    session: Session,
    wanted_since: bool,
    now: OffsetDateTime,
    disable_after: Duration,
) -> Release {
    let hopeless = session.arrived == Some(false)
        && next
            .failing_since
            .is_some_and(|since| now - since >= disable_after);
    let version = next.progress.wanted;
    if hopeless {
        let next = disabled_by_us(next, DisabledReason::Failing, now);
        Release::Write(next, Then::NotifyOwner)
    } else if wanted_since {
        Release::Write(next, Then::NewSchedule { version })
    } else {
        let failures = session.failures;
        Release::Write(next, Then::DeadLetter { version, failures })
    }
}
