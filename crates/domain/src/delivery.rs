//! One event or version for one subscription: its attempts, what follows them, and the lease of a document.

pub mod counts;
pub mod decision;
pub mod error_event;
pub mod key;
pub mod lease;
pub mod outcome;
pub mod own_headers;
pub mod progress;
pub mod retry;
pub mod retry_after;
pub mod session;
pub mod state;
