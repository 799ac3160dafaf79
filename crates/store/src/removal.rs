//! Deleting many items, in as many calls as there is time for.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use bellwire_runtime::deadline::{Steps, leaves_time};

use crate::StoreError;
use crate::batch_write::{BATCH, batch_write};

/// Deletes every item of a table whose key the query returns, as long as the invocation has time. `keys` must
/// project the attributes of the table's key and no others. Idempotent.
pub async fn remove_all(
    db: &DynamoDb,
    table: &str,
    keys: QueryFluentBuilder,
) -> Result<Steps, StoreError> {
    let mut pages = keys.into_paginator().send();
    while let Some(page) = pages.next().await {
        for keys in page?.items.unwrap_or_default().chunks(BATCH) {
            if !leaves_time() {
                return Ok(Steps::OutOfTime);
            }
            let mut deletions = Vec::with_capacity(keys.len());
            for key in keys {
                let delete = DeleteRequest::builder()
                    .set_key(Some(key.clone()))
                    .build()?;
                deletions.push(WriteRequest::builder().delete_request(delete).build());
            }
            batch_write(db, table, deletions).await?;
        }
    }
    Ok(Steps::Done)
}
