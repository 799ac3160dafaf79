//! Who may send a document to a subscription, and what follows: decisions as pure functions.
//!
//! A message says that a subscription wants a version; many may say so at once. One of them
//! acquires the lease, sends what is missing, and releases the lease, unless more is wanted by
//! then. The others write down what they want and are done. So versions are sent one after the
//! other, and a repeated message finds nothing to do. After a failure nobody acquires the lease
//! until the retry is due, but the retry itself. A lease ends by itself some seconds after the
//! function that holds it must have ended; whoever acquires one that was not released knows that
//! the endpoint may have got something that is not on record.
//!
//! Each decision is a function from the state on record to the state that replaces it. Whoever
//! carries it out (`bellwire_store::leases`) writes the new state on the condition that the old one
//! is still there, and decides anew when it isn't. `tests/lease_model.rs` explores the same
//! functions with crashes, repetitions, lost answers and late effects.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::endpoint::{DisabledReason, EndpointState, disabled_by_us};

/// How many versions an endpoint may be behind and still get each of them.
const MAX_BACKLOG: u64 = 100;

/// How far a subscription to a document has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// The newest version that is known to be wanted; 0 before the first.
    #[serde(default)]
    pub wanted: u64,
    /// The version that the endpoint acknowledged last; 0 before the first.
    #[serde(default)]
    pub acknowledged: u64,
    /// Whether the endpoint may have something else than the acknowledged version.
    #[serde(default)]
    pub in_doubt: bool,
    /// How often a snapshot was asked for, whatever the endpoint has.
    #[serde(default)]
    pub snapshots_asked: u64,
    /// Who may send, if anybody does.
    #[serde(flatten)]
    pub lease: Option<Lease>,
    /// How many attempts have failed in a row.
    #[serde(default)]
    pub failures: usize,
    /// The retry that is pending, if one is.
    #[serde(flatten)]
    pub retry: Option<Retry>,
    /// What the schedule of retries was begun for, while one is under way.
    #[serde(flatten)]
    pub schedule: Option<Schedule>,
}

/// The exclusive right to send to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// The message that holds it.
    #[serde(rename = "turn")]
    pub message_id: String,
    /// Which of the attempts to acquire it, since a message may come twice.
    #[serde(rename = "turn_nonce")]
    pub nonce: u64,
    /// Until when, in milliseconds since 1970.
    #[serde(rename = "turn_until")]
    pub until: u64,
}

/// That there will be another attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Retry {
    /// When, in milliseconds since 1970.
    #[serde(rename = "retry_at")]
    pub at: u64,
    /// The message that failed, and arranges for it.
    #[serde(rename = "retry_by")]
    pub message_id: String,
}

/// What was wanted when the first attempt of a schedule of retries was made. What is wanted since
/// has a right to a schedule of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Schedule {
    /// The newest version.
    #[serde(rename = "schedule_wanted")]
    pub wanted: u64,
}

/// A message that asks for the lease.
#[derive(Clone, Copy, Debug)]
pub struct Acquire<'a> {
    /// The version that it wants sent.
    pub version: u64,
    /// Its id.
    pub message_id: &'a str,
    /// A random number: a message that comes twice is not itself.
    pub nonce: u64,
    /// How many attempts had failed when it was sent: 0 but for a retry.
    pub failures: usize,
    /// Now, in milliseconds since 1970.
    pub now: u64,
    /// Until when the lease is acquired, in milliseconds since 1970.
    pub until: u64,
}

/// What comes of asking for the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It is the message's as soon as this state is written.
    Granted(EndpointState),
    /// It is the message's: this very request was granted, and the answer got lost.
    Yours,
    /// Whoever has the lease, or the retry that is pending, sees to it as soon as this is written.
    Pending(EndpointState),
    /// There is nothing to do, or whoever has the lease will do it.
    Nothing,
    /// An earlier receipt of the same message has it, or died with it: to be asked again later.
    Busy,
    /// The same message failed and may have died before its retry was arranged: to be arranged now.
    ArrangeRetry(Retry),
    /// The endpoint is disabled.
    Disabled,
}

/// What a message may do with a subscription.
pub fn acquire(state: &EndpointState, request: Acquire<'_>) -> Acquired {
    let progress = &state.progress;
    let lease = progress.lease.as_ref();
    let held = lease.filter(|lease| lease.until > request.now);
    let own = held.filter(|lease| lease.message_id == request.message_id);
    if state.is_silent() {
        // While its lease lasts others leave to this message what is wanted: it must not be gone when
        // the endpoint is enabled.
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
        return if retry.message_id == request.message_id {
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
            message_id: request.message_id.to_owned(),
            nonce: request.nonce,
            until: request.until,
        }),
        retry: None,
        ..next.progress
    };
    Acquired::Granted(next)
}

/// What the holder of a lease knows, and does not write before it releases the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// The newest version that was wanted when that was last looked at.
    pub wanted: u64,
    /// The version that the endpoint acknowledged last.
    pub acknowledged: u64,
    /// Whether it may have something else.
    pub in_doubt: bool,
    /// How many attempts have failed in a row.
    pub failures: usize,
    /// Whether the last attempt arrived; `None` when there was none.
    pub arrived: Option<bool>,
    snapshots_asked: u64,
}

/// What is sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextVersion {
    /// This one: as a change of the one before, if the subscription wants that, or whole.
    InARow(u64),
    /// The newest, whole.
    Newest(u64),
}

impl Session {
    /// What a holder knows that has acquired the lease of a subscription in this state.
    pub fn begin(progress: &Progress) -> Self {
        Self {
            wanted: progress.wanted,
            acknowledged: progress.acknowledged,
            in_doubt: progress.in_doubt,
            failures: progress.failures,
            arrived: None,
            snapshots_asked: progress.snapshots_asked,
        }
    }

    /// What is sent next; `None` when nothing is missing.
    pub fn next(&self) -> Option<NextVersion> {
        if !self.in_doubt && self.acknowledged >= self.wanted {
            return None;
        }
        let behind = self.wanted.saturating_sub(self.acknowledged);
        let in_a_row = !self.in_doubt && self.acknowledged > 0 && behind <= MAX_BACKLOG;
        Some(if in_a_row {
            NextVersion::InARow(self.acknowledged + 1)
        } else {
            // Later than what is wanted may have been sent in place of what was not kept.
            NextVersion::Newest(self.wanted.max(self.acknowledged))
        })
    }

    /// After an attempt that the endpoint has acknowledged.
    #[must_use]
    pub fn acknowledged(self, version: u64) -> Self {
        Self {
            acknowledged: version,
            in_doubt: false,
            failures: 0,
            arrived: Some(true),
            ..self
        }
    }

    /// When this version is sent in place of the one that is wanted.
    #[must_use]
    pub fn wanting(self, version: u64) -> Self {
        Self {
            wanted: self.wanted.max(version),
            ..self
        }
    }

    /// When the next version can't be sent as a change of what the endpoint has.
    #[must_use]
    pub fn doubted(self) -> Self {
        Self {
            in_doubt: true,
            ..self
        }
    }

    /// After an attempt that it has not acknowledged.
    #[must_use]
    pub fn failed(self) -> Self {
        Self {
            in_doubt: true,
            arrived: Some(false),
            ..self
        }
    }
}

/// Why a lease is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// What was wanted has been sent.
    UpToDate,
    /// The function has no time for another attempt.
    OutOfTime,
    /// An attempt failed.
    Failed {
        /// When the schedule has the next, in milliseconds since 1970; `None` when it is exhausted.
        retry_at: Option<u64>,
    },
    /// The endpoint answered 410 Gone.
    Gone,
}

/// What releasing a lease comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// It isn't held any more: it took too long.
    Lost,
    /// It is not released: more is wanted.
    GoOn(Session),
    /// It is released as soon as this state is written; then comes what follows.
    Write(EndpointState, Then),
}

/// What follows the release of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// Nothing.
    Done,
    /// Another message goes on.
    SendOn {
        /// With this version.
        version: u64,
    },
    /// The attempt is repeated when the state says so.
    Retry {
        /// With this version.
        version: u64,
        /// After so many failures.
        failures: usize,
    },
    /// A schedule of retries begins at once, for what was wanted since the one that ended began.
    NewSchedule {
        /// With this version.
        version: u64,
    },
    /// The delivery is a dead letter.
    DeadLetter {
        /// Of this version.
        version: u64,
        /// After so many failures.
        failures: usize,
    },
    /// The endpoint is disabled, and its owner told.
    TellOwner,
}

/// Releases a lease. An endpoint that every attempt has failed at for as long as `patience` is
/// disabled when a schedule is exhausted.
pub fn release(
    state: &EndpointState,
    nonce: u64,
    session: Session,
    ending: Ending,
    now: OffsetDateTime,
    patience: Duration,
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
        // Its owner, or the operator, has disabled it meanwhile.
        _ if silent => Release::Write(anew(next), Then::Done),
        Ending::UpToDate => Release::Write(next, Then::Done),
        Ending::OutOfTime => Release::Write(next, Then::SendOn { version }),
        // Its owner has enabled it meanwhile: what failed before doesn't count.
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
            exhausted(anew(next), session, wanted_since, now, patience)
        }
        Ending::Gone => {
            let next = disabled_by_us(anew(next), DisabledReason::Gone, now);
            Release::Write(next, Then::TellOwner)
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

/// The schedule of retries that an attempt that failed is part of: with the first, it begins.
fn schedule(progress: &Progress, session: Session) -> Schedule {
    match (&progress.schedule, session.failures) {
        (Some(schedule), 1..) => schedule.clone(),
        _ => Schedule {
            wanted: session.wanted,
        },
    }
}

/// The state without a schedule of retries.
fn anew(mut state: EndpointState) -> EndpointState {
    state.progress.failures = 0;
    state.progress.schedule = None;
    state
}

/// What follows the last attempt of a schedule. `wanted_since`: whether more was wanted since it began.
fn exhausted(
    next: EndpointState,
    session: Session,
    wanted_since: bool,
    now: OffsetDateTime,
    patience: Duration,
) -> Release {
    let hopeless = session.arrived == Some(false)
        && next
            .failing_since
            .is_some_and(|since| now - since >= patience);
    let version = next.progress.wanted;
    if hopeless {
        let next = disabled_by_us(next, DisabledReason::Failing, now);
        Release::Write(next, Then::TellOwner)
    } else if wanted_since {
        Release::Write(next, Then::NewSchedule { version })
    } else {
        let failures = session.failures;
        Release::Write(next, Then::DeadLetter { version, failures })
    }
}
