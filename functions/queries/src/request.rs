//! The body of `POST /v1/queries`.

use bellwire_api::Failure;
use bellwire_domain::query::sql::ReadingSql;
use bellwire_domain::{ExecutionId, query::sql};
use serde::Deserialize;

/// The longest `ClientRequestToken`, in characters.
const MAX_TOKEN_LENGTH: usize = 128;

/// The body, not checked yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    #[serde(rename = "QueryString")]
    query_string: Option<String>,
    wait: Option<bool>,
    #[serde(rename = "ClientRequestToken")]
    client_request_token: Option<String>,
    #[serde(rename = "QueryExecutionId")]
    execution_id: Option<String>,
    client_id: Option<String>,
}

/// A checked body.
pub enum QueryCommand {
    /// To run a query.
    RunQuery(RunQuery),
    /// To put an execution on record for a client.
    RegisterQuery(RegisterQuery),
}

/// A query to run.
pub struct RunQuery {
    /// The SQL: a single statement that reads.
    pub sql: ReadingSql,
    /// Whether the response waits for the result.
    pub wait: bool,
    /// By which a repeated request is recognised; `None` if it isn't.
    pub token: Option<Token>,
}

/// A text that identifies a request and its repetitions.
pub struct Token {
    /// The name of the field or header that it was in.
    pub said_in: &'static str,
    /// The text, as it was sent.
    pub text: String,
}

/// An execution to put on record.
pub struct RegisterQuery {
    /// The id of the execution.
    pub execution_id: ExecutionId,
    /// The id of its owner, not checked yet.
    pub client_id: String,
}

impl QueryRequest {
    /// Checks the body. `key` is the header `Idempotency-Key`, which may be used in place of the field
    /// `ClientRequestToken`. If a request has both, the field counts.
    ///
    /// # Errors
    /// 400, naming the field at fault.
    pub fn into_command(self, key: Option<&str>) -> Result<QueryCommand, Failure> {
        match (self.query_string, self.execution_id) {
            (Some(sql), None) => {
                if self.client_id.is_some() {
                    return Err(Failure::field("client_id", "belongs to QueryExecutionId"));
                }
                let sql =
                    sql::check(&sql).map_err(|refused| Failure::field("QueryString", refused))?;
                let token = self.client_request_token;
                let fits = |token: &String| (1..=MAX_TOKEN_LENGTH).contains(&token.chars().count());
                if !token.as_ref().is_none_or(fits) {
                    return Err(Failure::field(
                        "ClientRequestToken",
                        format_args!("must have 1 to {MAX_TOKEN_LENGTH} characters"),
                    ));
                }
                let token = token.map(|text| Token {
                    said_in: "ClientRequestToken",
                    text,
                });
                let key = key.map(|key| Token {
                    said_in: "Idempotency-Key",
                    text: key.to_owned(),
                });
                Ok(QueryCommand::RunQuery(RunQuery {
                    sql,
                    wait: self.wait.unwrap_or(false),
                    token: token.or(key),
                }))
            }
            (None, Some(id)) => {
                if self.wait.is_some() || self.client_request_token.is_some() {
                    return Err(Failure::bad_request(
                        "wait and ClientRequestToken belong to QueryString, not to QueryExecutionId",
                    ));
                }
                Ok(QueryCommand::RegisterQuery(RegisterQuery {
                    execution_id: ExecutionId::parse(&id)
                        .map_err(|bad| Failure::field("QueryExecutionId", bad))?,
                    client_id: self
                        .client_id
                        .ok_or_else(|| Failure::field("client_id", "is missing"))?,
                }))
            }
            (Some(_), Some(_)) => Err(Failure::bad_request(
                "send either QueryString or QueryExecutionId, not both",
            )),
            (None, None) => Err(Failure::bad_request(
                "QueryString or QueryExecutionId is needed",
            )),
        }
    }
}
