//! The queries that a client runs, and its requests that wait for a result, in the Queries table: one
//! item for each client. Its `execution_id` is `client#` and the client's id, which is not the id of an
//! execution. A change is written on the condition that the item has not changed since it was read.

use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::ClientId;
use bellwire_domain::query::running_queries::RunningQueries;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use time::{Duration, OffsetDateTime};

use crate::conditional::conditional;
use crate::{Queries, StoreError};

/// How long the item of a client is kept after its last change: longer than a query in it may count
/// as running.
const KEPT: Duration = Duration::days(7);

/// A client's item, as it was read or written.
#[derive(Clone, Debug, Default)]
pub struct OnRecord {
    /// The running queries and the waiting requests.
    pub running: RunningQueries,
    /// How often the item was written; 0 if there is none.
    revision: u64,
}

#[derive(Serialize, Deserialize)]
struct Item {
    execution_id: String,
    revision: u64,
    #[serde(flatten)]
    running: RunningQueries,
    expires_at: i64,
}

impl Queries {
    /// A client's item, with a consistent read; empty if there is none.
    pub async fn running(&self, client: &ClientId) -> Result<OnRecord, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .key("execution_id", AttributeValue::S(key(client)))
            .consistent_read(true)
            .send()
            .await?;
        let item: Option<Item> = answer.item.map(from_item).transpose()?;
        Ok(item.map_or_else(OnRecord::default, |item| OnRecord {
            running: item.running,
            revision: item.revision,
        }))
    }

    /// Replaces a client's item, which was read as `known`, by `next`. Returns the new item; `None` if
    /// the item has changed since, so that nothing was written.
    pub async fn replace_running(
        &self,
        client: &ClientId,
        known: &OnRecord,
        next: RunningQueries,
        now: OffsetDateTime,
    ) -> Result<Option<OnRecord>, StoreError> {
        let item = Item {
            execution_id: key(client),
            revision: known.revision + 1,
            running: next.clone(),
            expires_at: (now + KEPT).unix_timestamp(),
        };
        let put = self
            .db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(execution_id) OR revision = :known")
            .expression_attribute_values(":known", AttributeValue::N(known.revision.to_string()));
        let written = conditional(put).await?;
        Ok(written.ok().map(|_| OnRecord {
            running: next,
            revision: known.revision + 1,
        }))
    }

    /// Deletes a client's item. Idempotent.
    pub(crate) async fn forget_running(&self, client: &ClientId) -> Result<(), StoreError> {
        self.db
            .delete_item()
            .table_name(&self.table)
            .key("execution_id", AttributeValue::S(key(client)))
            .send()
            .await?;
        Ok(())
    }
}

fn key(client: &ClientId) -> String {
    format!("client#{client}")
}
