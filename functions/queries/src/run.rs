//! `POST {"QueryString"}`: runs SQL for the client.
//!
//! The execution is on record before the response, so that its owner is notified of its end. A request
//! that was cut off after it had started the execution is completed by the same request with the same
//! `ClientRequestToken`: Athena returns the execution that it has started.

use std::time::{Duration, Instant};

use bellwire_api::{Failure, ok};
use bellwire_athena::answers::{QueryView, Rows};
use bellwire_athena::{AthenaError, MAX_ROWS};
use bellwire_domain::digest::sha256_hex;
use bellwire_domain::ids::random_id;
use bellwire_domain::query::running_queries::Request;
use bellwire_domain::{ClientId, ExecutionId, QueryState};
use bellwire_query_notifications::{NotifyError, Outcome};
use bellwire_store::Query;
use lambda_http::Body;
use lambda_http::http::Response;

use crate::QueriesFunction;
use crate::concurrency::Permit;
use crate::register::OnRecord;
use crate::request::{RunQuery, Token};

/// How long a request waits for a query to end: API Gateway gives up after 29 s.
const PATIENCE: Duration = Duration::from_secs(25);
/// The first pause between two checks of a query's state. Each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a request may take until whatever is still in progress is given up, so that there is a
/// response.
const AT_LAST: Duration = Duration::from_secs(27);
/// Part of Athena's error message for a token that came with another request before.
const OTHER_PARAMETERS: &str = "Idempotent parameters do not match";

/// The workgroup of Athena that queries run in.
#[derive(Debug)]
pub struct Workgroup {
    /// The workgroup's name.
    pub name: String,
    /// The database of tables that SQL names without one.
    pub database: String,
}

impl QueriesFunction {
    /// Runs a query. With `wait`, the response has the first rows of the result if they can be read in
    /// time, and the query's state otherwise.
    ///
    /// # Errors
    /// 400 when Athena refuses the SQL; 403 in a stack that runs no queries; 409 when the token came
    /// with another query; 429 when the client has too much in progress; 500 when AWS fails; 503 when
    /// Athena throttles, or other requests of the client interfere.
    pub(crate) async fn run(
        &self,
        client: &ClientId,
        query: RunQuery,
    ) -> Result<Response<Body>, Failure> {
        let began = Instant::now();
        let Some(workgroup) = &self.workgroup else {
            return Err(Failure::forbidden("this API does not run queries"));
        };
        let token = match &query.token {
            // With the client's id, so that tokens of two clients are never the same.
            Some(token) => sha256_hex(&format!("{client}#{}", token.text)),
            None => random_id(),
        };
        let request = Request {
            token: token.clone(),
            waits_as: query.wait.then(random_id),
        };
        let mut taken = self.concurrency.acquire(client, request).await?;
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

    /// Puts an execution on record for its owner. `ours` says whether it runs in the stack's own
    /// workgroup.
    ///
    /// If another invocation holds the lease to publish the query's end, the query is on record
    /// already. That is enough if it is `ours`: should that invocation die, the event's repetition or
    /// the next read notifies the owner. Otherwise the publisher has to repeat its request.
    ///
    /// # Errors
    /// 409 when the query is on record for another client; 500 when the table or SNS fails; 503 when
    /// the request has to be repeated.
    pub(crate) async fn own(
        &self,
        id: &ExecutionId,
        owner: &ClientId,
        ours: bool,
    ) -> Result<(), Failure> {
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
            Outcome::SomebodyElses => Err(Failure::conflicting_field(
                "QueryExecutionId",
                "this query is on record for another client",
            )),
            Outcome::Notified | Outcome::NobodyToNotify | Outcome::Recorded => Ok(()),
        }
    }

    /// Waits for a query's end, and responds with the first rows, or with what is known in time. The
    /// query is running: a failure would make the client run it again, so that there is none from here
    /// on.
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

    /// The query, once it has ended, or as it is when no time is left; `None` if it can't be read or is
    /// not on record.
    async fn ended(&self, id: &ExecutionId, until: Instant) -> Option<Query> {
        let found = self.queries.get(id).await;
        let mut query = found
            .inspect_err(|error| tracing::error!(%error, "the query could not be read"))
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

/// The failure of a request whose query Athena doesn't start.
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
