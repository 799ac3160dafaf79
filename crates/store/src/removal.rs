//! Deleting many items: for the operator, not for a request of the API.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use crate::StoreError;

/// Deletes every item of a table whose key the query returns. `keys` must project the attributes of
/// the table's key and no others. Idempotent.
pub async fn remove_all(
    db: &DynamoDb,
    table: &str,
    keys: QueryFluentBuilder,
) -> Result<(), StoreError> {
    let mut keys = keys.into_paginator().items().send();
    while let Some(key) = keys.next().await {
        db.delete_item()
            .table_name(table)
            .set_key(Some(key?))
            .send()
            .await?;
    }
    Ok(())
}
