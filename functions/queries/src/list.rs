//! `GET /v1/queries`: the client's queries, newest first.

use bellwire_api::Failure;
use bellwire_athena::answers::QueryView;
use bellwire_domain::cursor;
use bellwire_domain::{ClientId, QueryState};
use lambda_http::{Request, RequestExt};
use serde::Serialize;

use crate::QueriesFunction;

/// The most queries of a page when `pagesize` is missing.
const DEFAULT_SIZE: usize = 20;
/// The largest `pagesize`.
const MAX_SIZE: usize = 100;

/// The body of the response.
#[derive(Serialize)]
pub struct Listed {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    query_executions: Vec<QueryView>,
}

impl QueriesFunction {
    /// A page of the client's queries. With `state`, those that are in that state on record and, if
    /// they have not ended there, also in Athena now.
    ///
    /// # Errors
    /// 400 when a parameter is malformed; 500 when the table fails.
    pub(crate) async fn list(
        &self,
        client: &ClientId,
        request: &Request,
    ) -> Result<Listed, Failure> {
        let parameters = request.query_string_parameters();
        let state = parameters
            .first("state")
            .map(|name| QueryState::from_name(name).ok_or_else(bad_state))
            .transpose()?;
        let size = parameters
            .first("pagesize")
            .map(|text| size(text).ok_or_else(bad_size))
            .transpose()?;
        let after = parameters
            .first("pagination_token")
            .map(|token| {
                let place = cursor::decode(token).and_then(|place| place.parse().ok());
                place.ok_or_else(|| {
                    Failure::field("pagination_token", "is none that this list has given")
                })
            })
            .transpose()?;
        let page = self
            .queries
            .list(client, state, after, size.unwrap_or(DEFAULT_SIZE))
            .await?;
        let mut found = self.executions.refresh(page.found).await;
        found.retain(|query| state.is_none_or(|state| query.state == state));
        Ok(Listed {
            next_token: page
                .next_cursor
                .map(|place| cursor::encode(&place.to_string())),
            query_executions: found.into_iter().map(QueryView::from).collect(),
        })
    }
}

/// Reads `pagesize`; `None` if it is not a number from 1 to [`MAX_SIZE`].
fn size(text: &str) -> Option<usize> {
    let size = text.parse().ok()?;
    (1..=MAX_SIZE).contains(&size).then_some(size)
}

fn bad_state() -> Failure {
    Failure::field(
        "state",
        "must be one of QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED",
    )
}

fn bad_size() -> Failure {
    Failure::field(
        "pagesize",
        format_args!("must be a number from 1 to {MAX_SIZE}"),
    )
}
