//! Queries on record, brought up to date when somebody looks at them: a completion event
//! that was missed is made good, its notification included.

use std::collections::HashMap;

use bellwire_notifications::Completions;
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

    /// The queries as they stand. What has ended is put on record, and its owner told. When
    /// Athena can't be asked, or doesn't know a query, it stays as it is on record.
    pub async fn refresh(&self, queries: Vec<Query>) -> Vec<Query> {
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
        let end = End {
            state,
            at,
            reason: reason.as_deref(),
        };
        // Whoever looks is not to suffer when the owner can't be told: the next look, or the
        // event, makes it good.
        match self.completions.record_end(&query.execution_id, end).await {
            Ok(outcome) => tracing::info!(?outcome, "an end was found by looking"),
            Err(error) => tracing::error!(%error, "an end could not be put on record"),
        }
        Query {
            state,
            completed_at: Some(at),
            state_change_reason: reason,
            ..query
        }
    }
}
