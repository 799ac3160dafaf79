//! The messages of `ClientTasks`, as JSON.

use bellwire_domain::ClientId;
use bellwire_domain::ids::TopicId;
use serde::{Deserialize, Serialize};

use crate::hops::Hops;

/// A message of `ClientTasks`. What is to be done follows from what is on record, so that an old message undoes no newer
/// change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientTask {
    /// A client was disabled, enabled or deleted: complete the steps that its state asks for.
    StateChanged {
        /// The client's id.
        client_id: ClientId,
        /// How often the message was sent on.
        #[serde(default, skip_serializing_if = "Hops::is_none")]
        hops: Hops,
    },
    /// A client's labels were changed: judge its subscriptions to topics that ask for labels.
    LabelsChanged {
        /// The client's id.
        client_id: ClientId,
    },
    /// Who may see a topic was changed: judge its subscriptions.
    AccessChanged {
        /// The topic's id.
        topic_id: TopicId,
        /// The segment of its audience; `None` for all: a message for each follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        segment: Option<u64>,
    },
}
