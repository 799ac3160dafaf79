//! Reading a dead-letter queue.
//!
//! SQS has no way to read a message but to receive it, which hides it for a while. A reader keeps the
//! messages hidden for as long as it needs them, and makes them visible again afterwards.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName as Attribute,
};
use bellwire_runtime::aws::Lazy;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use crate::QueueError;

/// How long a message is hidden, in seconds, from when it was received or last hidden. If a reader is
/// killed, its messages are visible again after that time.
pub const HIDDEN_SECONDS: i32 = 30;
/// The maximum number of messages in one call of SQS.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html>
const BATCH: usize = 10;
/// How long SQS waits for messages, in seconds. If it waits, it queries all of its servers, not a part.
const LOOKED_FOR: i32 = 1;

/// A dead letter: a message in a dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The id of the message.
    pub id: String,
    /// The body of the message, as it was first sent.
    pub body: String,
    /// Why it was dead-lettered, from the attribute `reason`; missing if SQS or another service moved it.
    pub reason: Option<String>,
    /// When it was sent, according to SQS.
    pub sent_at: OffsetDateTime,
    handle: String,
}

/// A dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    sqs: Lazy<Client>,
    url: String,
}

impl DeadLetters {
    /// `url` is the queue's URL.
    pub fn new(sqs: Lazy<Client>, url: String) -> Self {
        Self { sqs, url }
    }

    /// Receives up to ten of the dead letters that are visible, and hides them for [`HIDDEN_SECONDS`];
    /// none if there are no more. Of a FIFO queue, at most ten of each topic are received.
    pub async fn receive(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let answer = self
            .sqs
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(BATCH as i32)
            .wait_time_seconds(LOOKED_FOR)
            .visibility_timeout(HIDDEN_SECONDS)
            .message_system_attribute_names(Attribute::SentTimestamp)
            .message_attribute_names("reason")
            .send()
            .await?;
        let messages = answer.messages.unwrap_or_default();
        Ok(messages.into_iter().map(DeadLetter::from).collect())
    }

    /// Hides received dead letters for another [`HIDDEN_SECONDS`].
    pub async fn hide(&self, letters: &[DeadLetter]) -> Result<(), QueueError> {
        self.set_visibility(letters, HIDDEN_SECONDS).await
    }

    /// Makes received dead letters visible again, at once.
    pub async fn release(&self, letters: &[DeadLetter]) -> Result<(), QueueError> {
        self.set_visibility(letters, 0).await
    }

    /// Deletes a dead letter.
    pub async fn remove(&self, letter: &DeadLetter) -> Result<(), QueueError> {
        self.sqs
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(&letter.handle)
            .send()
            .await?;
        Ok(())
    }

    /// Failures of single dead letters are ignored: they are hidden no longer than [`HIDDEN_SECONDS`] in
    /// any case.
    async fn set_visibility(&self, letters: &[DeadLetter], seconds: i32) -> Result<(), QueueError> {
        for batch in letters.chunks(BATCH) {
            let mut request = self
                .sqs
                .change_message_visibility_batch()
                .queue_url(&self.url);
            for (n, letter) in batch.iter().enumerate() {
                request = request.entries(
                    ChangeMessageVisibilityBatchRequestEntry::builder()
                        .id(n.to_string())
                        .receipt_handle(&letter.handle)
                        .visibility_timeout(seconds)
                        .build()?,
                );
            }
            request.send().await?;
        }
        Ok(())
    }
}

/// The body of a message that EventBridge Scheduler could not send: its dead letter has the parameters of
/// the call `SendMessage`. Other bodies are returned as they are.
fn sent_by_scheduler(body: String) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Call {
        #[serde(rename = "QueueUrl")]
        _queue_url: String,
        message_body: String,
        #[serde(rename = "MessageGroupId")]
        _group: Option<String>,
    }
    serde_json::from_str::<Call>(&body).map_or(body, |call| call.message_body)
}

impl From<Message> for DeadLetter {
    fn from(message: Message) -> Self {
        let attribute = |name| message.attributes.as_ref()?.get(&name)?.parse::<i64>().ok();
        let millis = attribute(Attribute::SentTimestamp).unwrap_or_default();
        let reason = message
            .message_attributes
            .as_ref()
            .and_then(|attributes| attributes.get("reason")?.string_value.clone());
        Self {
            id: message.message_id.unwrap_or_default(),
            body: sent_by_scheduler(message.body.unwrap_or_default()),
            reason,
            sent_at: OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(millis),
            handle: message.receipt_handle.unwrap_or_default(),
        }
    }
}
