//! What the holder of a lease sends next: a pure function of what is wanted and what was acknowledged.

use crate::delivery::progress::Progress;

/// How many versions an endpoint may be behind and still receive each of them.
const MAX_BACKLOG: u64 = 100;
/// What the holder of a lease knows, and does not write before it releases the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// The newest wanted version, as of when the holder last read the state.
    pub wanted: u64,
    /// The version that the endpoint acknowledged last.
    pub acknowledged: u64,
    /// Whether the endpoint may have something else than that version.
    pub in_doubt: bool,
    /// How many attempts of the current schedule of retries have failed, in a row.
    pub failures: usize,
    /// Whether the last attempt was acknowledged; `None` when there was none with this lease.
    pub arrived: Option<bool>,
    /// How often a snapshot was asked for when the lease was acquired.
    pub(crate) snapshots_asked: u64,
}

/// The version that is sent next, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextVersion {
    /// This version: as a patch of the one before, if the subscription wants patches, or as a
    /// snapshot.
    InARow(u64),
    /// The newest version, as a snapshot.
    Newest(u64),
}

impl Session {
    /// The session of whoever has acquired the lease of a subscription in this state.
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

    /// What to send next; `None` when nothing is missing.
    pub fn next(&self) -> Option<NextVersion> {
        if !self.in_doubt && self.acknowledged >= self.wanted {
            return None;
        }
        let behind = self.wanted.saturating_sub(self.acknowledged);
        let in_a_row = !self.in_doubt && self.acknowledged > 0 && behind <= MAX_BACKLOG;
        Some(if in_a_row {
            NextVersion::InARow(self.acknowledged + 1)
        } else {
            // A later version than the wanted one may have been sent in place of one that was not
            // kept.
            NextVersion::Newest(self.wanted.max(self.acknowledged))
        })
    }

    /// The session after an attempt that the endpoint acknowledged.
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

    /// The session when this version is sent in place of the wanted one, whose payload is not kept
    /// any more.
    #[must_use]
    pub fn wanting(self, version: u64) -> Self {
        Self {
            wanted: self.wanted.max(version),
            ..self
        }
    }

    /// The session when the next version can't be sent as a patch of what the endpoint has.
    #[must_use]
    pub fn doubted(self) -> Self {
        Self {
            in_doubt: true,
            ..self
        }
    }

    /// The session after an attempt that the endpoint did not acknowledge.
    #[must_use]
    pub fn failed(self) -> Self {
        Self {
            in_doubt: true,
            arrived: Some(false),
            ..self
        }
    }
}
