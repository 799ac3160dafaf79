//! Runs a handler of batches as a Lambda function behind queues.

use std::collections::HashMap;
use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;
use bellwire_domain::ids::MessageId;
use bellwire_runtime::aws::Lazy;
use bellwire_runtime::deadline;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{Queue, QueueError};

/// The pause after which a message that failed is received again the first time. It doubles each time.
const FIRST: Duration = Duration::from_secs(5);
/// The longest such pause.
const LONGEST: Duration = Duration::from_secs(300);

/// How long a function waits for SQS to accept the pauses: its response to Lambda, which says which
/// messages are done, matters more.
const BRIEF: Duration = Duration::from_secs(2);

/// The queues that a function receives its messages from.
#[derive(Clone, Debug)]
pub struct Source {
    sqs: Lazy<Client>,
    urls: Vec<String>,
    dead_letters: Queue,
}

/// A message of a batch, with what it carries.
#[derive(Clone, Debug)]
pub struct Received<T> {
    /// The message.
    pub message: SqsMessage,
    /// Its body, parsed.
    pub content: T,
}

impl<T> Received<T> {
    /// The id of the message, which is the same each time that it is received.
    pub fn id(&self) -> MessageId {
        MessageId::new(self.message.message_id.clone().unwrap_or_default())
    }
}

/// Passes batches to a handler until Lambda stops the process. The handler returns the ids of the messages
/// that it failed on; Lambda deletes the others from their queue.
///
/// A message that can't be parsed is moved to the dead-letter queue, with the reason: receiving it again
/// would change nothing.
///
/// A queue's visibility timeout is six times its function's timeout, as AWS recommends, so that a message
/// would stay hidden for long after a failure. One that failed is made visible after a short pause instead.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
pub async fn consume<T, F, Fut>(source: Source, handle: F) -> Result<(), Error>
where
    T: DeserializeOwned,
    F: Fn(Vec<Received<T>>) -> Fut,
    Fut: Future<Output = Vec<MessageId>>,
{
    let (source, handle) = (&source, &handle);
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let receipts: Vec<Receipt> = event.payload.records.iter().filter_map(receipt).collect();
        let working = async {
            let (messages, mut failed) = source.parse(event.payload.records).await;
            failed.extend(handle(messages).await);
            failed
        };
        // Boxed: the layout of a batch's future is deeper than the compiler looks by default.
        let failed = deadline::until(event.context.deadline(), Box::pin(working)).await;
        let again = receipts.into_iter().filter(|it| failed.contains(&it.id));
        source.show_soon(again.collect()).await;
        Ok::<_, Error>(failures(failed))
    }))
    .await
}

/// The response that reports these messages as failed.
fn failures(message_ids: Vec<MessageId>) -> SqsBatchResponse {
    let failed = message_ids.into_iter().map(|id| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id.to_string();
        failure
    });
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed.collect();
    response
}

/// What is needed to make a message visible again.
struct Receipt {
    id: MessageId,
    handle: String,
    queue: String,
    times: u32,
}

/// Reads that from a message; `None` if it lacks an attribute that SQS sets.
fn receipt(message: &SqsMessage) -> Option<Receipt> {
    let arn = message.event_source_arn.as_ref()?;
    let times = message.attributes.get("ApproximateReceiveCount");
    Some(Receipt {
        id: MessageId::new(message.message_id.clone()?),
        handle: message.receipt_handle.clone()?,
        queue: arn.rsplit(':').next()?.to_owned(),
        times: times.and_then(|times| times.parse().ok()).unwrap_or(1),
    })
}

impl Source {
    /// `urls` are the queues' URLs; `dead_letters` is the queue of what can't be parsed.
    pub fn new(sqs: Lazy<Client>, urls: Vec<String>, dead_letters: Queue) -> Self {
        Self {
            sqs,
            urls,
            dead_letters,
        }
    }

    /// Parses messages. Returns those that can be parsed, and the ids of those that can neither be parsed
    /// nor be moved to the dead-letter queue now.
    async fn parse<T: DeserializeOwned>(
        &self,
        messages: Vec<SqsMessage>,
    ) -> (Vec<Received<T>>, Vec<MessageId>) {
        let (mut parsed, mut failed) = (Vec::with_capacity(messages.len()), Vec::new());
        for message in messages {
            let body = message.body.as_deref().unwrap_or_default();
            match serde_json::from_str(body) {
                Ok(content) => parsed.push(Received { message, content }),
                Err(cause) => {
                    let reason = format!("malformed message: {cause}");
                    if let Err(cause) = self.dead_letter(&message, &reason).await {
                        tracing::error!(%cause, message_id = message.message_id, "dead letter not sent");
                        failed.extend(message.message_id.map(MessageId::new));
                    }
                }
            }
        }
        (parsed, failed)
    }

    /// Moves a message as it was received to the dead-letter queue: a FIFO queue needs its group and its
    /// deduplication id.
    pub async fn dead_letter(&self, message: &SqsMessage, reason: &str) -> Result<(), QueueError> {
        tracing::error!(reason, message_id = message.message_id, "dead letter");
        let attribute = |name: &str| message.attributes.get(name).cloned();
        self.dead_letters
            .dead_letter(
                message.body.as_deref().unwrap_or_default(),
                reason,
                attribute("MessageGroupId"),
                attribute("MessageDeduplicationId"),
            )
            .await
    }

    /// Makes messages visible again after a pause that grows with each receipt. One for which that fails
    /// is visible again when its visibility timeout is over.
    async fn show_soon(&self, messages: Vec<Receipt>) {
        let mut by_queue: HashMap<&str, Vec<Receipt>> = HashMap::new();
        for message in messages {
            let ending = format!("/{}", message.queue);
            if let Some(url) = self.urls.iter().find(|url| url.ends_with(&ending)) {
                by_queue.entry(url).or_default().push(message);
            }
        }
        for (url, messages) in by_queue {
            // A batch from Lambda has at most ten messages (`BatchSize`), as many as one to SQS may have.
            match timeout(BRIEF, self.set_visibility(url, &messages)).await {
                Ok(Ok(())) => {}
                Ok(Err(cause)) => tracing::warn!(%cause, "messages are received again late"),
                Err(cause) => tracing::warn!(%cause, "messages are received again late"),
            }
        }
    }

    async fn set_visibility(&self, url: &str, messages: &[Receipt]) -> Result<(), QueueError> {
        let mut request = self.sqs.change_message_visibility_batch().queue_url(url);
        for (number, message) in messages.iter().enumerate() {
            request = request.entries(
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(number.to_string())
                    .receipt_handle(&message.handle)
                    .visibility_timeout(seconds(message.times))
                    .build()?,
            );
        }
        request.send().await?;
        Ok(())
    }
}

/// The pause, in seconds, after which a message that was received `times` times is received again.
fn seconds(times: u32) -> i32 {
    let doubled = 2u32.saturating_pow(times.saturating_sub(1));
    let pause = FIRST.saturating_mul(doubled).min(LONGEST);
    i32::try_from(pause.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_again_later_and_later() {
        let pauses: Vec<i32> = [0, 1, 2, 3, 6, 7, 8, 40, u32::MAX]
            .into_iter()
            .map(seconds)
            .collect();
        assert_eq!(pauses, [5, 5, 10, 20, 160, 300, 300, 300, 300]);
    }
}
