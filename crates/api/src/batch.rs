//! Calls that take several events at once: each is accepted or refused by itself, and the response, 207, says of each
//! what came of it, in their order.

use std::collections::HashSet;

use bellwire_domain::ids::{EventId, idempotent_event_id, new_event_id};
use lambda_http::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::{Failure, body, idempotency_key};

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

/// The ids of the events of a batch, of which those with an idempotency key have one that follows from it.
#[derive(Debug)]
pub struct EventIds<'a> {
    client_id: &'a str,
    /// The field that has the key.
    field: &'static str,
    keyed: HashSet<EventId>,
}

impl<'a> EventIds<'a> {
    /// For events of this publisher, whose keys are in `field`.
    pub fn new(client_id: &'a str, field: &'static str) -> Self {
        Self {
            client_id,
            field,
            keyed: HashSet::new(),
        }
    }

    /// The id of an event of `source`, a topic's id or an entity's key.
    ///
    /// # Errors
    /// 400 for a key that is no `Idempotency-Key`.
    pub fn of(&self, index: usize, source: &str, key: Option<&str>) -> Result<EventId, Failure> {
        let Some(key) = key else {
            return Ok(new_event_id());
        };
        idempotency_key::check(&self.named(index), key)?;
        Ok(idempotent_event_id(self.client_id, source, key))
    }

    /// Takes the id of an event that has a key.
    ///
    /// # Errors
    /// 400 when another event of the batch has it.
    pub fn take(&mut self, index: usize, id: &EventId) -> Result<(), Failure> {
        if self.keyed.insert(id.clone()) {
            return Ok(());
        }
        let problem = "is that of another event of the batch";
        Err(Failure::field(self.named(index), problem))
    }

    fn named(&self, index: usize) -> String {
        format!("events[{index}].{}", self.field)
    }
}

/// An event of a batch that was accepted, and what is to be fanned out of it: nothing if it was published before.
#[derive(Clone, Debug)]
pub struct Accepted<R> {
    /// The id of the event.
    pub event_id: EventId,
    /// The event on record.
    pub recorded: Option<R>,
}

/// What came of the events of a batch, in their order: of each its id, or why it was refused. Without `fanned_out`, those that were to be
/// fanned out are on record, and nobody does it: their publisher has to repeat them.
pub fn outcomes<R>(
    status: &str,
    accepted: Vec<Result<Accepted<R>, Failure>>,
    fanned_out: bool,
) -> Vec<Value> {
    let outcomes = accepted.into_iter().map(|accepted| {
        accepted.and_then(|accepted| match accepted.recorded {
            Some(_) if !fanned_out => Err(Failure::internal("the event was not fanned out")),
            _ => Ok(accepted.event_id),
        })
    });
    outcomes.map(|it| outcome(status, it)).collect()
}

/// What came of an event: its id, and 202 under the name `status`; or the failure, as a response says it.
fn outcome(status: &str, outcome: Result<EventId, Failure>) -> Value {
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
        for (event, field) in [
            ("1", "events[3]"),
            ("[]", "events[3]"),
            ("{}", "events[3].payload"),
            (r#"{"payload": 1, "other": 2}"#, "events[3].other"),
        ] {
            let problem = problem(event);
            assert_eq!(problem["field"], field, "{event}");
            let message = problem["message"].as_str().unwrap();
            assert!(message.starts_with(&format!("{field}: ")), "{message}");
        }
    }
}
