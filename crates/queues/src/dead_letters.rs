//! Looking through a dead-letter queue.
//!
//! SQS has no way to look at a message but to receive it, which hides it for a while. Who looks
//! keeps the messages hidden for as long as that takes, and makes them visible again afterwards.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName as Attribute,
};
use bellwire_runtime::aws::Lazy;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use crate::QueueError;

/// For how long a message is hidden, in seconds, from when it was received or last hidden: what
/// somebody who is killed while looking at it leaves hidden is visible again after that time.
pub const HIDDEN_SECONDS: i32 = 30;
/// The most messages of one call of SQS.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html>
const BATCH: usize = 10;
/// How long SQS looks for messages, in seconds: on all of its servers, and not on some.
const LOOKED_FOR: i32 = 1;

/// A dead letter.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The id of the message.
    pub id: String,
    /// What it carries.
    pub body: String,
    /// Why it is here, if whoever put it here said so.
    pub reason: Option<String>,
    /// When it was sent.
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
    /// The queue of this URL.
    pub fn new(sqs: Lazy<Client>, url: String) -> Self {
        Self { sqs, url }
    }

    /// Receives up to ten of the dead letters that are visible, and hides them for
    /// [`HIDDEN_SECONDS`]; none when there are no more. A FIFO queue gives out ten of each topic.
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

    /// Hides dead letters that were received for another [`HIDDEN_SECONDS`].
    pub async fn hide(&self, letters: &[DeadLetter]) -> Result<(), QueueError> {
        self.set_visibility(letters, HIDDEN_SECONDS).await
    }

    /// Lets others see dead letters again, at once.
    pub async fn release(&self, letters: &[DeadLetter]) -> Result<(), QueueError> {
        self.set_visibility(letters, 0).await
    }

    /// Removes a dead letter for good.
    pub async fn remove(&self, letter: &DeadLetter) -> Result<(), QueueError> {
        self.sqs
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(&letter.handle)
            .send()
            .await?;
        Ok(())
    }

    /// What SQS fails to do for one of the letters is left as it is: it is hidden no longer than
    /// [`HIDDEN_SECONDS`] in any case.
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

/// What a message carries that EventBridge Scheduler could not send: it leaves the parameters of its call.
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
