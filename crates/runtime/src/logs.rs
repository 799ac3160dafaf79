//! Logs: one JSON object per line, on standard output, which CloudWatch reads.

use tracing_subscriber::filter::LevelFilter;

/// Starts logging at the level of `AWS_LAMBDA_LOG_LEVEL`, or at `INFO` if that is missing or unknown. A
/// release logs nothing below `INFO`.
///
/// A line has the fields of the spans around it, so that what a request is about (request id, client,
/// subscription) is set once, in a span.
pub fn start() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_max_level(level)
        .init();
}
