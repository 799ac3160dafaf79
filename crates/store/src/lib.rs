//! The tables, one module each: [`clients`] for all protocols, [`callbacks`] and
//! [`queries`] for protocol A, [`topics`] for protocol B. A module knows its table's keys, conditions and time to live;
//! nothing outside this crate writes a DynamoDB expression.

pub mod callbacks;
pub mod clients;
mod error;
pub mod queries;
pub mod topics;

pub use callbacks::{Callback, CallbackStatus, Callbacks};
pub use clients::{Client, Clients};
pub use error::StoreError;
pub use queries::{Fact, Queries, Query};
pub use topics::Topics;
