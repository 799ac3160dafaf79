//! What every Bellwire process needs before it can work: its settings, its logs
//! and a way to AWS.

pub mod aws;
pub mod env;
pub mod logs;
