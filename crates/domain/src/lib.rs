//! The rules of Bellwire that need neither calls of AWS nor HTTP: one file per rule.
//!
//! Everything here is pure, or asks only the operating system for randomness (as [`secret`] does),
//! so that unit tests take milliseconds.

pub mod basic;
pub mod client;
pub mod client_id;
pub mod cursor;
pub mod delivery;
pub mod digest;
pub mod endpoint;
pub mod entity;
pub mod ids;
pub mod object;
pub mod paging;
pub mod query;
pub mod secret;
pub mod timestamp;
pub mod topic;

pub use client_id::ClientId;
pub use endpoint::callback_url::{CallbackUrl, UrlPolicy, UrlRefused};
pub use query::execution_id::ExecutionId;
pub use query::notification::{Format, Notification};
pub use query::state::QueryState;
pub use query::statuses::Statuses;
pub use secret::{Secret, SecretHash};
