//! Disabled endpoints, and how they are enabled again: decisions as pure functions, as in
//! [`crate::delivery::lease`], from the state on record to the state that replaces it.

pub mod authorization;
pub mod callback_url;
pub mod headers;
mod host_name;
pub mod network;
pub mod signature;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::delivery::progress::Progress;
use crate::timestamp::iso_serde;

/// The part of a subscription that attempts, owners and operators change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EndpointState {
    /// How far the deliveries of a document have come; the default if the subscription is not to a
    /// document.
    pub progress: Progress,
    /// Why nothing is delivered, and since when; `None` while the endpoint is enabled.
    pub disabled: Option<Disabled>,
    /// Whether the owner has not yet been notified that the endpoint was disabled.
    pub owner_unnotified: bool,
    /// Whether the client is disabled: nothing is delivered, and the owner can't change that.
    pub client_disabled: bool,
    /// Since when every attempt has failed; `None` unless the last one did.
    pub failing_since: Option<OffsetDateTime>,
}

/// That an endpoint is disabled, why, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Disabled {
    /// Why it was disabled.
    pub reason: DisabledReason,
    /// When it was disabled.
    #[serde(with = "iso_serde")]
    pub at: OffsetDateTime,
}

impl Disabled {
    /// Whether it is because the client may not see the topic.
    pub fn is_for_access(&self) -> bool {
        self.reason == DisabledReason::Access
    }
}

/// Why an endpoint was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DisabledReason {
    /// Its owner disabled it.
    Requested,
    /// Every attempt failed for days.
    Failing,
    /// It answered 410 Gone.
    Gone,
    /// Its client may not see the topic any more.
    Access,
}

impl EndpointState {
    /// Whether nothing is delivered to the endpoint: it, or its client, is disabled.
    pub fn is_silent(&self) -> bool {
        self.disabled.is_some() || self.client_disabled
    }

    /// Whether nothing is delivered because the client may not see the topic.
    pub fn is_suspended(&self) -> bool {
        self.disabled.as_ref().is_some_and(Disabled::is_for_access)
    }
}

/// Disables the endpoint for a reason that its owner still has to be notified of.
pub(crate) fn disabled_by_us(
    state: EndpointState,
    reason: DisabledReason,
    at: OffsetDateTime,
) -> EndpointState {
    EndpointState {
        disabled: Some(Disabled { reason, at }),
        owner_unnotified: true,
        ..state
    }
}

/// Disables an endpoint, as its owner wants; `None` when it is disabled already. One that is suspended since its client
/// may not see the topic stays disabled when it may again.
pub fn disable(state: &EndpointState, at: OffsetDateTime) -> Option<EndpointState> {
    let reason = DisabledReason::Requested;
    (state.disabled.is_none() || state.is_suspended()).then(|| EndpointState {
        disabled: Some(Disabled { reason, at }),
        ..state.clone()
    })
}

/// Enables an endpoint, without the failures on record. What the endpoint has is in doubt, so that
/// a document continues with a snapshot.
pub fn enable(state: &EndpointState) -> EndpointState {
    EndpointState {
        progress: Progress {
            in_doubt: true,
            snapshots_asked: state.progress.snapshots_asked + 1,
            failures: 0,
            retry: None,
            schedule: None,
            ..state.progress.clone()
        },
        disabled: None,
        owner_unnotified: false,
        client_disabled: state.client_disabled,
        failing_since: None,
    }
}

/// Gives the endpoint another URL, at which nothing is known of what was sent to the one before: a document
/// continues with a snapshot, and failures don't count. What an attempt at the earlier URL comes to doesn't
/// disable it. It stays disabled if it is.
pub fn moved(state: &EndpointState) -> EndpointState {
    EndpointState {
        disabled: state.disabled.clone(),
        owner_unnotified: state.owner_unnotified,
        ..enable(state)
    }
}

/// Asks for another snapshot of a document, whatever the endpoint has: as when it is enabled, without the retry that is
/// pending; but every attempt that has failed still counts. `None` when nothing is sent to the endpoint.
pub fn ask_again(state: &EndpointState) -> Option<EndpointState> {
    (!state.is_silent()).then(|| EndpointState {
        failing_since: state.failing_since,
        ..enable(state)
    })
}

/// Changes an endpoint as its owner wants: gives it another URL if `moves`, and has it enabled or disabled
/// if `enabled` says so. One that is as it should be stays as it is.
pub fn change(
    state: &EndpointState,
    moves: bool,
    enabled: Option<bool>,
    at: OffsetDateTime,
) -> EndpointState {
    let state = if moves { moved(state) } else { state.clone() };
    match enabled {
        Some(true) if state.disabled.is_some() => enable(&state),
        Some(false) => disable(&state, at).unwrap_or(state),
        _ => state,
    }
}

/// Stops deliveries to an endpoint because its client is disabled; `None` when nothing changes.
pub fn disable_client(state: &EndpointState) -> Option<EndpointState> {
    (!state.client_disabled).then(|| EndpointState {
        client_disabled: true,
        ..state.clone()
    })
}

/// Resumes deliveries to an endpoint whose client is enabled again. It stays disabled if it is
/// disabled for a reason of its own. `None` when nothing changes.
pub fn enable_client(state: &EndpointState) -> Option<EndpointState> {
    state.client_disabled.then(|| EndpointState {
        client_disabled: false,
        ..moved(state)
    })
}

/// Suspends an endpoint whose client may not see the topic, and enables it when it may again: as by its owner, since what
/// was published meanwhile was not sent. An endpoint that is disabled for another reason stays so. The owner isn't
/// notified: it is the provider who decides who sees what. `None` when nothing changes.
pub fn settle_access(
    state: &EndpointState,
    permitted: bool,
    at: OffsetDateTime,
) -> Option<EndpointState> {
    match (permitted, &state.disabled) {
        (true, Some(_)) if state.is_suspended() => Some(enable(state)),
        (false, None) => Some(EndpointState {
            disabled: Some(Disabled {
                reason: DisabledReason::Access,
                at,
            }),
            ..state.clone()
        }),
        _ => None,
    }
}

/// After an attempt that began in the state `before` was answered with 410: disables the endpoint,
/// unless its owner has enabled it since, or given it another URL. `None` when nothing changes.
pub fn gone(
    state: &EndpointState,
    before: &EndpointState,
    at: OffsetDateTime,
) -> Option<EndpointState> {
    let enabled_since = state.progress.snapshots_asked != before.progress.snapshots_asked;
    (state.disabled.is_none() && !enabled_since)
        .then(|| disabled_by_us(state.clone(), DisabledReason::Gone, at))
}

/// At the end of a schedule of retries: disables an endpoint at which every attempt has failed for
/// at least `disable_after`. `None` when nothing changes.
pub fn give_up(
    state: &EndpointState,
    now: OffsetDateTime,
    disable_after: Duration,
) -> Option<EndpointState> {
    let hopeless = state
        .failing_since
        .is_some_and(|since| now - since >= disable_after);
    (state.disabled.is_none() && hopeless)
        .then(|| disabled_by_us(state.clone(), DisabledReason::Failing, now))
}
