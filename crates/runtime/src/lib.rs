//! What every Bellwire process needs to work: its settings, its logs, a way to AWS, and pauses
//! within the time that it has.

pub mod aws;
pub mod backoff;
pub mod deadline;
pub mod env;
pub mod logs;
