//! What the API says of a query.

use bellwire_rules::timestamp::iso_serde;
use bellwire_rules::{ExecutionId, QueryState};
use bellwire_store::Query;
use serde::Serialize;
use time::OffsetDateTime;

use crate::Page;
use crate::rows::Record;

/// A query, and how it stands: `{"QueryExecutionId", "Status": {…}}`.
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
                // Athena tells only seconds of some ends, and an end may have come before the record.
                submission_date_time: query
                    .registered_at
                    .map(|at| at.min(query.completed_at.unwrap_or(at))),
                completion_date_time: query.completed_at,
                state_change_reason: query.state_change_reason,
            },
        }
    }
}

/// A query, and some rows of its result: `{"QueryExecutionId", "NextToken"?, "results"}`.
#[derive(Serialize)]
pub struct Rows {
    #[serde(rename = "QueryExecutionId")]
    execution_id: ExecutionId,
    #[serde(rename = "NextToken", skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    results: Vec<Record>,
}

impl Rows {
    /// These rows of this query's result.
    pub fn new(execution_id: ExecutionId, page: Page) -> Self {
        Self {
            execution_id,
            next_token: page.next_token,
            results: page.rows,
        }
    }
}
