//! SQS, in memory: messages wait for the reader of their queue; those of queues without one are
//! dropped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bellwire_domain::ids::random_id;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The queues that have a reader, by their URLs.
#[derive(Default)]
pub struct Queues {
    readers: Mutex<HashMap<String, UnboundedSender<Message>>>,
    undone: AtomicUsize,
}

/// A message, as it is sent.
#[derive(Debug, Deserialize)]
pub struct Message {
    /// The body of the message.
    #[serde(rename = "MessageBody")]
    pub body: String,
    /// The group that the message is in, if it has one.
    #[serde(rename = "MessageGroupId")]
    pub group: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sending {
    queue_url: String,
    #[serde(flatten)]
    message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendingMany {
    queue_url: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    #[serde(flatten)]
    message: Message,
}

impl Queues {
    /// Makes the caller the reader of a queue. Returns the messages that are sent to it from now
    /// on.
    pub fn read(&self, url: &str) -> UnboundedReceiver<Message> {
        let (to, from) = unbounded_channel();
        self.readers().insert(url.to_owned(), to);
        from
    }

    /// Accepts the messages of a request. Returns what SQS answers.
    pub fn take(&self, operation: &str, body: &[u8]) -> Value {
        let sent = |n: usize| json!({"MessageId": n.to_string(), "MD5OfMessageBody": "0"});
        if operation != "SendMessageBatch" {
            if let Ok(it) = serde_json::from_slice::<Sending>(body) {
                self.put(&it.queue_url, vec![it.message]);
            }
            return sent(0);
        }
        let Ok(many) = serde_json::from_slice::<SendingMany>(body) else {
            return json!({"Successful": []});
        };
        let mut done = Vec::new();
        let mut messages = Vec::new();
        for Entry { id, message } in many.entries {
            done.push(json!({"Id": id, "MessageId": id, "MD5OfMessageBody": "0"}));
            messages.push(message);
        }
        self.put(&many.queue_url, messages);
        json!({ "Successful": done })
    }

    /// How many messages have been sent and not been processed yet.
    pub fn undone(&self) -> usize {
        self.undone.load(Ordering::Relaxed)
    }

    /// Records that so many messages have been processed.
    pub fn done(&self, messages: usize) {
        self.undone.fetch_sub(messages, Ordering::Relaxed);
    }

    fn put(&self, url: &str, messages: Vec<Message>) {
        if let Some(reader) = self.readers().get(url) {
            self.undone.fetch_add(messages.len(), Ordering::Relaxed);
            for message in messages {
                // The reader may have ended.
                let _ = reader.send(message);
            }
        }
    }

    fn readers(&self) -> MutexGuard<'_, HashMap<String, UnboundedSender<Message>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The event that Lambda makes of these messages.
pub fn event(messages: &[Message]) -> Bytes {
    let record = |message: &Message| {
        let mut attributes = json!({"ApproximateReceiveCount": "1", "SentTimestamp": "1795327944492",
            "SenderId": "bench", "ApproximateFirstReceiveTimestamp": "1795327944501"});
        if let (Some(group), Some(attributes)) = (&message.group, attributes.as_object_mut()) {
            attributes.insert("MessageGroupId".to_owned(), group.as_str().into());
        }
        json!({"messageId": random_id(), "receiptHandle": "bench", "body": message.body,
            "attributes": attributes, "messageAttributes": {}, "md5OfBody": "0",
            "eventSource": "aws:sqs", "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:bench"})
    };
    let records: Vec<Value> = messages.iter().map(record).collect();
    Bytes::from(json!({ "Records": records }).to_string())
}
