//! Why steps could not be made.

use bellwire_fanout::FanOutError;
use bellwire_query_notifications::SnsError;
use bellwire_queues::QueueError;
use bellwire_store::StoreError;

/// A table, SNS or a queue failed. The text is for the log, or the operator's terminal.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// A table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A message could not be sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The current document could not be sent.
    #[error("the current document: {0}")]
    Document(#[from] FanOutError),
    /// SNS failed.
    #[error("the client's SNS topic: {0}")]
    Sns(#[from] SnsError),
}
