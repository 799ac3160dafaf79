//! Why a delivery could not be processed: its message is received again.

use bellwire_domain::endpoint::signature::BadSigningSecret;
use bellwire_fanout::FanOutError;
use bellwire_objects::ObjectError;
use bellwire_queues::QueueError;
use bellwire_store::StoreError;

/// A failure of ours, or of AWS. What an endpoint does is an outcome, and no failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A table can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The batch's subscriptions could not be prefetched; the cause is that of all its events.
    #[error("{0}")]
    Prefetch(String),
    /// A queue doesn't accept a message.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Whether a client may see a topic can't be judged, or written.
    #[error(transparent)]
    Access(#[from] FanOutError),
    /// A payload can't be read.
    #[error(transparent)]
    Payload(#[from] ObjectError),
    /// A body or message can't be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// EventBridge doesn't accept the notification of an owner.
    #[error("EventBridge: {0:#}")]
    EventBridge(anyhow::Error),
    /// EventBridge Scheduler doesn't accept a retry.
    #[error("Scheduler: {0:#}")]
    Scheduler(anyhow::Error),
    /// A schedule or event can't be written.
    #[error(transparent)]
    Build(#[from] aws_smithy_types::error::operation::BuildError),
    /// A signing secret is damaged.
    #[error(transparent)]
    Secret(#[from] BadSigningSecret),
    /// A header's name is damaged.
    #[error(transparent)]
    HeaderName(#[from] http::header::InvalidHeaderName),
    /// A header's value is damaged.
    #[error(transparent)]
    HeaderValue(#[from] http::header::InvalidHeaderValue),
    /// The invocation ends too soon for an attempt.
    #[error("no time is left for an attempt")]
    NoTime,
    /// Another function may hold the lease for the same message, or too many wanted it at once.
    #[error("an earlier receipt of the same message has the lease")]
    LeaseHeld,
    /// The lease expired, or the subscription was deleted, before it was released.
    #[error("the lease was lost")]
    LeaseLost,
    /// A message and its subscription don't go together.
    #[error("{0}")]
    Impossible(&'static str),
}
