//! Logs: one JSON object a line, on standard output, as CloudWatch reads them.

use tracing_subscriber::filter::LevelFilter;

/// Starts logging at the level of `AWS_LAMBDA_LOG_LEVEL`, or at `INFO`; a release says nothing
/// below that.
///
/// Fields of the spans around a line are part of the line, so what a request is
/// about (request id, client, subscription) is said once, by a span.
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
