//! The event, as Athena publishes it.
//! <https://docs.aws.amazon.com/athena/latest/ug/athena-events.html>

use bellwire_rules::timestamp::iso_serde;
use bellwire_rules::{ExecutionId, QueryState};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use time::OffsetDateTime;

/// The part of the event that is used. Anything more in it is left alone.
#[derive(Debug, Deserialize)]
pub struct StateChange {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    /// When the state changed; to the second.
    #[serde(with = "iso_serde")]
    pub time: OffsetDateTime,
    /// What changed.
    pub detail: Detail,
}

/// What changed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// Which query.
    #[serde(rename = "queryExecutionId", deserialize_with = "execution_id")]
    pub execution_id: ExecutionId,
    /// Its new state.
    #[serde(rename = "currentState")]
    pub state: QueryState,
    /// Grows with each change of the same query. Athena writes it as a text.
    #[serde(deserialize_with = "number_in_text")]
    pub sequence_number: u64,
    /// Why a query failed.
    #[serde(rename = "athenaError", default)]
    pub error: Option<AthenaError>,
}

/// Why a query failed.
#[derive(Debug, Deserialize)]
pub struct AthenaError {
    /// In words.
    #[serde(rename = "errorMessage", default)]
    pub message: Option<String>,
}

/// The event is not one that this function understands.
#[derive(Debug, thiserror::Error)]
pub enum BadEvent {
    /// It lacks a field, or a field is not written as Athena writes it.
    #[error("not an Athena Query State Change: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is another event.
    #[error("not an Athena Query State Change, but {detail_type} from {source_name}")]
    Other {
        /// The event's `detail-type`.
        detail_type: String,
        /// The event's `source`.
        source_name: String,
    },
}

impl StateChange {
    /// Reads an event.
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

fn execution_id<'de, D: Deserializer<'de>>(from: D) -> Result<ExecutionId, D::Error> {
    ExecutionId::parse(&String::deserialize(from)?).map_err(de::Error::custom)
}

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
                // "no" is an id like any other.
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
