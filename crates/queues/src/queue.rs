//! Sending messages to queues.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{BuildError, SdkError};
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use bellwire_runtime::aws::Lazy;
use bellwire_runtime::backoff::Backoff;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use crate::delivery::Delivery;
use crate::messages::Publication;

/// The maximum number of messages in a batch.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
const BATCH: usize = 10;
/// How many batches are sent at once.
const AT_ONCE: usize = 16;
/// The longest delay of a message that SQS allows.
pub const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);

/// A queue of SQS, to send messages to.
#[derive(Clone, Debug)]
pub struct Queue {
    sqs: Lazy<Client>,
    url: String,
}

/// A message could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// SQS refused, throttled or did not answer, after all retries.
    #[error("SQS: {0}")]
    Sqs(String),
    /// A message can't be written as JSON: a defect of this system.
    #[error("malformed message: {0}")]
    Json(#[from] serde_json::Error),
    /// A request lacks a field that the SDK requires: a defect of this crate.
    #[error("incomplete request: {0}")]
    Incomplete(#[from] BuildError),
}

impl<E, R> From<SdkError<E, R>> for QueueError
where
    E: Error + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    /// Keeps the chain of causes, without the request and the response.
    fn from(error: SdkError<E, R>) -> Self {
        Self::Sqs(format!("{:#}", anyhow::Error::from(error)))
    }
}

/// A message that is to be sent.
#[derive(Clone, Debug)]
pub struct Message {
    body: String,
    group: Option<String>,
    deduplication: Option<String>,
    delay: Duration,
}

impl Message {
    /// Its body.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// A message with this body, as JSON.
    pub fn new(body: &impl serde::Serialize) -> Result<Self, QueueError> {
        let body = serde_json::to_string(body)?;
        // The two characters that JSON allows unescaped and SQS refuses.
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
        let body = body
            .replace('\u{fffe}', "\\ufffe")
            .replace('\u{ffff}', "\\uffff");
        Ok(Self::raw(body))
    }

    /// A publication, for a FIFO queue: in order within its topic, and deduplicated by its id.
    pub fn publication(publication: &Publication) -> Result<Self, QueueError> {
        let (group, id) = (&publication.topic_id, &publication.event_id);
        Ok(Self::new(publication)?.once(group.to_string(), id.to_string()))
    }

    /// A message with this text as its body, unchanged.
    pub fn raw(body: String) -> Self {
        Self {
            body,
            group: None,
            deduplication: None,
            delay: Duration::ZERO,
        }
    }

    /// The message in this group, deduplicated by this id: for a FIFO queue.
    pub fn once(self, group: String, id: String) -> Self {
        Self {
            group: Some(group),
            deduplication: Some(id),
            ..self
        }
    }

    /// A delivery, in the group of its client, so that one client's deliveries don't delay another's.
    pub fn delivery(delivery: &Delivery) -> Result<Self, QueueError> {
        Ok(Self {
            group: Some(delivery.client_id.clone()),
            ..Self::new(delivery)?
        })
    }

    /// The message, delayed; by [`LONGEST_DELAY`] at most.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The delay in whole seconds, the unit of SQS, rounded up.
    fn seconds(&self) -> i32 {
        let delay = self.delay.min(LONGEST_DELAY).as_secs_f64().ceil();
        // At most 900.
        #[allow(clippy::cast_possible_truncation)]
        let seconds = delay as i32;
        seconds
    }
}

impl Queue {
    /// `url` is the queue's URL.
    pub fn new(sqs: Lazy<Client>, url: String) -> Self {
        Self { sqs, url }
    }

    /// Sends a message.
    pub async fn send(&self, message: Message) -> Result<(), QueueError> {
        let delay = (!message.delay.is_zero()).then(|| message.seconds());
        self.sqs
            .send_message()
            .queue_url(&self.url)
            .message_body(message.body)
            .set_message_group_id(message.group)
            .set_message_deduplication_id(message.deduplication)
            .set_delay_seconds(delay)
            .send()
            .await?;
        Ok(())
    }

    /// The parameters of the call `SendMessage`, for another service that sends the message.
    pub fn call(&self, message: Message) -> serde_json::Value {
        serde_json::json!({
            "QueueUrl": self.url,
            "MessageBody": message.body,
            "MessageGroupId": message.group,
        })
    }

    /// Sends many messages, in batches, several at once and in no order. After an error some of them may
    /// have been sent.
    pub async fn send_all(&self, messages: Vec<Message>) -> Result<(), QueueError> {
        let mut entries = Vec::with_capacity(messages.len());
        for (number, message) in messages.into_iter().enumerate() {
            let delay = (!message.delay.is_zero()).then(|| message.seconds());
            entries.push(
                SendMessageBatchRequestEntry::builder()
                    .id(number.to_string())
                    .message_body(message.body)
                    .set_message_group_id(message.group)
                    .set_message_deduplication_id(message.deduplication)
                    .set_delay_seconds(delay)
                    .build()?,
            );
        }
        let batches: Vec<_> = entries.chunks(BATCH).map(<[_]>::to_vec).collect();
        stream::iter(batches)
            .map(|batch| self.send_batch(batch))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await
    }

    async fn send_batch(
        &self,
        mut entries: Vec<SendMessageBatchRequestEntry>,
    ) -> Result<(), QueueError> {
        let mut backoff = Backoff::new();
        loop {
            let answer = self
                .sqs
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.clone()))
                .send()
                .await?;
            let Some(failed) = answer.failed().first() else {
                return Ok(());
            };
            let refusal = failed.message().unwrap_or_default();
            let refusal = QueueError::Sqs(format!("{}: {refusal}", failed.code()));
            // A message that SQS refuses as the sender's fault is refused again.
            let hopeless = answer.failed().iter().any(|it| it.sender_fault());
            entries.retain(|entry| answer.failed().iter().any(|it| it.id() == entry.id()));
            if hopeless || !backoff.pause().await {
                return Err(refusal);
            }
        }
    }

    /// Puts a message that can't be processed into this dead-letter queue, with its body unchanged and
    /// the reason in the attribute `reason`.
    pub async fn dead_letter(
        &self,
        body: &str,
        reason: &str,
        group: Option<String>,
        deduplication: Option<String>,
    ) -> Result<(), QueueError> {
        let reason = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(reason)
            .build()?;
        self.sqs
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .message_attributes("reason", reason)
            .set_message_group_id(group)
            .set_message_deduplication_id(deduplication)
            .send()
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_no_character_that_sqs_refuses() {
        let text = "\u{0}\u{fffe}\u{ffff}é";
        let message = Message::new(&text).unwrap();
        assert_eq!(message.body, r#""\u0000\ufffe\uffffé""#);
        let read: String = serde_json::from_str(&message.body).unwrap();
        assert_eq!(read, text);
    }
}
