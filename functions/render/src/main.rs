//! `Renderings`: renders results as JSON Lines, beside the CSV that Athena wrote.
//!
//! A result of any size takes the same memory: it is read, rendered and uploaded in parts.

mod json_lines;
mod upload;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use bellwire_queues::{Queue, Sources, batch, consume};
use bellwire_results::{Rendering, Results, csv_key, json_key};
use bellwire_rules::ExecutionId;
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::env::required;
use bellwire_runtime::logs;
use lambda_runtime::Error;
use tokio::sync::mpsc::channel;
use tokio_util::io::SyncIoBridge;

/// How large a part is: S3 takes 10,000 of them, each of 5 MiB at least.
const PART: usize = 8 * 1024 * 1024;

/// What the function keeps between batches.
struct RenderFunction {
    results: Results,
    dead_letters: Queue,
    sources: Sources,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &RenderFunction::from_env()?;
    consume(function.sources.clone(), |event| function.handle(event)).await
}

impl RenderFunction {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let sqs = Lazy::new(&config, aws_sdk_sqs::Client::new);
        Ok(Self {
            results: Results::new(&config, required("RESULTS_BUCKET")?),
            dead_letters: Queue::new(sqs.clone(), required("DEAD_RENDERINGS_QUEUE_URL")?),
            sources: Sources::new(sqs, vec![required("RENDERINGS_QUEUE_URL")?]),
        })
    }

    async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let mut failed = Vec::new();
        for message in &event.records {
            if let Err(cause) = self.process(message).await {
                tracing::error!(%cause, message_id = message.message_id, "rendering failed");
                failed.push(batch::id(message));
            }
        }
        batch::failures(failed)
    }

    async fn process(&self, message: &SqsMessage) -> Result<(), Error> {
        match batch::read::<Rendering>(message) {
            Ok(Rendering { execution_id }) => self.render(&execution_id).await,
            Err(reason) => {
                tracing::error!(reason, message_id = message.message_id, "dead letter");
                let body = message.body.as_deref().unwrap_or_default();
                Ok(self
                    .dead_letters
                    .dead_letter(body, &reason, None, None)
                    .await?)
            }
        }
    }

    /// Renders the result of a query, unless that is done.
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
        // Why the rendering failed says more than that the upload did.
        let rows = rendered.transpose()?.transpose()?;
        uploaded?;
        tracing::info!(query = id.as_str(), rows, "rendered");
        Ok(())
    }
}
