//! Protocol A over SNS: one topic per client, the subscriptions on it, and the notification of a
//! query's owner that the query has ended.
//!
//! A notification is published at least once, and again only where SNS accepted it and that was not
//! recorded.

mod client_topics;
mod completion;
mod error;
mod publisher;
mod registrations;
mod topic_prefix;

pub use client_topics::{ClientTopics, DeadLetterQueue, TopicKey};
pub use completion::{Completions, NotifyError, Outcome};
pub use error::SnsError;
pub use publisher::{Audience, Publisher};
pub use registrations::{RegistrationError, Registrations};
pub use topic_prefix::TopicPrefix;
