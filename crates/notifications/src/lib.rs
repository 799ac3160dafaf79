//! Protocol A's way through SNS: one topic per client, the subscriptions on it,
//! and the publication of a query's completion, exactly once.

mod client_topics;
mod completion;
mod error;
mod registrations;

pub use client_topics::{ClientTopics, Confirmation, DeadLetterQueue, TopicPrefix};
pub use completion::{Completions, NotifyError, Outcome};
pub use error::SnsError;
pub use registrations::{RegistrationError, Registrations};
