//! Protocol A's way through SNS: one topic per client, the subscriptions on it,
//! and the publication of a query's completion, exactly once.

mod client_topics;
mod completion;
mod error;
mod publisher;
mod registrations;
mod topic_prefix;

pub use client_topics::{ClientTopics, DeadLetterQueue, TopicKey};
pub use completion::{Completions, NotifyError, Outcome};
pub use error::SnsError;
pub use publisher::Publisher;
pub use registrations::{RegistrationError, Registrations};
pub use topic_prefix::TopicPrefix;
