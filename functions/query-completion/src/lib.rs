//! EventBridge's event `Athena Query State Change`: records the states of queries, and notifies the
//! owner of a query that has ended (protocol A).
//!
//! This file handles the event, `event` reads it. An event that can't be processed, for whatever
//! reason, is an error of the function: Lambda retries it, and then puts it into the dead-letter queue.

mod event;

use bellwire_app::{App, BadSetting};
use bellwire_query_notifications::{Completions, Outcome};
use bellwire_store::queries::End;
use lambda_runtime::Error;
use serde_json::Value;

use crate::event::{Detail, StateChange};

/// The function, with what it keeps between events.
#[derive(Debug)]
pub struct QueryCompletionFunction {
    completions: Completions,
}

impl QueryCompletionFunction {
    /// Takes the function's tables and its client of SNS from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            completions: app.completions()?,
        })
    }

    /// Records the new state of a query, and notifies the query's owner if it has ended.
    ///
    /// # Errors
    /// When the event can't be read or recorded, or the owner can't be notified: Lambda retries it.
    pub async fn handle(&self, event: Value) -> Result<(), Error> {
        let StateChange { time, detail, .. } = StateChange::read(event)?;
        let Detail {
            execution_id: id,
            state,
            sequence_number,
            error,
        } = detail;
        let outcome = if state.is_terminal() {
            let end = End {
                state,
                at: time,
                reason: error.as_ref().and_then(|error| error.message.as_deref()),
            };
            self.completions.record_end(&id, end).await?
        } else {
            self.completions
                .record_progress(&id, state, sequence_number)
                .await?;
            Outcome::Recorded
        };
        tracing::info!(query = id.as_str(), %state, ?outcome, "state change");
        Ok(())
    }
}
