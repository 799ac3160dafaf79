//! AWS in memory, for tests in milliseconds.
//!
//! The seam is the HTTP client of the SDK: functions, and the crates below them, run as they are deployed, with the
//! SDK's serialisation, retries and timeouts, and only the requests that the SDK would send over the network come
//! here (`client`). So there is one double for each service, and none for each crate that calls it, and no type
//! of the product has a parameter for tests. Tables are those of `template.yaml`, in an embedded DynamoDB
//! emulator (`tables`); SQS, S3, SNS, EventBridge and Scheduler are a few lines each (`queues`, `buckets`,
//! `topics`, `events`). Endpoints are real ones on loopback ([`endpoint`]).
//!
//! Faults are those that AWS has (`faults`): throttled, partly done, done without an answer; and a function can be
//! killed before or after any of its calls ([`Aws::killed_at`]).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod aws;
mod buckets;
mod client;
pub mod endpoint;
mod events;
mod faults;
mod queues;
mod requests;
pub mod subscribers;
mod tables;
mod topics;

pub use aws::Aws;
pub use faults::{Effect, Fault};
pub use queues::{Sent, received};
pub use requests::request;
