//! Notifying a query's owner that the query has ended.
//!
//! Two sides write facts about a query (see [`bellwire_store::queries`]). The write that completes
//! the pair acquires the lease to publish. Its writer publishes, and then marks the query as
//! notified. A repetition that finds the mark does nothing. One that finds neither the mark nor a
//! lease that is held publishes in place of a holder that died.

use bellwire_domain::{ClientId, ExecutionId, Notification, QueryState};
use bellwire_store::queries::End;
use bellwire_store::{Clients, Fact, Queries, Query, StoreError};
use time::OffsetDateTime;

use crate::publisher::Audience;
use crate::{Publisher, SnsError};

/// Why the owner was not notified this time.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Another invocation holds the lease to publish. It may have died: repeat later.
    #[error("another invocation holds the lease to publish this query's completion")]
    LeaseHeld,
    /// A table could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SNS failed, or refused.
    #[error(transparent)]
    Sns(#[from] SnsError),
    /// The notification can't be written as JSON: a defect of Bellwire.
    #[error("notification: {0}")]
    Json(#[from] serde_json::Error),
}

/// The outcome of recording a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both facts are there, and SNS accepted the notification.
    Notified,
    /// Both facts are there, and nobody receives the notification: the owner has never subscribed,
    /// or is disabled or deleted.
    NobodyToNotify,
    /// The owner was notified before, or the other fact is still missing.
    Recorded,
    /// The query belongs to another client; nothing was recorded.
    SomebodyElses,
}

/// Records the owners and the ends of queries, and notifies the owners.
#[derive(Clone, Debug)]
pub struct Completions {
    queries: Queries,
    clients: Clients,
    publisher: Publisher,
}

impl Completions {
    /// Records facts in `queries`, and notifies by `publisher` those of `clients` that are not
    /// disabled.
    pub fn new(queries: Queries, clients: Clients, publisher: Publisher) -> Self {
        Self {
            queries,
            clients,
            publisher,
        }
    }

    /// Records whose a query is, and notifies the owner if the query has ended. `ours` says whether
    /// it runs in the stack's own workgroup.
    pub async fn record_owner(
        &self,
        id: &ExecutionId,
        owner: &ClientId,
        ours: bool,
    ) -> Result<Outcome, NotifyError> {
        let now = OffsetDateTime::now_utc();
        let fact = self.queries.record_owner(id, owner, ours, now).await?;
        if let Fact::KnownBefore(query) = &fact
            && query.client_id.as_ref() != Some(owner)
        {
            return Ok(Outcome::SomebodyElses);
        }
        self.notify(fact).await
    }

    /// Records how a query ended, and notifies the owner if one is on record.
    pub async fn record_end(&self, id: &ExecutionId, end: End<'_>) -> Result<Outcome, NotifyError> {
        let now = OffsetDateTime::now_utc();
        let fact = self.queries.record_end(id, end, now).await?;
        self.notify(fact).await
    }

    /// Records a state of a query before its end.
    pub async fn record_progress(
        &self,
        id: &ExecutionId,
        state: QueryState,
        sequence_number: u64,
    ) -> Result<(), StoreError> {
        let now = OffsetDateTime::now_utc();
        self.queries
            .record_progress(id, state, sequence_number, now)
            .await
            .map(drop)
    }

    /// Publishes if both facts are there and we hold the lease, or can acquire it.
    async fn notify(&self, fact: Fact) -> Result<Outcome, NotifyError> {
        let (query, has_lease) = match fact {
            Fact::Recorded(query) => (query, true),
            Fact::KnownBefore(query) => (query, false),
        };
        let Some((owner, ended_at)) = query.to_notify() else {
            return Ok(Outcome::Recorded);
        };
        let id = &query.execution_id;
        let now = OffsetDateTime::now_utc();
        if !has_lease && !self.queries.acquire_publish_lease(id, now).await? {
            return self.after_losing_the_lease(id).await;
        }
        let audience = match self.publish(&query, owner, ended_at).await {
            Ok(audience) => audience,
            Err(error) => {
                // Whoever repeats need not wait for the lease to expire.
                if let Err(error) = self.queries.release_publish_lease(id).await {
                    tracing::warn!(%error, "the lease to publish could not be released");
                }
                return Err(error);
            }
        };
        // SNS has accepted it: to fail now would make it be published again.
        let now = OffsetDateTime::now_utc();
        if let Err(error) = self.queries.mark_notified(id, now).await {
            tracing::error!(%error, query = id.as_str(), "a query could not be marked as notified");
        }
        Ok(match audience {
            Audience::Topic => Outcome::Notified,
            Audience::Nobody => Outcome::NobodyToNotify,
        })
    }

    /// Somebody else holds the lease, or has published by now.
    async fn after_losing_the_lease(&self, id: &ExecutionId) -> Result<Outcome, NotifyError> {
        match self.queries.get(id).await? {
            Some(query) if query.to_notify().is_some() => Err(NotifyError::LeaseHeld),
            _ => Ok(Outcome::Recorded),
        }
    }

    async fn publish(
        &self,
        query: &Query,
        owner: &ClientId,
        ended_at: OffsetDateTime,
    ) -> Result<Audience, NotifyError> {
        let client = self.clients.get(owner).await?;
        if client.is_none_or(|client| client.disabled_at.is_some()) {
            tracing::info!(client = owner.as_str(), "the client is disabled or gone");
            return Ok(Audience::Nobody);
        }
        let notification = Notification {
            status: query.state,
            execution_id: &query.execution_id,
            time_completed: ended_at,
            state_change_reason: query.state_change_reason.as_deref(),
        };
        let message = notification.to_json()?;
        Ok(self.publisher.publish(owner, query.state, message).await?)
    }
}
