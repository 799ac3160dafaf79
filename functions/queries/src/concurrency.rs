//! Limits how many queries a client runs at once, and how many of its requests wait for a result.

use bellwire_api::Failure;
use bellwire_athena::Executions;
use bellwire_domain::query::running_queries::{Concurrency, Full, Request, RunningQueries};
use bellwire_domain::{ClientId, ExecutionId};
use bellwire_runtime::backoff::Backoff;
use bellwire_store::running_queries::OnRecord;
use bellwire_store::{Queries, Query, StoreError};
use time::OffsetDateTime;

/// The slots of clients, on record in the Queries table, and the limits of each client.
#[derive(Debug)]
pub struct ClientConcurrency {
    queries: Queries,
    executions: Executions,
    limits: Concurrency,
}

/// The slots of a request: one for its query, and one for its waiting if it waits for the result.
#[derive(Debug)]
pub struct Permit<'a> {
    concurrency: &'a ClientConcurrency,
    client: &'a ClientId,
    request: Request,
    known: OnRecord,
}

impl ClientConcurrency {
    /// `limits` are those of each client.
    pub fn new(queries: Queries, executions: Executions, limits: Concurrency) -> Self {
        Self {
            queries,
            executions,
            limits,
        }
    }

    /// Takes slots for a request. If all are taken, queries that have ended lose theirs.
    ///
    /// # Errors
    /// 429 when the client has as much in progress as it may have; 500 when the table fails; 503 when
    /// other requests of the client keep changing the record.
    pub async fn acquire<'a>(
        &'a self,
        client: &'a ClientId,
        request: Request,
    ) -> Result<Permit<'a>, Failure> {
        let mut backoff = Backoff::new();
        loop {
            let now = OffsetDateTime::now_utc();
            let known = self.queries.running(client).await?;
            let running = &known.running;
            let next = match running.taken(&request, self.limits, now) {
                Err(Full::Queries) => {
                    let room = running.without(&self.ended(running).await?);
                    room.taken(&request, self.limits, now)
                }
                other => other,
            };
            let next = next.map_err(|full| self.explain(full))?;
            let replaced = self.queries.replace_running(client, &known, next, now);
            if let Some(known) = replaced.await? {
                return Ok(Permit {
                    concurrency: self,
                    client,
                    request,
                    known,
                });
            }
            if !backoff.pause().await {
                return Err(Failure::try_again(
                    "other requests are in the way; please try again",
                ));
            }
        }
    }

    /// The executions with slots that have ended, by the record or by Athena. If Athena can't be
    /// reached, the record decides.
    async fn ended(&self, running: &RunningQueries) -> Result<Vec<ExecutionId>, Failure> {
        let mut ended = Vec::new();
        let mut open = Vec::new();
        for id in running.executions() {
            match self.queries.get(id).await? {
                Some(query) if query.state.is_terminal() => ended.push(id.clone()),
                Some(query) => open.push(query),
                // It was started, but could not be put on record.
                None => open.push(Query::started(id.clone())),
            }
        }
        let refreshed = self.executions.refresh(open).await;
        let found = refreshed
            .into_iter()
            .filter(|query| query.state.is_terminal());
        ended.extend(found.map(|query| query.execution_id));
        Ok(ended)
    }

    /// 429, with the limit that is reached.
    fn explain(&self, full: Full) -> Failure {
        let Concurrency { queries, waiting } = self.limits;
        Failure::too_many(match full {
            Full::Queries => format!(
                "a client can have at most {queries} queries running: wait until one has ended"
            ),
            Full::Waiting => format!(
                "a client can have at most {waiting} requests waiting for results: send it without wait"
            ),
        })
    }
}

impl Permit<'_> {
    /// Records which execution has the query's slot.
    pub async fn started(&mut self, id: &ExecutionId) {
        let token = self.request.token.clone();
        let now = OffsetDateTime::now_utc();
        self.change(|running, _| running.started(&token, id.clone(), now))
            .await;
    }

    /// Gives the slots back: no query was started.
    pub async fn give_up(mut self) {
        self.change(RunningQueries::given_up).await;
    }

    /// Gives the slot of the waiting back, and that of the query if it has ended.
    pub async fn waited(mut self, query: &Query) {
        let terminal = query.state.is_terminal();
        let ended = terminal.then(|| query.execution_id.clone());
        self.change(|running, request| running.waited(request).without(ended.as_slice()))
            .await;
    }

    /// Changes the record. A change that can't be written is logged and doesn't make the request fail:
    /// slots expire.
    async fn change(&mut self, change: impl Fn(&RunningQueries, &Request) -> RunningQueries) {
        if let Err(error) = self.try_to_change(change).await {
            let client = self.client.as_str();
            tracing::warn!(%error, client, "the slot of a query could not be changed");
        }
    }

    /// Changes the record, again if another request has changed it meanwhile. Gives up when there is no
    /// time left.
    async fn try_to_change(
        &mut self,
        change: impl Fn(&RunningQueries, &Request) -> RunningQueries,
    ) -> Result<(), StoreError> {
        let queries = &self.concurrency.queries;
        let mut backoff = Backoff::new();
        loop {
            let next = change(&self.known.running, &self.request);
            let now = OffsetDateTime::now_utc();
            let replaced = queries.replace_running(self.client, &self.known, next, now);
            if let Some(known) = replaced.await? {
                self.known = known;
                return Ok(());
            }
            if !backoff.pause().await {
                tracing::warn!("other requests keep changing the client's slots");
                return Ok(());
            }
            self.known = queries.running(self.client).await?;
        }
    }
}
