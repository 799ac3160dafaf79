//! Errors of reading and writing the tables.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_dynamodb::error::SdkError;

/// A table could not be read or written. The text is for the log: the caller of the API learns
/// only that there was an error.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB refused, throttled or did not answer, after the SDK's retries.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// Others kept writing the same items at the same time. Nothing was written.
    #[error("others kept writing the same items")]
    Conflict,
    /// A batch was not carried out as a whole, again and again: DynamoDB throttles.
    #[error("throttled: a part of the batch was left out")]
    LeftOut,
    /// An item can't be converted from or to the type that this version stores.
    #[error("malformed item: {0}")]
    Malformed(#[from] serde_dynamo::Error),
    /// An attribute of an item can't be converted from or to the JSON that this version stores.
    #[error("malformed JSON in an item: {0}")]
    Json(#[from] serde_json::Error),
    /// A request lacks a field that the SDK requires: a defect of this crate.
    #[error("incomplete request: {0}")]
    Incomplete(#[from] aws_sdk_dynamodb::error::BuildError),
}

impl<E, R> From<SdkError<E, R>> for StoreError
where
    E: Error + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    /// Keeps the chain of causes, without the request and the response.
    fn from(error: SdkError<E, R>) -> Self {
        Self::DynamoDb(format!("{:#}", anyhow::Error::from(error)))
    }
}
