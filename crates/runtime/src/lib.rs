//! What every Bellwire process needs: settings, logs, the SDK's configuration, the deadline of an
//! invocation, and pauses before repetitions.

pub mod aws;
pub mod backoff;
pub mod deadline;
pub mod env;
pub mod logs;
