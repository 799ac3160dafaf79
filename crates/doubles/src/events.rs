//! EventBridge: what was put on buses, and EventBridge Scheduler: schedules that end by themselves.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::aws::State;
use crate::client::{Call, json_response};

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    /// When it is due: `at(2026-01-01T00:00:00)`.
    pub expression: String,
    /// What its target is given, as JSON.
    pub input: Value,
}

/// Puts events on a bus. With `partial`, only the first.
pub fn put(call: &Call, state: &State, partial: bool) -> HttpResponse {
    let mut events = state.events.lock().unwrap();
    let entries = call.body["Entries"].as_array().unwrap();
    let done = if partial { 1 } else { entries.len() };
    events.extend(entries[..done].iter().cloned());
    let answers = entries.iter().enumerate().map(|(n, _)| {
        if n < done {
            json!({"EventId": Uuid::new_v4().to_string()})
        } else {
            json!({"ErrorCode": "InternalFailure", "ErrorMessage": "left out"})
        }
    });
    let answers: Vec<Value> = answers.collect();
    json_response(
        200,
        &json!({"FailedEntryCount": entries.len() - done, "Entries": answers}),
    )
}

/// Creates a schedule; 409 when there is one with the same name.
pub fn schedule(call: &Call, state: &State) -> HttpResponse {
    let name = call.path().rsplit('/').next().unwrap().to_owned();
    let mut schedules = state.schedules.lock().unwrap();
    if schedules.contains_key(&name) {
        let body = json!({"Message": "exists", "__type": "ConflictException"});
        return json_response(409, &body);
    }
    let input = call.body["Target"]["Input"].as_str().unwrap();
    let scheduled = Scheduled {
        expression: call.body["ScheduleExpression"].as_str().unwrap().to_owned(),
        input: serde_json::from_str(input).unwrap(),
    };
    schedules.insert(name.clone(), scheduled);
    json_response(
        200,
        &json!({"ScheduleArn": format!("arn:aws:scheduler:us-east-1:123456789012:schedule/{name}")}),
    )
}
