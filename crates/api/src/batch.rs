//! Calls that take several events at once: each is accepted or refused by itself, and the response, 207, says of each
//! what came of it, in their order.

use bellwire_domain::ids::EventId;
use lambda_http::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::{Failure, body};

/// The most events of a batch.
const MAX_EVENTS: usize = 100;

/// The body of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    events: Vec<Box<RawValue>>,
}

/// The events of a batch, each as JSON that is yet to be parsed.
///
/// # Errors
/// 413 for a body of more than 1 MiB; 400 for one that is not `{"events": […]}` with 1 to 100 events.
pub fn events(request: &Request) -> Result<Vec<Box<RawValue>>, Failure> {
    let Batch { events } = body::large_json(request)?;
    if (1..=MAX_EVENTS).contains(&events.len()) {
        Ok(events)
    } else {
        let problem = format!("must have 1 to {MAX_EVENTS} events");
        Err(Failure::field("events", problem))
    }
}

/// Parses an event of a batch as an object of the shape `T`.
///
/// # Errors
/// 400 for one that is not a `T`; the message names the field at fault, such as `events[3].payload`.
pub fn event<T: DeserializeOwned>(index: usize, json: &RawValue) -> Result<T, Failure> {
    body::part(json.get()).map_err(|failure| failure.within(&format!("events[{index}]")))
}

/// What came of an event: its id, and 202 under the name `status`; or the failure, as a response says it.
pub fn outcome(status: &str, outcome: Result<EventId, Failure>) -> Value {
    let failure = match outcome {
        Ok(id) => return json!({ status: 202, "id": id }),
        Err(failure) => failure,
    };
    failure.log();
    let code = failure.status().as_u16();
    match failure.named_field() {
        Some(field) => json!({ status: code, "field": field, "message": failure.message() }),
        None => json!({ status: code, "message": failure.message() }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        #[allow(dead_code)]
        payload: Box<RawValue>,
        #[serde(default)]
        #[allow(dead_code)]
        key: Option<String>,
    }

    fn problem(json: &str) -> Value {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        let id = event::<Entry>(3, &raw).map(|_| EventId::new("e"));
        outcome("status", id)
    }

    #[test]
    fn an_event_that_is_refused_names_its_place_and_field() {
        assert_eq!(
            problem(r#"{"payload": 1}"#),
            json!({"status": 202, "id": "e"})
        );
        assert_eq!(
            problem(r#"{"payload": 1, "key": 2}"#)["field"],
            "events[3].key"
        );
        for whole in ["1", "[]", "{}", r#"{"payload": 1, "other": 2}"#] {
            let problem = problem(whole);
            assert_eq!(problem["field"], "events[3]", "{whole}");
            assert!(
                problem["message"]
                    .as_str()
                    .unwrap()
                    .starts_with("events[3]: "),
                "{problem}"
            );
        }
    }
}
