//! Looking through a dead-letter queue.
//!
//! SQS has no way to look at a message but to receive it, which hides it for a while.
//! Who has looked makes the messages visible again.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as Attribute};
use bellwire_runtime::aws::Lazy;
use time::{Duration, OffsetDateTime};

use crate::QueueError;

/// For how long a message is hidden, in seconds: longer than looking takes.
const HIDDEN: i32 = 300;
/// The most messages of one answer of SQS.
const BATCH: i32 = 10;
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

    /// Takes up to `most` of the dead letters: nobody else sees them until they are
    /// released, or for five minutes. A FIFO queue gives out ten of each topic.
    pub async fn take(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let answer = self
                .sqs
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(BATCH)
                .wait_time_seconds(LOOKED_FOR)
                .visibility_timeout(HIDDEN)
                .message_system_attribute_names(Attribute::SentTimestamp)
                .message_attribute_names("reason")
                .send()
                .await?;
            let messages = answer.messages.unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            taken.extend(messages.into_iter().map(DeadLetter::from));
        }
        Ok(taken)
    }

    /// Lets others see a dead letter again.
    pub async fn release(&self, letter: &DeadLetter) -> Result<(), QueueError> {
        self.sqs
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(&letter.handle)
            .visibility_timeout(0)
            .send()
            .await?;
        Ok(())
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
            body: message.body.unwrap_or_default(),
            reason,
            sent_at: OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(millis),
            handle: message.receipt_handle.unwrap_or_default(),
        }
    }
}
