//! The states of a query execution.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a query execution, named as in Athena's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum QueryState {
    /// Accepted, not started.
    Queued,
    /// Being executed.
    Running,
    /// Finished with a result.
    Succeeded,
    /// Finished without a result.
    Failed,
    /// Stopped by its owner or by the system.
    Cancelled,
}

impl QueryState {
    const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The state of this name; `None` when Athena has no such state.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether the state is final: the execution never changes again.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The name that Athena uses: `SUCCEEDED`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl fmt::Display for QueryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_athenas_in_json_too() {
        for (state, terminal) in [
            (QueryState::Queued, false),
            (QueryState::Running, false),
            (QueryState::Succeeded, true),
            (QueryState::Failed, true),
            (QueryState::Cancelled, true),
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(QueryState::from_name(state.as_str()), Some(state));
            assert_eq!(state.is_terminal(), terminal);
        }
    }
}
