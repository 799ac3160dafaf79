//! Which outcomes of queries a subscription is notified of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::query::state::QueryState;

/// A set of terminal query states, never empty. [`Default`] is `SUCCEEDED` alone: protocol A
/// notifies of success only, unless a client asks for more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<QueryState>")]
pub struct Statuses(BTreeSet<QueryState>);

/// The list of statuses is empty, or names something else than terminal states.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a list of one or more of SUCCEEDED, FAILED and CANCELLED")]
pub struct BadStatuses;

impl Statuses {
    /// Reads a list of names that a client sent; repeated names count once.
    pub fn parse(names: &[String]) -> Result<Self, BadStatuses> {
        let state = |name: &String| QueryState::from_name(name).ok_or(BadStatuses);
        Self::new(names.iter().map(state).collect::<Result<Vec<_>, _>>()?)
    }

    /// The set of these states, of which repeated ones count once; refuses an empty set, and states
    /// that are not terminal.
    pub fn new(states: impl IntoIterator<Item = QueryState>) -> Result<Self, BadStatuses> {
        let states: BTreeSet<_> = states.into_iter().collect();
        if states.is_empty() || !states.iter().all(|state| state.is_terminal()) {
            return Err(BadStatuses);
        }
        Ok(Self(states))
    }

    /// All terminal states.
    pub fn all() -> Self {
        let terminal = [
            QueryState::Succeeded,
            QueryState::Failed,
            QueryState::Cancelled,
        ];
        Self(BTreeSet::from(terminal))
    }

    /// The states as a JSON array: `["SUCCEEDED","FAILED"]`.
    pub fn to_json(&self) -> String {
        serde_json::json!(self.0).to_string()
    }

    /// The SNS filter policy that lets these states through, by the message
    /// attribute `status`: `{"status": ["SUCCEEDED"]}`.
    pub fn filter_policy(&self) -> String {
        serde_json::json!({ "status": self.0 }).to_string()
    }

    /// The statuses of a filter policy in the form of [`Self::filter_policy`]; `None` for any other
    /// policy.
    pub fn from_filter_policy(policy: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct FilterPolicy {
            status: Vec<QueryState>,
        }
        let policy: FilterPolicy = serde_json::from_str(policy).ok()?;
        Self::new(policy.status).ok()
    }
}

/// As [`Statuses::new`]: what is read from a table is checked too.
impl TryFrom<Vec<QueryState>> for Statuses {
    type Error = BadStatuses;

    fn try_from(states: Vec<QueryState>) -> Result<Self, BadStatuses> {
        Self::new(states)
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
        for text in ["[]", r#"["SUCCEEDED", "QUEUED"]"#, r#"["GONE"]"#] {
            assert!(serde_json::from_str::<Statuses>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Statuses>(r#"["FAILED"]"#).is_ok());
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
    fn all_are_the_terminal_states() {
        let all = r#"["SUCCEEDED","FAILED","CANCELLED"]"#;
        assert_eq!(Statuses::all().to_json(), all);
        assert!(Statuses::all().0.iter().all(|state| state.is_terminal()));
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
