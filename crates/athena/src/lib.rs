//! Athena: starting queries in the stack's workgroup, how they stand, and their rows.
//!
//! [`Athena`] makes the calls. [`Executions`] brings what is on record up to date with what
//! Athena says, and [`answers`] has what the API says of a query.

pub mod answers;
mod client;
mod executions;
mod rows;

pub use client::{Athena, AthenaError, Execution};
pub use executions::Executions;
pub use rows::{BadToken, MAX_ROWS, Page};
