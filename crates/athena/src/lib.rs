//! Athena: starting queries in the stack's workgroup, and reading their states and their rows.
//!
//! [`Athena`] makes the calls. [`Executions`] brings recorded queries up to date with Athena, and
//! [`answers`] has what the API returns of queries.

pub mod answers;
mod client;
mod executions;
mod rows;

pub use client::{Athena, AthenaError, Execution};
pub use executions::Executions;
pub use rows::{BadToken, MAX_ROWS, Page};
