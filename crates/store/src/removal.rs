//! Removing many items: for the operator, not for a request.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use crate::StoreError;

/// Removes every item of a table whose key a query gives. To do so again changes nothing.
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
