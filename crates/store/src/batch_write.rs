//! Writing several items of a table in one call, without conditions.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::WriteRequest;
use bellwire_runtime::backoff::Backoff;

use crate::StoreError;

/// The most writes of one `BatchWriteItem`.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub const BATCH: usize = 25;

/// Carries out at most [`BATCH`] writes. What is left out is sent again, with pauses.
///
/// # Errors
/// When DynamoDB fails, or still leaves writes out when there is no time left.
pub async fn batch_write(
    db: &DynamoDb,
    table: &str,
    writes: Vec<WriteRequest>,
) -> Result<(), StoreError> {
    let mut requests = HashMap::from([(table.to_owned(), writes)]);
    let mut backoff = Backoff::new();
    loop {
        let request = db.batch_write_item();
        let answer = request.set_request_items(Some(requests)).send().await?;
        requests = answer.unprocessed_items.unwrap_or_default();
        if requests.is_empty() {
            return Ok(());
        }
        if !backoff.pause().await {
            return Err(StoreError::LeftOut);
        }
    }
}
