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
    /// The reason once more, of a query without a result: clients of the protocol look for it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl From<Query> for QueryView {
    fn from(query: Query) -> Self {
        let reason = query.state_change_reason;
        let has_no_result = matches!(query.state, QueryState::Failed | QueryState::Cancelled);
        Self {
            execution_id: query.execution_id,
            status: Status {
                state: query.state,
                submission_date_time: query.registered_at,
                // Athena reports some ends in whole seconds, and a query may have ended before it was
                // put on record: its end is not said to have been before its submission.
                completion_date_time: query.completed_at.map(|at| {
                    query
                        .registered_at
                        .map_or(at, |submitted| at.max(submitted))
                }),
                message: reason.clone().filter(|_| has_no_result),
                state_change_reason: reason,
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    /// What is shown of a query that was put on record at 12:00:00.5.
    fn shown(state: QueryState, end: Option<OffsetDateTime>, reason: Option<&str>) -> Value {
        let id = ExecutionId::parse("694e7d20-076a-404a-8adf-d5c58a194a09").unwrap();
        let view = QueryView::from(Query {
            state,
            registered_at: Some(datetime!(2020-01-17 12:00:00.5 UTC)),
            completed_at: end,
            state_change_reason: reason.map(str::to_owned),
            ..Query::started(id)
        });
        serde_json::to_value(view).unwrap()["Status"].take()
    }

    #[test]
    fn the_reason_of_a_query_without_a_result_is_also_a_message() {
        let end = Some(datetime!(2020-01-17 12:00:03 UTC));
        for (state, name) in [
            (QueryState::Failed, "FAILED"),
            (QueryState::Cancelled, "CANCELLED"),
        ] {
            let expected = json!({
                "State": name,
                "SubmissionDateTime": "2020-01-17T12:00:00.500000Z",
                "CompletionDateTime": "2020-01-17T12:00:03.000000Z",
                "StateChangeReason": "no such table",
                "Message": "no such table",
            });
            assert_eq!(shown(state, end, Some("no such table")), expected);
            let without = shown(state, end, None);
            assert!(without.get("Message").is_none(), "{without}");
        }
        let succeeded = shown(QueryState::Succeeded, end, Some("it was quick"));
        assert!(succeeded.get("Message").is_none(), "{succeeded}");
        assert_eq!(succeeded["StateChangeReason"], "it was quick");
    }

    #[test]
    fn no_end_is_before_the_submission() {
        let submitted = "2020-01-17T12:00:00.500000Z";
        for (end, shown_as) in [
            (datetime!(2020-01-17 12:00:00 UTC), submitted),
            (datetime!(2019-01-01 00:00:00 UTC), submitted),
            (
                datetime!(2020-01-17 12:00:01 UTC),
                "2020-01-17T12:00:01.000000Z",
            ),
        ] {
            let status = shown(QueryState::Succeeded, Some(end), None);
            assert_eq!(status["SubmissionDateTime"], submitted);
            assert_eq!(status["CompletionDateTime"], shown_as);
        }
        let running = shown(QueryState::Running, None, None);
        assert!(running.get("CompletionDateTime").is_none(), "{running}");
    }
}
