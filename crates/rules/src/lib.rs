//! The rules of Bellwire that need neither calls of AWS nor HTTP: one file per rule.
//!
//! Everything here is pure, or asks only the operating system for randomness (as [`secret`] does),
//! so that unit tests take milliseconds.

pub mod authorization;
pub mod callback_url;
pub mod client_id;
pub mod columns;
pub mod cursor;
pub mod decision;
pub mod digest;
pub mod document;
pub mod endpoint;
pub mod entity;
pub mod error_event;
pub mod execution_id;
pub mod ids;
pub mod lease;
pub mod modes;
pub mod network;
pub mod notification;
pub mod outcome;
pub mod paging;
pub mod patch;
pub mod payload;
pub mod query_state;
pub mod retry;
pub mod retry_after;
pub mod running_queries;
pub mod search;
pub mod secret;
pub mod signature;
pub mod sql;
pub mod statuses;
pub mod timestamp;
pub mod topic;
pub mod webhook_headers;

pub use callback_url::{CallbackUrl, UrlPolicy, UrlRefused};
pub use client_id::ClientId;
pub use execution_id::ExecutionId;
pub use notification::{Format, Notification};
pub use query_state::QueryState;
pub use secret::{Secret, SecretHash};
pub use statuses::Statuses;
