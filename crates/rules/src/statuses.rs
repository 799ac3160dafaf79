//! Which outcomes of a query a subscription wants to hear of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::query_state::QueryState;

/// A set of terminal query states, never empty. [`Default`] is `SUCCEEDED`
/// alone: the protocol notifies success only, unless asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Statuses(BTreeSet<QueryState>);

/// The list of statuses can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a list of one or more of SUCCEEDED, FAILED and CANCELLED")]
pub struct BadStatuses;

impl Statuses {
    /// Reads a list that a customer sent; repeated names count once.
    pub fn parse(names: &[String]) -> Result<Self, BadStatuses> {
        let state = |name: &String| QueryState::from_name(name).ok_or(BadStatuses);
        Self::new(names.iter().map(state).collect::<Result<Vec<_>, _>>()?)
    }

    /// The set of these states; repeated states count once.
    pub fn new(states: impl IntoIterator<Item = QueryState>) -> Result<Self, BadStatuses> {
        let states: BTreeSet<_> = states.into_iter().collect();
        if states.is_empty() || !states.iter().all(|state| state.is_terminal()) {
            return Err(BadStatuses);
        }
        Ok(Self(states))
    }

    /// The SNS filter policy that lets these states through, by the message
    /// attribute `status`: `{"status": ["SUCCEEDED"]}`.
    pub fn filter_policy(&self) -> String {
        serde_json::json!({ "status": self.0 }).to_string()
    }

    /// The statuses that a filter policy of [`Self::filter_policy`] names.
    pub fn from_filter_policy(policy: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct FilterPolicy {
            status: Vec<QueryState>,
        }
        let policy: FilterPolicy = serde_json::from_str(policy).ok()?;
        Self::new(policy.status).ok()
    }
}

impl Default for Statuses {
    fn default() -> Self {
        Self(BTreeSet::from([QueryState::Succeeded]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use QueryState::{Cancelled, Failed, Queued, Succeeded};

    #[test]
    fn only_terminal_states_can_be_asked_for() {
        assert_eq!(Statuses::new([]), Err(BadStatuses));
        assert_eq!(Statuses::new([Succeeded, Queued]), Err(BadStatuses));
        assert_eq!(
            Statuses::new([Succeeded, Succeeded]),
            Ok(Statuses::default())
        );
        let names = |list: &[&str]| {
            list.iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            Statuses::parse(&names(&["FAILED", "CANCELLED"])),
            Statuses::new([Cancelled, Failed])
        );
        for list in [
            &[][..],
            &["succeeded"],
            &["RUNNING"],
            &["SUCCEEDED", "DONE"],
        ] {
            assert_eq!(Statuses::parse(&names(list)), Err(BadStatuses), "{list:?}");
        }
    }

    #[test]
    fn the_filter_policy_says_the_same() {
        let wanted = Statuses::new([Cancelled, Failed]).unwrap();
        let policy = wanted.filter_policy();
        assert_eq!(policy, r#"{"status":["FAILED","CANCELLED"]}"#);
        assert_eq!(Statuses::from_filter_policy(&policy), Some(wanted));
        assert_eq!(Statuses::from_filter_policy("{}"), None);
        assert_eq!(Statuses::from_filter_policy(""), None);
    }
}
