//! SQS: what was sent, and batches as Lambda hands them to functions.

use aws_lambda_events::sqs::SqsMessage;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bellwire_queues::Received;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::aws::State;
use crate::client::{Call, json_response};

/// A message that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The body.
    pub body: String,
    /// The group.
    pub group: Option<String>,
    /// For how long it is delayed, in seconds.
    pub delay: u64,
    /// The attribute `reason`: why it is a dead letter.
    pub reason: Option<String>,
}

impl Sent {
    fn of(entry: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Self {
            body: text(&entry["MessageBody"]).unwrap(),
            group: text(&entry["MessageGroupId"]),
            delay: entry["DelaySeconds"].as_u64().unwrap_or(0),
            reason: text(&entry["MessageAttributes"]["reason"]["StringValue"]),
        }
    }
}

/// Carries out a call. With `partial`, of a batch only the first entry.
pub fn carry_out(call: &Call, state: &State, partial: bool) -> HttpResponse {
    let url = call.body["QueueUrl"].as_str().unwrap().to_owned();
    let mut queues = state.queues.lock().unwrap();
    let mut send = |entry: &Value| {
        queues.push((url.clone(), Sent::of(entry)));
        Uuid::new_v4().to_string()
    };
    let answer = match call.operation.as_str() {
        "SendMessage" => json!({"MessageId": send(&call.body), "MD5OfMessageBody": ""}),
        "SendMessageBatch" => {
            let entries = call.body["Entries"].as_array().unwrap();
            let done = if partial { 1 } else { entries.len() };
            let (done, left_out) = entries.split_at(done);
            let done: Vec<Value> = done
                .iter()
                .map(|entry| json!({"Id": entry["Id"], "MessageId": send(entry), "MD5OfMessageBody": ""}))
                .collect();
            let left_out: Vec<Value> = left_out
                .iter()
                .map(|entry| json!({"Id": entry["Id"], "Code": "InternalError", "SenderFault": false}))
                .collect();
            json!({"Successful": done, "Failed": left_out})
        }
        other => panic!("no double of {other}"),
    };
    json_response(200, &answer)
}

/// A message with this content as a function receives it, under the id `id`, in the group `group`.
pub fn received<T: Serialize>(id: &str, group: &str, content: T) -> Received<T> {
    let mut message = SqsMessage::default();
    message.message_id = Some(id.to_owned());
    message.body = Some(serde_json::to_string(&content).unwrap());
    let group = ("MessageGroupId".to_owned(), group.to_owned());
    message.attributes.extend([group]);
    Received { message, content }
}
