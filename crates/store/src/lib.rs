//! The tables of protocol A, one module each: [`clients`], [`callbacks`] and
//! [`queries`]. A module knows its table's keys, conditions and time to live;
//! nothing outside this crate writes a DynamoDB expression.

pub mod callbacks;
pub mod clients;
mod error;
pub mod queries;

pub use callbacks::{Callback, CallbackStatus, Callbacks};
pub use clients::{Client, Clients};
pub use error::StoreError;
pub use queries::{Fact, Queries, Query};
