//! `POST /v1/results`: links to the files of a result.

use std::time::{Duration, Instant};

use bellwire_edge::Failure;
use bellwire_queues::Message;
use bellwire_results::{Rendering, ResultsError, csv_key, json_key};
use bellwire_rules::ExecutionId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ResultsFunction;

/// The pause between two looks for a rendering: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinksRequest {
    #[serde(rename = "QueryExecutionId")]
    execution_id: String,
}

/// The answer.
#[derive(Serialize)]
pub struct Links {
    #[serde(rename = "QueryExecutionId")]
    execution_id: ExecutionId,
    csv: String,
    /// `null` while it is being made.
    json: Option<String>,
}

impl LinksRequest {
    /// The query.
    pub fn execution_id(&self) -> Result<ExecutionId, Failure> {
        ExecutionId::parse(&self.execution_id)
            .map_err(|bad| Failure::field("QueryExecutionId", bad))
    }
}

impl ResultsFunction {
    /// Links to the CSV and to the rendering as JSON Lines. Whoever asks first has it made,
    /// and waits for it for a while.
    pub async fn links(&self, id: ExecutionId) -> Result<Links, Failure> {
        let (csv, json) = (csv_key(&id), json_key(&id));
        if !self.kept(&id).await? {
            return Err(gone());
        }
        let rendered = self.rendered(&id, &json).await?;
        let json = if rendered {
            Some(self.results.link(&json).await.map_err(internal)?)
        } else {
            None
        };
        Ok(Links {
            csv: self.results.link(&csv).await.map_err(internal)?,
            execution_id: id,
            json,
        })
    }

    /// Whether the result of a finished query is still there.
    pub async fn kept(&self, id: &ExecutionId) -> Result<bool, Failure> {
        self.results.has(&csv_key(id)).await.map_err(internal)
    }

    /// Whether the rendering is there, after a while.
    async fn rendered(&self, id: &ExecutionId, json: &str) -> Result<bool, Failure> {
        if self.results.has(json).await.map_err(internal)? {
            return Ok(true);
        }
        let now = OffsetDateTime::now_utc();
        if self.queries.acquire_rendering_lease(id, now).await? {
            let rendering = Rendering {
                execution_id: id.clone(),
            };
            let sent = self.renderings.send(Message::new(&rendering)?).await;
            if let Err(error) = sent {
                // The next request is to have it made.
                self.queries.release_rendering_lease(id).await?;
                return Err(error.into());
            }
        }
        let until = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        while Instant::now() + pause < until {
            tokio::time::sleep(pause).await;
            if self.results.has(json).await.map_err(internal)? {
                return Ok(true);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(false)
    }
}

/// 410: the bucket has forgotten the result.
pub fn gone() -> Failure {
    Failure::gone("QueryExecutionId: the result of this query is not kept any more")
}

fn internal(error: ResultsError) -> Failure {
    Failure::internal(error)
}
