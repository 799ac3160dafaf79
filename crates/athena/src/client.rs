//! The calls to Athena.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_athena::Client;
use aws_sdk_athena::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_athena::types::{QueryExecution, QueryExecutionContext, ResultSet};
use aws_types::SdkConfig;
use bellwire_domain::{ExecutionId, QueryState};
use bellwire_runtime::aws::Lazy;
use time::OffsetDateTime;

/// The most executions that one call returns.
const BATCH: usize = 50;

/// Athena's API, with the calls that this stack makes.
#[derive(Clone, Debug)]
pub struct Athena {
    client: Lazy<Client>,
}

/// Why a call to Athena failed.
#[derive(Debug, thiserror::Error)]
pub enum AthenaError {
    /// The request can't be carried out as it is. The text is Athena's, for whoever wrote the SQL.
    #[error("{0}")]
    Refused(String),
    /// Athena has too many queries or calls to handle just now; the request may be repeated later.
    #[error("Athena is busy")]
    Busy,
    /// The call failed or was not answered.
    #[error("Athena: {0}")]
    Failed(String),
    /// The request lacks a field that the SDK requires: a defect of Bellwire.
    #[error("incomplete request: {0}")]
    Incomplete(#[from] BuildError),
}

impl<E, R> From<SdkError<E, R>> for AthenaError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    /// Keeps the chain of causes, but neither the request nor the response.
    fn from(error: SdkError<E, R>) -> Self {
        match (error.code(), error.message()) {
            (Some("InvalidRequestException"), message) => {
                Self::Refused(message.unwrap_or("refused by Athena").to_owned())
            }
            // Athena's own limits, and those of the API's calls.
            // https://docs.aws.amazon.com/athena/latest/APIReference/CommonErrors.html
            (Some("TooManyRequestsException" | "ThrottlingException"), _) => Self::Busy,
            _ => Self::Failed(format!("{:#}", anyhow::Error::from(error))),
        }
    }
}

/// The state of an execution, as Athena reports it.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The id of the execution.
    pub id: ExecutionId,
    /// The state it is in.
    pub state: QueryState,
    /// When it ended; `None` before that.
    pub completed_at: Option<OffsetDateTime>,
    /// Why it is in its state; `None` where Athena gives no reason.
    pub reason: Option<String>,
}

impl Athena {
    /// Athena in the account and region of this configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Lazy::new(config, Client::new),
        }
    }

    /// Starts a query in a workgroup. Tables that are named without a database are looked for in
    /// `database`. With the same token and SQL, a repeated call returns the execution that the
    /// first one started.
    pub async fn start(
        &self,
        workgroup: &str,
        database: &str,
        sql: &str,
        token: &str,
    ) -> Result<ExecutionId, AthenaError> {
        let answer = self
            .client
            .start_query_execution()
            .work_group(workgroup)
            .query_execution_context(QueryExecutionContext::builder().database(database).build())
            .query_string(sql)
            .client_request_token(token)
            .send()
            .await?;
        answer
            .query_execution_id
            .and_then(|id| ExecutionId::parse(&id).ok())
            .ok_or_else(|| AthenaError::Failed("the execution has no id".to_owned()))
    }

    /// The states of these executions. Those that Athena doesn't know are left out.
    pub async fn look(&self, ids: &[&ExecutionId]) -> Result<Vec<Execution>, AthenaError> {
        let mut found = Vec::new();
        for ids in ids.chunks(BATCH) {
            let answer = self
                .client
                .batch_get_query_execution()
                .set_query_execution_ids(Some(ids.iter().map(ToString::to_string).collect()))
                .send()
                .await?;
            found.extend(answer.query_executions().iter().filter_map(read));
        }
        Ok(found)
    }

    /// Up to `count` rows of a result, from the page that `token` stands for (the first when it is
    /// `None`), and the token of the next page if there is one. On the first page, the first row
    /// has the names of the columns.
    pub(crate) async fn rows(
        &self,
        id: &ExecutionId,
        token: Option<String>,
        count: i32,
    ) -> Result<(ResultSet, Option<String>), AthenaError> {
        let answer = self
            .client
            .get_query_results()
            .query_execution_id(id.as_str())
            .set_next_token(token)
            .max_results(count)
            .send()
            .await?;
        let rows = answer
            .result_set
            .ok_or_else(|| AthenaError::Failed("the result has no rows".to_owned()))?;
        Ok((rows, answer.next_token))
    }
}

fn read(execution: &QueryExecution) -> Option<Execution> {
    let status = execution.status()?;
    let state = QueryState::from_name(status.state()?.as_str())?;
    let at = status.completion_date_time();
    Some(Execution {
        id: ExecutionId::parse(execution.query_execution_id()?).ok()?,
        state,
        completed_at: at
            .and_then(|at| OffsetDateTime::from_unix_timestamp_nanos(at.as_nanos()).ok()),
        reason: status
            .state_change_reason()
            .filter(|reason| !reason.is_empty())
            .map(str::to_owned),
    })
}
