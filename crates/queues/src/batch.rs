//! Receiving: the batches in which Lambda hands a function its messages.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsMessage};
use serde::de::DeserializeOwned;

/// The answer that has Lambda bring these messages again, and take the others off the queue.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
pub fn failures(message_ids: Vec<String>) -> SqsBatchResponse {
    let failed = message_ids.into_iter().map(|id| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        failure
    });
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed.collect();
    response
}

/// The id of a message. Every message of SQS has one.
pub fn id(message: &SqsMessage) -> String {
    message.message_id.clone().unwrap_or_default()
}

/// What a message carries.
///
/// # Errors
/// The reason, when it is none of ours: to bring it again would change nothing.
pub fn read<T: DeserializeOwned>(message: &SqsMessage) -> Result<T, String> {
    let body = message.body.as_deref().unwrap_or_default();
    serde_json::from_str(body).map_err(|cause| format!("malformed message: {cause}"))
}
