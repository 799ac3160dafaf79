//! The notification that a query has ended (protocol A).

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::random_id;
use crate::query::execution_id::ExecutionId;
use crate::query::state::QueryState;
use crate::timestamp;

/// How a notification is written into the body of a POST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The POST body is the notification and nothing else.
    #[default]
    Raw,
    /// The POST body is the signed SNS envelope, with the notification in `Message`.
    Envelope,
}

/// The text is not the name of a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be raw or envelope")]
pub struct BadFormat;

impl FromStr for Format {
    type Err = BadFormat;

    fn from_str(name: &str) -> Result<Self, BadFormat> {
        match name {
            "raw" => Ok(Self::Raw),
            "envelope" => Ok(Self::Envelope),
            _ => Err(BadFormat),
        }
    }
}

/// One notification of protocol A, as it is written into JSON:
/// `{"status": "SUCCEEDED", "QueryExecutionId": "…", "time_completed": "2020-01-17 22:04:24.089113"}`,
/// with `state_change_reason` where Athena gave one.
#[derive(Debug, Serialize)]
pub struct Notification<'a> {
    /// How the query ended: a terminal state.
    pub status: QueryState,
    /// The query that ended.
    #[serde(rename = "QueryExecutionId")]
    pub execution_id: &'a ExecutionId,
    /// When it ended: in UTC, with microseconds.
    #[serde(serialize_with = "timestamp::serialize_spaced")]
    pub time_completed: OffsetDateTime,
    /// Why it ended in this state, where Athena gave a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_change_reason: Option<&'a str>,
}

impl Notification<'_> {
    /// The notification as JSON.
    ///
    /// # Errors
    /// None, as long as every field has a form in JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// A notification of no query, which a client has sent to its own URLs to try them:
/// `{"status": "TEST", "QueryExecutionId": "…", "time_completed": "2020-01-17 22:04:24.089113"}`.
#[derive(Debug, Serialize)]
pub struct TestNotification {
    status: &'static str,
    #[serde(rename = "QueryExecutionId")]
    execution_id: String,
    #[serde(serialize_with = "timestamp::serialize_spaced")]
    time_completed: OffsetDateTime,
}

impl TestNotification {
    /// A test at this time. Its id is a random UUID, which no query has.
    pub fn at(now: OffsetDateTime) -> Self {
        Self {
            status: "TEST",
            execution_id: random_id(),
            time_completed: now,
        }
    }

    /// The notification as JSON.
    ///
    /// # Errors
    /// None, as long as every field has a form in JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn formats_have_the_same_names_everywhere() {
        for format in [Format::Raw, Format::Envelope] {
            let name = serde_json::to_value(format).unwrap();
            assert_eq!(name.as_str().unwrap().parse(), Ok(format));
        }
        assert_eq!("Raw".parse::<Format>(), Err(BadFormat));
    }

    #[test]
    fn it_reads_as_the_protocol_says() {
        let id = ExecutionId::parse("694e7d20-076a-404a-8adf-d5c58a194a09").unwrap();
        let mut notification = Notification {
            status: QueryState::Succeeded,
            execution_id: &id,
            time_completed: datetime!(2020-01-17 23:04:24.089113 +1),
            state_change_reason: None,
        };
        assert_eq!(
            notification.to_json().unwrap(),
            r#"{"status":"SUCCEEDED","QueryExecutionId":"694e7d20-076a-404a-8adf-d5c58a194a09","time_completed":"2020-01-17 22:04:24.089113"}"#
        );
        notification.status = QueryState::Failed;
        notification.state_change_reason = Some("SYNTAX_ERROR");
        assert!(
            notification
                .to_json()
                .unwrap()
                .ends_with(r#""state_change_reason":"SYNTAX_ERROR"}"#)
        );
    }
    #[test]
    fn a_test_has_the_keys_of_a_notification_and_the_id_of_no_query() {
        let now = datetime!(2020-01-17 22:04:24 UTC);
        let [first, second] = [TestNotification::at(now), TestNotification::at(now)];
        assert_ne!(first.execution_id, second.execution_id);
        assert!(ExecutionId::parse(&first.execution_id).is_ok());
        assert_eq!(
            first.to_json().unwrap(),
            format!(
                r#"{{"status":"TEST","QueryExecutionId":"{}","time_completed":"2020-01-17 22:04:24.000000"}}"#,
                first.execution_id
            )
        );
    }
}
