//! Queries: the SQL that is accepted, how a query ends, and the notification of its owner.

pub mod columns;
pub mod execution_id;
pub mod notification;
pub mod running_queries;
pub mod sql;
pub mod state;
pub mod statuses;
