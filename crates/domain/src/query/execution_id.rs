//! The id of a query execution.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most characters of an id, as in Athena's API.
pub const MAX_EXECUTION_ID_LENGTH: usize = 128;

/// The id that Athena gave to a query execution: 1 to 128 letters, digits,
/// hyphens and underscores (Athena's own are UUIDs).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ExecutionId(String);

/// The text doesn't have the form of an execution id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {MAX_EXECUTION_ID_LENGTH} letters, digits, hyphens or underscores")]
pub struct NotAnExecutionId;

impl ExecutionId {
    /// Reads an id; refuses a text that doesn't have the form of one.
    pub fn parse(text: &str) -> Result<Self, NotAnExecutionId> {
        let written_as_one = (1..=MAX_EXECUTION_ID_LENGTH).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if written_as_one {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnExecutionId)
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As [`ExecutionId::parse`]: what is read from a table or a message is checked too.
impl TryFrom<String> for ExecutionId {
    type Error = NotAnExecutionId;

    fn try_from(text: String) -> Result<Self, NotAnExecutionId> {
        Self::parse(&text)
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_are_ids() {
        assert!(ExecutionId::parse("694e7d20-076a-404a-8adf-d5c58a194a09").is_ok());
        assert!(ExecutionId::parse(&"a".repeat(128)).is_ok());
        for text in ["", "a b", "a/b", "é", &"a".repeat(129)] {
            assert_eq!(ExecutionId::parse(text), Err(NotAnExecutionId), "{text}");
            let json = serde_json::to_string(text).unwrap();
            assert!(
                serde_json::from_str::<ExecutionId>(&json).is_err(),
                "{text}"
            );
        }
    }
}
