//! `POST {"QueryString"}`: runs SQL for the calling client.
//!
//! The execution is on record before the answer, so its owner is told of its end. A request
//! that broke off between the two is made good by the same request with the same
//! `ClientRequestToken`: Athena answers with the execution that it has started.

use std::time::{Duration, Instant};

use bellwire_athena::answers::{QueryView, Rows};
use bellwire_athena::{AthenaError, MAX_ROWS};
use bellwire_edge::{Failure, ok};
use bellwire_notifications::{NotifyError, Outcome};
use bellwire_rules::digest::sha256_hex;
use bellwire_rules::ids::random_id;
use bellwire_rules::running_queries::Request;
use bellwire_rules::{ClientId, ExecutionId, QueryState};
use bellwire_store::Query;
use lambda_http::Body;
use lambda_http::http::Response;

use crate::QueriesFunction;
use crate::concurrency::Permit;
use crate::register::OnRecord;
use crate::request::{RunQuery, Token};

/// How long a caller waits for a result: API Gateway gives up after 29 s.
const PATIENCE: Duration = Duration::from_secs(25);
/// The pause between two looks: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// When whatever is still going on is given up, so that there is an answer.
const AT_LAST: Duration = Duration::from_secs(27);
/// What Athena says of a token that has come with another request before.
const OTHER_PARAMETERS: &str = "Idempotent parameters do not match";

/// Where queries run.
#[derive(Debug)]
pub struct Workgroup {
    /// Its name.
    pub name: String,
    /// The database of tables that are named without one.
    pub database: String,
}

impl QueriesFunction {
    /// Runs a query. With `wait` the answer is the first rows of the result, if they are
    /// there in time.
    pub async fn run(&self, client: &ClientId, query: RunQuery) -> Result<Response<Body>, Failure> {
        let began = Instant::now();
        let Some(workgroup) = &self.workgroup else {
            return Err(Failure::forbidden("this API does not run queries"));
        };
        let token = match &query.token {
            // Tokens of two clients are never the same.
            Some(token) => sha256_hex(&format!("{client}#{}", token.text)),
            None => random_id(),
        };
        let request = Request {
            token: token.clone(),
            waits_as: query.wait.then(random_id),
        };
        let mut taken = self.places.take(client, request).await?;
        let started = self
            .athena
            .start(
                &workgroup.name,
                &workgroup.database,
                query.sql.as_str(),
                &token,
            )
            .await;
        let id = match started {
            Ok(id) => id,
            Err(error) => {
                taken.give_up().await;
                return Err(refusal(error, query.token.as_ref()));
            }
        };
        taken.started(&id).await;
        self.own(&id, client, true).await?;
        if query.wait {
            return self.wait(id, began, taken).await;
        }
        ok(&OnRecord { execution_id: id })
    }

    /// Puts an execution on record for its owner.
    ///
    /// While its owner is being told of its end, a query is on record already: that is enough for one
    /// of `ours`, whose owner is told by the event's repetition or the next look should the function
    /// that does it die. The provider repeats its request for another.
    pub async fn own(&self, id: &ExecutionId, owner: &ClientId, ours: bool) -> Result<(), Failure> {
        let outcome = match self.completions.record_owner(id, owner, ours).await {
            Err(NotifyError::LeaseHeld) if ours => Outcome::Recorded,
            Err(NotifyError::LeaseHeld) => {
                return Err(Failure::try_again(
                    "this query is being announced right now; please try again in a few seconds",
                ));
            }
            other => other.map_err(Failure::internal)?,
        };
        let owner = owner.as_str();
        tracing::info!(query = id.as_str(), owner, ?outcome, "query put on record");
        match outcome {
            Outcome::SomebodyElses => Err(Failure::conflict(
                "QueryExecutionId: this query is on record for another client",
            )),
            Outcome::Notified | Outcome::NobodyToTell | Outcome::Recorded => Ok(()),
        }
    }

    /// Waits for the end, and answers with the first rows. The query runs: from now on there
    /// is no failure, which would be to have it run again, but what is known in time.
    async fn wait(
        &self,
        id: ExecutionId,
        began: Instant,
        taken: Permit<'_>,
    ) -> Result<Response<Body>, Failure> {
        let at_last = tokio::time::Instant::from_std(began + AT_LAST);
        let started = Query::started(id.clone());
        let waiting = self.ended(&id, began + PATIENCE);
        let ended = tokio::time::timeout_at(at_last, waiting).await;
        let query = ended.ok().flatten().unwrap_or(started);
        taken.waited(&query).await;
        if query.state != QueryState::Succeeded {
            return ok(&QueryView::from(query));
        }
        let reading = self.athena.page(&id, None, MAX_ROWS);
        match tokio::time::timeout_at(at_last, reading).await {
            Ok(Ok(Ok(page))) => ok(&Rows::new(id, page)),
            other => {
                let cause = other.map(|read| read.map(|page| page.err()));
                tracing::error!(?cause, "the result could not be read in time");
                ok(&QueryView::from(query))
            }
        }
    }

    /// The query as it stands once it has ended, or no time is left; `None` when it is not
    /// known.
    async fn ended(&self, id: &ExecutionId, until: Instant) -> Option<Query> {
        let found = self.queries.get(id).await;
        let mut query = found
            .inspect_err(|error| tracing::error!(%error, "the query could not be looked at"))
            .ok()??;
        let mut pause = FIRST_PAUSE;
        loop {
            query = self.executions.refresh_one(query).await;
            if query.state.is_terminal() || Instant::now() + pause > until {
                return Some(query);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// What a caller is told whose query Athena doesn't start.
fn refusal(error: AthenaError, token: Option<&Token>) -> Failure {
    match (error, token) {
        (AthenaError::Refused(reason), Some(token)) if reason.contains(OTHER_PARAMETERS) => {
            Failure::conflicting_field(token.said_in, "was used for another QueryString")
        }
        (AthenaError::Refused(reason), _) => Failure::field("QueryString", reason),
        (AthenaError::Busy, _) => Failure::try_again("too many queries; please try again"),
        (other, _) => Failure::internal(other),
    }
}
