//! What can go wrong between a function and its tables.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_dynamodb::error::SdkError;

/// A table could not be read or written. The caller of the API learns nothing
/// of it but that it happened; the text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB refused, throttled or did not answer, after the SDK's retries.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// An item is not written as this version writes it.
    #[error("malformed item: {0}")]
    Malformed(#[from] serde_dynamo::Error),
    /// A part of an item is not the JSON that this version writes.
    #[error("malformed JSON in an item: {0}")]
    Json(#[from] serde_json::Error),
    /// A request lacks something that the SDK wants: a defect of ours.
    #[error("incomplete request: {0}")]
    Incomplete(#[from] aws_sdk_dynamodb::error::BuildError),
}

impl<E, R> From<SdkError<E, R>> for StoreError
where
    E: Error + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    /// Keeps the chain of causes, and not the request and the response.
    fn from(error: SdkError<E, R>) -> Self {
        Self::DynamoDb(format!("{:#}", anyhow::Error::from(error)))
    }
}
