//! `Renderings`: renders results of queries as JSON Lines, beside the CSV that Athena wrote.
//!
//! This file handles the messages, `json_lines` renders, `upload` writes the object. A result of any
//! size takes the same memory: it is read, rendered and uploaded in parts.

mod json_lines;
mod upload;

use bellwire_app::{App, BadSetting, Setting};
use bellwire_domain::ExecutionId;
use bellwire_domain::ids::MessageId;
use bellwire_objects::Results;
use bellwire_objects::results::{Rendering, csv_key, json_key};
use bellwire_queues::{Received, Source};
use lambda_runtime::Error;
use tokio::sync::mpsc::channel;
use tokio_util::io::SyncIoBridge;

/// The size of a part, in bytes. S3 accepts up to 10,000 parts of an object, each but the last of at
/// least 5 MiB.
const PART: usize = 8 * 1024 * 1024;

/// The function, with what it keeps between batches.
#[derive(Debug)]
pub struct RenderFunction {
    results: Results,
    /// The queue that its messages are received from.
    pub source: Source,
}

impl RenderFunction {
    /// Takes the function's bucket and queues from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            results: app.results()?,
            source: app.source(
                &[Setting::RenderingsQueueUrl],
                Setting::DeadRenderingsQueueUrl,
            )?,
        })
    }

    /// Renders the results that a batch names, one after the other. Returns the ids of the messages
    /// that failed.
    pub async fn handle(&self, batch: Vec<Received<Rendering>>) -> Vec<MessageId> {
        let mut failed = Vec::new();
        for message in batch {
            if let Err(cause) = self.render(&message.content.execution_id).await {
                tracing::error!(%cause, message_id = %message.id(), "rendering failed");
                failed.push(message.id());
            }
        }
        failed
    }

    /// Renders the result of a query, unless it is rendered already, or not kept any more.
    async fn render(&self, id: &ExecutionId) -> Result<(), Error> {
        let json = json_key(id);
        if self.results.has(&json).await? {
            tracing::info!(query = id.as_str(), "rendered before");
            return Ok(());
        }
        let csv = self.results.open(&csv_key(id)).await?;
        let Some(csv) = csv else {
            tracing::info!(query = id.as_str(), "the result is not kept any more");
            return Ok(());
        };
        let csv = SyncIoBridge::new(csv);
        // One part is rendered while another is uploaded.
        let (to, parts) = channel(1);
        let rendering = tokio::task::spawn_blocking(move || {
            json_lines::render(csv, PART, |part| {
                to.blocking_send(part)
                    .map_err(|_| json_lines::RenderError::Abandoned)
            })
        });
        let mut rendered = None;
        let complete = async || {
            let done = rendering.await;
            let complete = matches!(done, Ok(Ok(_)));
            rendered = Some(done);
            complete
        };
        let uploaded = upload::upload(&self.results, &json, parts, complete).await;
        // If the rendering failed, the upload failed because of that.
        let rows = rendered.transpose()?.transpose()?;
        uploaded?;
        tracing::info!(query = id.as_str(), rows, "rendered");
        Ok(())
    }
}
