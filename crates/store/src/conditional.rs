//! Writes of one item with a condition: the one way in which this crate makes them.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemError, DeleteItemOutput};
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_runtime::backoff::Backoff;

use crate::StoreError;

/// An item, by the names of its attributes.
pub type Item = HashMap<String, AttributeValue>;

/// The condition of a write doesn't hold, and nothing was written. Holds the item that is there, if there is one
/// and the request asked for it (`ReturnValuesOnConditionCheckFailure`).
#[derive(Debug)]
pub struct Refused(pub Option<Item>);

/// The error of an operation that writes one item.
pub trait WriteError: Error + Send + Sync + 'static {
    /// What is there instead, if the condition doesn't hold; `None` if the error is another one.
    fn refused(&self) -> Option<Refused>;
    /// Whether a transaction on the same item was under way.
    fn is_conflict(&self) -> bool;
}

macro_rules! write_error {
    ($($error:ident)*) => {$(
        impl WriteError for $error {
            fn refused(&self) -> Option<Refused> {
                match self {
                    Self::ConditionalCheckFailedException(refused) => {
                        Some(Refused(refused.item.clone()))
                    }
                    _ => None,
                }
            }

            fn is_conflict(&self) -> bool {
                self.is_transaction_conflict_exception()
            }
        }
    )*};
}

write_error!(PutItemError UpdateItemError DeleteItemError);

/// A write of one item, before it is sent.
pub trait Write: Clone {
    /// The answer to it.
    type Written;
    /// The error of its operation.
    type Error: WriteError;

    /// Sends it.
    fn send(self) -> impl Future<Output = Result<Self::Written, SdkError<Self::Error>>> + Send;
}

macro_rules! write {
    ($($builder:ty, $output:ty, $error:ty;)*) => {$(
        impl Write for $builder {
            type Written = $output;
            type Error = $error;

            fn send(self) -> impl Future<Output = Result<$output, SdkError<$error>>> + Send {
                <$builder>::send(self)
            }
        }
    )*};
}

write! {
    PutItemFluentBuilder, PutItemOutput, PutItemError;
    UpdateItemFluentBuilder, UpdateItemOutput, UpdateItemError;
    DeleteItemFluentBuilder, DeleteItemOutput, DeleteItemError;
}

/// Sends a write with a condition. That the condition doesn't hold is a result: the inner `Err`.
///
/// While a transaction on the same item is under way, DynamoDB refuses the write, and the SDK doesn't retry it: it
/// is sent again, with pauses.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling>
pub async fn conditional<W: Write>(write: W) -> Result<Result<W::Written, Refused>, StoreError> {
    let mut backoff = Backoff::new();
    loop {
        let error = match write.clone().send().await {
            Ok(written) => return Ok(Ok(written)),
            Err(error) => error,
        };
        let service_error = error.as_service_error();
        if let Some(refused) = service_error.and_then(WriteError::refused) {
            return Ok(Err(refused));
        }
        if !service_error.is_some_and(WriteError::is_conflict) || !backoff.pause().await {
            return Err(error.into());
        }
    }
}
