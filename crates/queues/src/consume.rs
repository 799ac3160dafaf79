//! From a handler to a Lambda function behind queues.

use std::collections::HashMap;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;
use bellwire_runtime::aws::Lazy;
use bellwire_runtime::deadline;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tokio::time::timeout;

use crate::QueueError;

/// After how long a message that failed comes again the first time; then after twice as long each
/// time.
const FIRST: Duration = Duration::from_secs(5);
/// And at most after so long.
const LONGEST: Duration = Duration::from_secs(300);

/// How long a function waits for SQS to take that: its answer, which says what is done, matters more.
const BRIEF: Duration = Duration::from_secs(2);

/// The queues that a function gets its messages from, by their URLs.
#[derive(Clone, Debug)]
pub struct Sources {
    sqs: Lazy<Client>,
    urls: Vec<String>,
}

/// Hands batches to a handler until Lambda stops the process.
///
/// A queue's visibility timeout is six times its function's, as AWS wants it, so that a message
/// would be away for long after a failure of ours. What the handler reports as failed comes again
/// soon instead.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
pub async fn consume<F, Fut>(sources: Sources, handle: F) -> Result<(), Error>
where
    F: Fn(SqsEvent) -> Fut,
    Fut: Future<Output = SqsBatchResponse>,
{
    let (sources, handle) = (&sources, &handle);
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let received: Vec<Received> = event.payload.records.iter().filter_map(receive).collect();
        let working = handle(event.payload);
        let response = deadline::until(event.context.deadline(), working).await;
        let failed = received.into_iter().filter(|message| {
            let failures = response.batch_item_failures.iter();
            let mut ids = failures.map(|failure| &failure.item_identifier);
            ids.any(|id| *id == message.id)
        });
        sources.bring_soon(failed.collect()).await;
        Ok::<_, Error>(response)
    }))
    .await
}

/// What has to be known of a message to have it come again.
struct Received {
    id: String,
    handle: String,
    queue: String,
    times: u32,
}

fn receive(message: &SqsMessage) -> Option<Received> {
    let arn = message.event_source_arn.as_ref()?;
    let times = message.attributes.get("ApproximateReceiveCount");
    Some(Received {
        id: message.message_id.clone()?,
        handle: message.receipt_handle.clone()?,
        queue: arn.rsplit(':').next()?.to_owned(),
        times: times.and_then(|times| times.parse().ok()).unwrap_or(1),
    })
}

impl Sources {
    /// These queues.
    pub fn new(sqs: Lazy<Client>, urls: Vec<String>) -> Self {
        Self { sqs, urls }
    }

    /// Has messages come again after a while that grows with each time. One for which that fails
    /// comes when its visibility timeout is over.
    async fn bring_soon(&self, messages: Vec<Received>) {
        let mut by_queue: HashMap<&str, Vec<Received>> = HashMap::new();
        for message in messages {
            let ending = format!("/{}", message.queue);
            if let Some(url) = self.urls.iter().find(|url| url.ends_with(&ending)) {
                by_queue.entry(url).or_default().push(message);
            }
        }
        for (url, messages) in by_queue {
            // A batch of Lambda's has at most ten messages, as one of SQS has.
            match timeout(BRIEF, self.set_visibility(url, &messages)).await {
                Ok(Ok(())) => {}
                Ok(Err(cause)) => tracing::warn!(%cause, "messages come again late"),
                Err(cause) => tracing::warn!(%cause, "messages come again late"),
            }
        }
    }

    async fn set_visibility(&self, url: &str, messages: &[Received]) -> Result<(), QueueError> {
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

/// After how many seconds a message comes again that has been received so often.
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
