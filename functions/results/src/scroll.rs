//! `POST /v1/scrollResults`: the rows of a result, page by page.

use bellwire_api::{Failure, ok};
use bellwire_athena::answers::Rows;
use bellwire_athena::{AthenaError, MAX_ROWS};
use bellwire_domain::ExecutionId;
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Deserialize;
use serde_json::Number;

use crate::links::gone;
use crate::{ResultsFunction, parameter};

/// The request, not checked yet.
#[derive(Debug, Deserialize)]
pub struct ScrollRequest {
    #[serde(rename = "QueryExecutionId")]
    execution_id: String,
    #[serde(rename = "MaxResults")]
    max_results: Option<Number>,
    #[serde(rename = "NextToken")]
    next_token: Option<String>,
}

/// The rows of a result that a request asks for.
#[derive(Debug)]
pub struct ResultRange {
    /// The id of the query's execution.
    pub execution_id: ExecutionId,
    max_results: u16,
    next_token: Option<String>,
}

impl ScrollRequest {
    /// The request that stands in the query string.
    ///
    /// # Errors
    /// 400 when the id is missing, a parameter is repeated, or `MaxResults` is no number.
    pub fn from_parameters(request: &Request) -> Result<Self, Failure> {
        let max_results = parameter::optional(request, "MaxResults")?;
        Ok(Self {
            execution_id: parameter::needed(request, "QueryExecutionId")?,
            max_results: max_results
                .map(|text| text.parse().map_err(|_| bad_size()))
                .transpose()?,
            next_token: parameter::optional(request, "NextToken")?,
        })
    }

    /// Checks the request.
    ///
    /// # Errors
    /// 400, naming the field at fault.
    pub fn check(self) -> Result<ResultRange, Failure> {
        let execution_id = ExecutionId::parse(&self.execution_id)
            .map_err(|bad| Failure::field("QueryExecutionId", bad))?;
        let max_results = match self.max_results {
            None => MAX_ROWS,
            Some(number) => whole(&number)
                .filter(|number| (1..=MAX_ROWS).contains(number))
                .ok_or_else(bad_size)?,
        };
        Ok(ResultRange {
            execution_id,
            max_results,
            next_token: self.next_token,
        })
    }
}

/// A number as a whole one, which JSON may write as `500` or as `500.0`.
fn whole(number: &Number) -> Option<u16> {
    let number = number.as_f64().filter(|it| it.fract() == 0.0)?;
    format!("{number}").parse().ok()
}

/// 400: so many rows are never a page.
fn bad_size() -> Failure {
    Failure::field("MaxResults", format_args!("must be from 1 to {MAX_ROWS}"))
}

impl ResultsFunction {
    /// The rows of a finished query that the range asks for.
    ///
    /// # Errors
    /// 400 for a `NextToken` that Athena refuses; 410 when the result is not kept any more; 500 when
    /// AWS fails; 503 when Athena throttles.
    pub(crate) async fn scroll(&self, range: ResultRange) -> Result<Response<Body>, Failure> {
        let id = range.execution_id;
        let page = self
            .athena
            .page(&id, range.next_token.as_deref(), range.max_results)
            .await
            .map_err(|error| match error {
                // Athena knows the query, so that it refuses only because the result's file is gone.
                AthenaError::Refused(_) => gone(),
                AthenaError::Busy => Failure::try_again("too many requests; please try again"),
                other => Failure::internal(other),
            })?;
        match page {
            Ok(page) => ok(&Rows::new(id, page)),
            // If the result is gone, Athena refuses even tokens that it has given.
            Err(_) if !self.kept(&id).await? => Err(gone()),
            Err(bad) => Err(Failure::field("NextToken", bad)),
        }
    }
}
