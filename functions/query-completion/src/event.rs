//! The event `Athena Query State Change`, as Athena publishes it on EventBridge.
//! <https://docs.aws.amazon.com/athena/latest/ug/athena-events.html>

use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::{ExecutionId, QueryState};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use time::OffsetDateTime;

/// The fields of the event that are used; others are ignored.
#[derive(Debug, Deserialize)]
pub struct StateChange {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    /// When the state changed, to the second.
    #[serde(with = "iso_serde")]
    pub time: OffsetDateTime,
    /// The query and its change of state.
    pub detail: Detail,
}

/// A query and its change of state: the event's field `detail`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// The id of the query's execution.
    #[serde(rename = "queryExecutionId", deserialize_with = "execution_id")]
    pub execution_id: ExecutionId,
    /// The new state.
    #[serde(rename = "currentState")]
    pub state: QueryState,
    /// Grows with each change of the same query's state. Athena writes it as a string.
    #[serde(deserialize_with = "number_in_text")]
    pub sequence_number: u64,
    /// Why the query failed; missing if it didn't.
    #[serde(rename = "athenaError", default)]
    pub error: Option<AthenaError>,
}

/// Why a query failed, in the event's field `athenaError`.
#[derive(Debug, Deserialize)]
pub struct AthenaError {
    /// The reason, as text; missing if Athena gives none.
    #[serde(rename = "errorMessage", default)]
    pub message: Option<String>,
}

/// The event can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BadEvent {
    /// A field is missing, or is not written as Athena writes it.
    #[error("not an Athena Query State Change: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is an event of another type or source.
    #[error("not an Athena Query State Change, but {detail_type} from {source_name}")]
    Other {
        /// The event's `detail-type`.
        detail_type: String,
        /// The event's `source`.
        source_name: String,
    },
}

impl StateChange {
    /// Reads an event, as EventBridge delivers it.
    ///
    /// # Errors
    /// When a used field is missing or malformed, or it is another event.
    pub fn read(event: Value) -> Result<Self, BadEvent> {
        let event: Self = serde_json::from_value(event)?;
        if event.source == "aws.athena" && event.detail_type == "Athena Query State Change" {
            Ok(event)
        } else {
            Err(BadEvent::Other {
                detail_type: event.detail_type,
                source_name: event.source,
            })
        }
    }
}

/// Reads the id of an execution.
fn execution_id<'de, D: Deserializer<'de>>(from: D) -> Result<ExecutionId, D::Error> {
    ExecutionId::parse(&String::deserialize(from)?).map_err(de::Error::custom)
}

/// Reads a number that is written as a string.
fn number_in_text<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    String::deserialize(from)?
        .parse()
        .map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "version": "0",
            "id": "abcdef00-1234-5678-9abc-def012345678",
            "detail-type": "Athena Query State Change",
            "source": "aws.athena",
            "account": "123456789012",
            "time": "2019-10-06T09:30:10Z",
            "region": "us-east-1",
            "resources": [],
            "detail": {
                "versionId": "0",
                "currentState": "SUCCEEDED",
                "previousState": "RUNNING",
                "statementType": "DML",
                "queryExecutionId": "01234567-0123-0123-0123-012345678901",
                "workgroupName": "primary",
                "sequenceNumber": "3"
            }
        })
    }

    #[test]
    fn athenas_event_is_read() {
        let read = StateChange::read(event()).unwrap();
        assert_eq!(read.time.unix_timestamp(), 1_570_354_210);
        assert_eq!(read.detail.state, QueryState::Succeeded);
        assert_eq!(read.detail.sequence_number, 3);
        assert!(read.detail.error.is_none());
    }

    #[test]
    fn a_failure_says_why() {
        let mut event = event();
        event["detail"]["athenaError"] = json!({
            "errorCategory": 2.0, "errorType": 1306.0, "errorMessage": "Amazon S3 error", "retryable": false
        });
        let read = StateChange::read(event).unwrap();
        assert_eq!(
            read.detail.error.unwrap().message.unwrap(),
            "Amazon S3 error"
        );
    }

    #[test]
    fn events_with_missing_or_wrong_fields_are_errors() {
        for pointer in [
            "/source",
            "/detail-type",
            "/time",
            "/detail",
            "/detail/queryExecutionId",
            "/detail/currentState",
            "/detail/sequenceNumber",
        ] {
            for wrong in [json!(null), json!(7), json!("no")] {
                let mut event = event();
                *event.pointer_mut(pointer).unwrap() = wrong.clone();
                // "no" is a valid id.
                if pointer != "/detail/queryExecutionId" || wrong != json!("no") {
                    assert!(StateChange::read(event).is_err(), "{pointer} {wrong}");
                }
            }
            let mut event = event();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            event
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(key);
            assert!(StateChange::read(event).is_err(), "{pointer}");
        }
    }
}
