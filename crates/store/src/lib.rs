//! The tables, one module each: [`clients`] for all protocols, [`callbacks`] and [`queries`]
//! for protocol A, the others for protocols B and C. A module knows its table's keys, conditions
//! and time to live; nothing outside this crate writes a DynamoDB expression.

pub mod answers;
pub mod attempt_list;
pub mod attempt_record;
pub mod attempts;
pub mod attempts_of_several;
mod batch_get;
mod batch_write;
pub mod callbacks;
mod client_change;
pub mod clients;
mod conditional;
mod earlier_exchange;
mod endpoint_state;
mod endpoints;
mod error;
mod event_list;
pub mod events;
pub mod keys;
pub mod leases;
pub mod members;
pub mod prefetch;
pub mod queries;
pub mod query_list;
mod removal;
mod replays;
pub mod running_queries;
mod seconds;
mod spelling;
mod stored_topic;
pub mod subscription;
pub mod subscription_change;
mod subscription_end;
pub mod subscription_list;
pub mod subscriptions;
mod topic_names;
pub mod topics;
mod transaction;
mod usage;
pub mod versions;

pub use answers::Answers;
pub use attempts::{Attempts, Deliveries};
pub use callbacks::{Callback, CallbackStatus, Callbacks};
pub use client_change::ClientChange;
pub use clients::{Client, Clients};
pub use error::StoreError;
pub use events::Events;
pub use keys::{ApiKey, Keys};
pub use members::Members;
pub use queries::{Fact, Queries, Query};
pub use subscription::Subscription;
pub use subscriptions::Subscriptions;
pub use topics::Topics;
pub use usage::{Exceeded, Limits};
