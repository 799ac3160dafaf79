//! `GET /v1/queries/{id}`: how far one of the caller's queries is.

use bellwire_edge::Failure;
use bellwire_rules::timestamp::iso_serde;
use bellwire_rules::{ClientId, ExecutionId, QueryState};
use bellwire_store::{Queries, Query};
use serde::Serialize;
use time::OffsetDateTime;

/// A query, as its owner sees it.
#[derive(Serialize)]
pub struct Execution {
    #[serde(rename = "QueryExecutionId")]
    execution_id: ExecutionId,
    #[serde(rename = "Status")]
    status: Status,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    state: QueryState,
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    submission_date_time: Option<OffsetDateTime>,
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    completion_date_time: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_change_reason: Option<String>,
}

impl From<Query> for Execution {
    fn from(query: Query) -> Self {
        Self {
            execution_id: query.execution_id,
            status: Status {
                state: query.state,
                submission_date_time: query.registered_at,
                completion_date_time: query.completed_at,
                state_change_reason: query.state_change_reason,
            },
        }
    }
}

/// Shows a query to its owner. Somebody else's doesn't exist.
pub async fn show(queries: &Queries, client: &ClientId, id: &str) -> Result<Execution, Failure> {
    let id = ExecutionId::parse(id).map_err(|bad| Failure::field("QueryExecutionId", bad))?;
    queries
        .get(&id)
        .await?
        .filter(|query| query.client_id.as_ref() == Some(client))
        .map(Execution::from)
        .ok_or_else(|| Failure::not_found("QueryExecutionId: there is no such query"))
}
