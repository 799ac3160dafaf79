//! Reading several items of several tables in one call.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use bellwire_runtime::backoff::Backoff;

use crate::StoreError;
use crate::conditional::Item;

/// The keys of one table, for [`batch_get`] with consistent reads.
pub fn keys(keys: Vec<Item>) -> Result<KeysAndAttributes, StoreError> {
    let keys = KeysAndAttributes::builder().set_keys(Some(keys));
    Ok(keys.consistent_read(true).build()?)
}

/// The keys of one table, for [`batch_get`] with eventually consistent reads, which take half the units: what was written
/// within about a second may be missing.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html>
pub fn keys_eventually(keys: Vec<Item>) -> Result<KeysAndAttributes, StoreError> {
    let keys = KeysAndAttributes::builder().set_keys(Some(keys));
    Ok(keys.consistent_read(false).build()?)
}

/// Reads items by their keys, at most 100 of them, by the names of their tables. What is left out is asked for
/// again, with pauses. Returns those that exist, each with the name of its table, in no order.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
///
/// # Errors
/// When DynamoDB fails, or still leaves keys out when there is no time left.
pub async fn batch_get(
    db: &DynamoDb,
    mut wanted: HashMap<String, KeysAndAttributes>,
) -> Result<Vec<(String, Item)>, StoreError> {
    wanted.retain(|_, keys| !keys.keys.is_empty());
    let mut found = Vec::new();
    let mut backoff = Backoff::new();
    while !wanted.is_empty() {
        let request = db.batch_get_item();
        let answer = request.set_request_items(Some(wanted)).send().await?;
        for (table, items) in answer.responses.unwrap_or_default() {
            found.extend(items.into_iter().map(|item| (table.clone(), item)));
        }
        wanted = answer.unprocessed_keys.unwrap_or_default();
        if !wanted.is_empty() && !backoff.pause().await {
            return Err(StoreError::LeftOut);
        }
    }
    Ok(found)
}
