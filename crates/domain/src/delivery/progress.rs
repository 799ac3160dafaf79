//! How far the deliveries of a document to a subscription have come: what is on record between leases.

use serde::{Deserialize, Serialize};

use crate::ids::MessageId;

/// How far the deliveries of a document to a subscription have come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// The newest version that is known to be wanted; 0 before the first.
    #[serde(default)]
    pub wanted: u64,
    /// The version that the endpoint acknowledged last; 0 before the first.
    #[serde(default)]
    pub acknowledged: u64,
    /// Whether the endpoint may have something else than the acknowledged version.
    #[serde(default)]
    pub in_doubt: bool,
    /// How often a snapshot was asked for, whatever the endpoint has.
    #[serde(default)]
    pub snapshots_asked: u64,
    /// The lease, if it was acquired and not released since. It may have expired.
    #[serde(flatten)]
    pub lease: Option<Lease>,
    /// How many attempts of the current schedule of retries have failed, in a row.
    #[serde(default)]
    pub failures: usize,
    /// The pending retry, if there is one.
    #[serde(flatten)]
    pub retry: Option<Retry>,
    /// What was wanted when the current schedule of retries began; `None` when none is under way.
    #[serde(flatten)]
    pub schedule: Option<Schedule>,
}

/// The exclusive right to send to a subscription, for a limited time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// The id of the message that holds the lease.
    #[serde(rename = "turn")]
    pub message_id: MessageId,
    /// The random number of the attempt that acquired it, since a message may be received twice.
    #[serde(rename = "turn_nonce")]
    pub nonce: u64,
    /// When it expires, in milliseconds since 1970.
    #[serde(rename = "turn_until")]
    pub until: u64,
}

/// A pending retry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Retry {
    /// When it is due, in milliseconds since 1970.
    #[serde(rename = "retry_at")]
    pub at: u64,
    /// The id of the message whose attempt failed, and which arranges the retry.
    #[serde(rename = "retry_by")]
    pub message_id: MessageId,
}

/// What was wanted when the first attempt of a schedule of retries was made. What is wanted later
/// gets a schedule of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Schedule {
    /// The newest version that was wanted then.
    #[serde(rename = "schedule_wanted")]
    pub wanted: u64,
}
