//! Brings recorded queries up to date when they are read. When a completion event was missed, this
//! records the end and notifies the owner.

use std::collections::HashMap;

use bellwire_domain::QueryState;
use bellwire_query_notifications::{Completions, NotifyError};
use bellwire_store::Query;
use bellwire_store::queries::End;
use time::OffsetDateTime;

use crate::{Athena, Execution};

/// Athena, and the record of queries and their ends.
#[derive(Clone, Debug)]
pub struct Executions {
    athena: Athena,
    completions: Completions,
}

impl Executions {
    /// Brings the record of these completions up to date with Athena.
    pub fn new(athena: Athena, completions: Completions) -> Self {
        Self {
            athena,
            completions,
        }
    }

    /// The queries with their current states. An end is put on record and the owner notified, also
    /// where an earlier attempt to notify has failed. When Athena can't be reached, or doesn't know
    /// a query, the query is returned as it is on record.
    pub async fn refresh(&self, queries: Vec<Query>) -> Vec<Query> {
        for query in &queries {
            if let Some((_, at)) = query.to_notify() {
                let reason = query.state_change_reason.as_deref();
                self.put_on_record(query, query.state, at, reason).await;
            }
        }
        let open: Vec<_> = queries
            .iter()
            .filter(|query| !query.state.is_terminal())
            .map(|query| &query.execution_id)
            .collect();
        if open.is_empty() {
            return queries;
        }
        let found = match self.athena.look(&open).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "states are shown as they are on record");
                return queries;
            }
        };
        let mut found: HashMap<_, _> = found
            .into_iter()
            .map(|execution| (execution.id.clone(), execution))
            .collect();
        let mut refreshed = Vec::with_capacity(queries.len());
        for query in queries {
            let execution = found.remove(&query.execution_id);
            refreshed.push(match execution {
                Some(execution) => self.updated(query, execution).await,
                None => query,
            });
        }
        refreshed
    }

    /// One query with its current state.
    pub async fn refresh_one(&self, query: Query) -> Query {
        let as_it_was = query.clone();
        self.refresh(vec![query]).await.pop().unwrap_or(as_it_was)
    }

    async fn updated(&self, query: Query, execution: Execution) -> Query {
        let Execution {
            state,
            completed_at,
            reason,
            ..
        } = execution;
        if !state.is_terminal() {
            // An event records this state too; QUEUED is on record until the first event has
            // arrived.
            let state = if query.state == QueryState::Queued {
                state
            } else {
                query.state
            };
            return Query { state, ..query };
        }
        let at = completed_at.unwrap_or_else(OffsetDateTime::now_utc);
        self.put_on_record(&query, state, at, reason.as_deref())
            .await;
        Query {
            state,
            completed_at: Some(at),
            state_change_reason: reason,
            ..query
        }
    }

    /// Puts an end on record and notifies the owner, as far as that is still to be done. When the
    /// owner can't be notified, the read must not fail: the next one tries again.
    async fn put_on_record(
        &self,
        query: &Query,
        state: QueryState,
        at: OffsetDateTime,
        reason: Option<&str>,
    ) {
        let id = &query.execution_id;
        match self
            .completions
            .record_end(id, End { state, at, reason })
            .await
        {
            Ok(outcome) => {
                tracing::info!(query = id.as_str(), ?outcome, "an end was found by a read")
            }
            Err(NotifyError::LeaseHeld) => {
                tracing::info!(query = id.as_str(), "the owner is being notified");
            }
            Err(error) => {
                tracing::error!(query = id.as_str(), %error, "the owner could not be notified")
            }
        }
    }
}
