//! What the API returns of queries.

use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::{ExecutionId, QueryState};
use bellwire_store::Query;
use serde::Serialize;
use time::OffsetDateTime;

use crate::Page;
use crate::rows::Record;

/// A query and its status: `{"QueryExecutionId", "Status": {…}}`.
#[derive(Serialize)]
pub struct QueryView {
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

impl From<Query> for QueryView {
    fn from(query: Query) -> Self {
        Self {
            execution_id: query.execution_id,
            status: Status {
                state: query.state,
                // Athena reports some ends in whole seconds, and a query may have ended before it
                // was put on record: it is not said to have been submitted after its end.
                submission_date_time: query
                    .registered_at
                    .map(|at| at.min(query.completed_at.unwrap_or(at))),
                completion_date_time: query.completed_at,
                state_change_reason: query.state_change_reason,
            },
        }
    }
}

/// A page of rows of a query's result: `{"QueryExecutionId", "NextToken"?, "results"}`.
#[derive(Serialize)]
pub struct Rows {
    #[serde(rename = "QueryExecutionId")]
    execution_id: ExecutionId,
    #[serde(rename = "NextToken", skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    results: Vec<Record>,
}

impl Rows {
    /// The rows of this page of this query's result.
    pub fn new(execution_id: ExecutionId, page: Page) -> Self {
        Self {
            execution_id,
            next_token: page.next_token,
            results: page.rows,
        }
    }
}
