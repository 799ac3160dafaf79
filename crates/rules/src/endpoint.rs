//! Endpoints that nothing is sent to, and the way back: decisions as pure functions, as in
//! [`crate::lease`], from the state on record to the state that replaces it.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::lease::Progress;
use crate::timestamp::iso_serde;

/// The part of a subscription that attempts change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EndpointState {
    /// How far it has come, if it is to a document.
    pub progress: Progress,
    /// Why nothing is sent, if so.
    pub disabled: Option<Disabled>,
    /// Whether its owner is still to be told that it was disabled.
    pub owner_unnotified: bool,
    /// Whether its client is shut out: nothing is sent, and its owner can't change that.
    pub client_disabled: bool,
    /// Since when every attempt has failed, if the last one did.
    pub failing_since: Option<OffsetDateTime>,
}

/// That nothing is sent to an endpoint, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Disabled {
    /// Why.
    pub reason: DisabledReason,
    /// Since when.
    #[serde(with = "iso_serde")]
    pub at: OffsetDateTime,
}

/// Why nothing is sent to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DisabledReason {
    /// Its owner wanted it so.
    Requested,
    /// Every attempt failed for days.
    Failing,
    /// It answered 410 Gone.
    Gone,
}

impl EndpointState {
    /// Whether nothing is sent to the endpoint.
    pub fn is_silent(&self) -> bool {
        self.disabled.is_some() || self.client_disabled
    }
}

/// The endpoint, disabled for a reason of ours, which its owner is still to be told.
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

/// Sends no more to an endpoint, as its owner wants; `None` when nothing is sent already.
pub fn disable(state: &EndpointState, at: OffsetDateTime) -> Option<EndpointState> {
    let reason = DisabledReason::Requested;
    state.disabled.is_none().then(|| EndpointState {
        disabled: Some(Disabled { reason, at }),
        ..state.clone()
    })
}

/// Sends to an endpoint again, as if nothing had ever failed. What it has is in doubt, so that a
/// document goes on with a snapshot.
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

/// Sends no more to the endpoints of a client that is shut out; `None` when nothing changes.
pub fn disable_client(state: &EndpointState) -> Option<EndpointState> {
    (!state.client_disabled).then(|| EndpointState {
        client_disabled: true,
        ..state.clone()
    })
}

/// Sends to the endpoints of a client again that was shut out, but for those that are disabled for a
/// reason of their own; `None` when nothing changes.
pub fn enable_client(state: &EndpointState) -> Option<EndpointState> {
    state.client_disabled.then(|| EndpointState {
        disabled: state.disabled.clone(),
        owner_unnotified: state.owner_unnotified,
        client_disabled: false,
        ..enable(state)
    })
}

/// After a 410 to a request that was sent when the endpoint was in the state `before`: disables it,
/// unless its owner has enabled it since. `None` when nothing changes.
pub fn gone(
    state: &EndpointState,
    before: &EndpointState,
    at: OffsetDateTime,
) -> Option<EndpointState> {
    let enabled_since = state.progress.snapshots_asked != before.progress.snapshots_asked;
    (state.disabled.is_none() && !enabled_since)
        .then(|| disabled_by_us(state.clone(), DisabledReason::Gone, at))
}

/// At the end of a schedule: disables an endpoint at which every attempt has failed for as long as
/// `patience`. `None` when nothing changes.
pub fn give_up(
    state: &EndpointState,
    now: OffsetDateTime,
    patience: Duration,
) -> Option<EndpointState> {
    let hopeless = state
        .failing_since
        .is_some_and(|since| now - since >= patience);
    (state.disabled.is_none() && hopeless)
        .then(|| disabled_by_us(state.clone(), DisabledReason::Failing, now))
}
