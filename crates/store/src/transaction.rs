//! Writes of several items, all or nothing: the one way in which this crate makes them.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use bellwire_runtime::backoff::Backoff;

use crate::StoreError;
use crate::conditional::Item;

/// How often a transaction is repeated that is throttled.
const THROTTLED_REPETITIONS: usize = 4;

/// The result of a transaction.
#[derive(Debug)]
pub enum Transacted {
    /// Everything was written.
    Done,
    /// Nothing was written: the condition of a write doesn't hold.
    Refused {
        /// The index of the first such write.
        write: usize,
        /// The item that is there, if there is one and the write asked for it.
        found: Option<Item>,
    },
}

/// Writes all or nothing. Of two concurrent transactions on one item DynamoDB cancels one, and the SDK doesn't
/// retry it: it is repeated here, with pauses.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html#API_TransactWriteItems_Errors>
///
/// # Errors
/// [`StoreError::Conflict`] when nothing was written because other transactions on the same items were under way,
/// again and again. Others when nothing was written for another reason, such as throttling, or no answer
/// came: then everything may have been written.
pub async fn transact(
    db: &DynamoDb,
    writes: Vec<TransactWriteItem>,
) -> Result<Transacted, StoreError> {
    let mut backoff = Backoff::new();
    let mut throttled = 0;
    loop {
        let request = db.transact_write_items();
        let answer = request.set_transact_items(Some(writes.clone()));
        let Err(error) = answer.send().await else {
            return Ok(Transacted::Done);
        };
        let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
            error.as_service_error()
        else {
            return Err(error.into());
        };
        let reasons = canceled.cancellation_reasons();
        let first = |code| {
            let mut numbered = reasons.iter().enumerate();
            numbered.find(|(_, reason)| reason.code() == Some(code))
        };
        if let Some((write, reason)) = first("ConditionalCheckFailed") {
            let found = reason.item.clone();
            return Ok(Transacted::Refused { write, found });
        }
        // The reason of an item doesn't say which limit it is: that of its partition, or of the table.
        if first("ThrottlingError")
            .or(first("ProvisionedThroughputExceeded"))
            .is_some()
        {
            throttled += 1;
            if throttled > THROTTLED_REPETITIONS || !backoff.pause().await {
                return Err(error.into());
            }
            continue;
        }
        if first("TransactionConflict").is_none() {
            return Err(error.into());
        }
        if !backoff.pause().await {
            return Err(StoreError::Conflict);
        }
    }
}
