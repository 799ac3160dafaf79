//! `POST /v1/scrollResults`: a result, page by page.

use bellwire_athena::answers::Rows;
use bellwire_athena::{AthenaError, MAX_ROWS};
use bellwire_edge::{Failure, ok};
use bellwire_rules::ExecutionId;
use lambda_http::Body;
use lambda_http::http::Response;
use serde::Deserialize;

use crate::ResultsFunction;
use crate::links::gone;

/// The body, as it was sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrollRequest {
    #[serde(rename = "QueryExecutionId")]
    execution_id: String,
    #[serde(rename = "MaxResults")]
    max_results: Option<i64>,
    #[serde(rename = "NextToken")]
    next_token: Option<String>,
}

/// Rows of a result that are asked for.
pub struct ResultRange {
    /// The query.
    pub execution_id: ExecutionId,
    max_results: u16,
    next_token: Option<String>,
}

impl ScrollRequest {
    /// Checks the body.
    ///
    /// # Errors
    /// 400, naming the field at fault.
    pub fn check(self) -> Result<ResultRange, Failure> {
        let execution_id = ExecutionId::parse(&self.execution_id)
            .map_err(|bad| Failure::field("QueryExecutionId", bad))?;
        let max_results = match self.max_results {
            None => MAX_ROWS,
            Some(number) => u16::try_from(number)
                .ok()
                .filter(|number| (1..=MAX_ROWS).contains(number))
                .ok_or_else(|| {
                    Failure::field("MaxResults", format_args!("must be from 1 to {MAX_ROWS}"))
                })?,
        };
        Ok(ResultRange {
            execution_id,
            max_results,
            next_token: self.next_token,
        })
    }
}

impl ResultsFunction {
    /// The rows that the range asks for, of a finished query.
    pub async fn scroll(&self, range: ResultRange) -> Result<Response<Body>, Failure> {
        let id = range.execution_id;
        let page = self
            .athena
            .page(&id, range.next_token.as_deref(), range.max_results)
            .await
            .map_err(|error| match error {
                // Its file is gone: Athena says so of a query that it knows.
                AthenaError::Refused(_) => gone(),
                AthenaError::Busy => Failure::try_again("too many requests; please try again"),
                other => Failure::internal(other),
            })?;
        match page {
            Ok(page) => ok(&Rows::new(id, page)),
            // Of a result that is gone Athena refuses its own tokens.
            Err(_) if !self.kept(&id).await? => Err(gone()),
            Err(bad) => Err(Failure::field("NextToken", bad)),
        }
    }
}
