//! Queries on record, brought up to date when somebody looks at them: a completion event
//! that was missed is made good, its notification included.

use std::collections::HashMap;

use bellwire_notifications::{Completions, NotifyError};
use bellwire_rules::QueryState;
use bellwire_store::Query;
use bellwire_store::queries::End;
use time::OffsetDateTime;

use crate::{Athena, Execution};

/// Athena, and the record.
#[derive(Clone, Debug)]
pub struct Executions {
    athena: Athena,
    completions: Completions,
}

impl Executions {
    /// The record of these completions, beside what Athena says.
    pub fn new(athena: Athena, completions: Completions) -> Self {
        Self {
            athena,
            completions,
        }
    }

    /// The queries as they stand. What has ended is put on record, and its owner told, also
    /// where an earlier attempt to tell has failed. When Athena can't be asked, or doesn't
    /// know a query, it stays as it is on record.
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

    /// One query, as it stands.
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
            // An event says so too; QUEUED is what is on record before anything is heard.
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

    /// Puts an end on record and tells the owner, as far as that is still to be done. Whoever
    /// looks is not to suffer when the owner can't be told: the next look makes it good.
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
                tracing::info!(query = id.as_str(), ?outcome, "an end was found by looking")
            }
            Err(NotifyError::LeaseHeld) => {
                tracing::info!(query = id.as_str(), "the owner is being told");
            }
            Err(error) => {
                tracing::error!(query = id.as_str(), %error, "the owner could not be told")
            }
        }
    }
}
