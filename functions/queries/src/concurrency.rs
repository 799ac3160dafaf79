//! How much a client may have going on at once.

use bellwire_athena::Executions;
use bellwire_edge::Failure;
use bellwire_rules::running_queries::{Concurrency, Full, Request, RunningQueries};
use bellwire_rules::{ClientId, ExecutionId};
use bellwire_runtime::backoff::Backoff;
use bellwire_store::running_queries::OnRecord;
use bellwire_store::{Queries, Query, StoreError};
use time::OffsetDateTime;

/// The places of all clients.
#[derive(Debug)]
pub struct ClientConcurrency {
    queries: Queries,
    executions: Executions,
    limits: Concurrency,
}

/// The places of a request: it runs a query, and may wait for its result.
#[derive(Debug)]
pub struct Permit<'a> {
    places: &'a ClientConcurrency,
    client: &'a ClientId,
    request: Request,
    known: OnRecord,
}

impl ClientConcurrency {
    /// So many for each client.
    pub fn new(queries: Queries, executions: Executions, limits: Concurrency) -> Self {
        Self {
            queries,
            executions,
            limits,
        }
    }

    /// Takes places for a request. When there is none, queries that have ended lose theirs.
    ///
    /// # Errors
    /// 429 when the client has as much going on as it may have; 503 when other requests of it are in
    /// the way.
    pub async fn take<'a>(
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
                    places: self,
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

    /// Which of the executions have ended, as far as that can be found out.
    async fn ended(&self, running: &RunningQueries) -> Result<Vec<ExecutionId>, Failure> {
        let mut ended = Vec::new();
        let mut open = Vec::new();
        for id in running.executions() {
            match self.queries.get(id).await? {
                Some(query) if query.state.is_terminal() => ended.push(id.clone()),
                Some(query) => open.push(query),
                // It could not be put on record.
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
    /// Notes which execution has the place.
    pub async fn started(&mut self, id: &ExecutionId) {
        let token = self.request.token.clone();
        let now = OffsetDateTime::now_utc();
        self.change(|running, _| running.started(&token, id.clone(), now))
            .await;
    }

    /// Gives the places back: nothing was started.
    pub async fn give_up(mut self) {
        self.change(RunningQueries::given_up).await;
    }

    /// Notes that nobody waits any more, and that the query has ended, if it has.
    pub async fn waited(mut self, query: &Query) {
        let terminal = query.state.is_terminal();
        let ended = terminal.then(|| query.execution_id.clone());
        self.change(|running, request| running.waited(request).without(ended.as_slice()))
            .await;
    }

    /// Changes what is on record. A change that can't be written is no failure of the request: places
    /// end by themselves.
    async fn change(&mut self, change: impl Fn(&RunningQueries, &Request) -> RunningQueries) {
        if let Err(error) = self.try_to_change(change).await {
            let client = self.client.as_str();
            tracing::warn!(%error, client, "the place of a query could not be changed");
        }
    }

    async fn try_to_change(
        &mut self,
        change: impl Fn(&RunningQueries, &Request) -> RunningQueries,
    ) -> Result<(), StoreError> {
        let queries = &self.places.queries;
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
                tracing::warn!("other requests are in the way of a query's place");
                return Ok(());
            }
            self.known = queries.running(self.client).await?;
        }
    }
}
