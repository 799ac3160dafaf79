//! Updates of items that transactions write as well.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use bellwire_runtime::backoff::Backoff;

/// Runs an update, and repeats it with pauses while a transaction on the same item conflicts with it:
/// DynamoDB refuses the update then, and the SDK doesn't retry it.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling>
pub async fn patiently(
    update: UpdateItemFluentBuilder,
) -> Result<UpdateItemOutput, SdkError<UpdateItemError>> {
    let mut backoff = Backoff::new();
    loop {
        let error = match update.clone().send().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let in_the_way = error
            .as_service_error()
            .is_some_and(UpdateItemError::is_transaction_conflict_exception);
        if !in_the_way || !backoff.pause().await {
            return Err(error);
        }
    }
}
