//! Errors of reading and writing the tables.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ThrottlingReason;

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
    /// A partition of the table takes no more, and nothing was written.
    #[error("a partition takes no more")]
    HotPartition,
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

impl StoreError {
    /// The error of a `PutItem`, which says whether a partition takes no more.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ThrottlingReason.html>
    pub(crate) fn of_put(error: SdkError<PutItemError>) -> Self {
        let reasons = match error.as_service_error() {
            Some(PutItemError::ThrottlingException(throttled)) => throttled.throttling_reasons(),
            Some(PutItemError::ProvisionedThroughputExceededException(throttled)) => {
                throttled.throttling_reasons()
            }
            _ => &[],
        };
        let mut reasons = reasons.iter().filter_map(ThrottlingReason::reason);
        if reasons.any(|reason| reason.ends_with("KeyRangeThroughputExceeded")) {
            return Self::HotPartition;
        }
        error.into()
    }
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
