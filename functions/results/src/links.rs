//! `POST /v1/results`: links to the files of a result.

use std::time::{Duration, Instant};

use bellwire_api::Failure;
use bellwire_domain::ExecutionId;
use bellwire_objects::ObjectError;
use bellwire_objects::results::{Rendering, csv_key, json_key};
use bellwire_queues::Message;
use lambda_http::Request;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{ResultsFunction, parameter};

/// The first pause between two checks for a rendering. Each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The request, not checked yet.
#[derive(Debug, Deserialize)]
pub struct LinksRequest {
    #[serde(rename = "QueryExecutionId")]
    execution_id: String,
}

/// The body of the response: presigned URLs.
#[derive(Serialize)]
pub struct Links {
    #[serde(rename = "QueryExecutionId")]
    execution_id: ExecutionId,
    csv: String,
    /// `null` until the result is rendered.
    json: Option<String>,
}

impl LinksRequest {
    /// The request that stands in the query string.
    ///
    /// # Errors
    /// 400 when the id is missing or repeated.
    pub fn from_parameters(request: &Request) -> Result<Self, Failure> {
        Ok(Self {
            execution_id: parameter::needed(request, "QueryExecutionId")?,
        })
    }

    /// The id of the query's execution; 400 if it is malformed.
    pub fn execution_id(&self) -> Result<ExecutionId, Failure> {
        ExecutionId::parse(&self.execution_id)
            .map_err(|bad| Failure::field("QueryExecutionId", bad))
    }
}

impl ResultsFunction {
    /// Links to the CSV, and to the rendering as JSON Lines. The first request has the result rendered;
    /// each waits some seconds for the rendering.
    ///
    /// # Errors
    /// 410 when the result is not kept any more; 500 when S3, the table or the queue fails.
    pub(crate) async fn links(&self, id: ExecutionId) -> Result<Links, Failure> {
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

    /// Whether the result of a finished query is still in the bucket.
    pub(crate) async fn kept(&self, id: &ExecutionId) -> Result<bool, Failure> {
        self.results.has(&csv_key(id)).await.map_err(internal)
    }

    /// Whether the rendering is in the bucket. If not, has the result rendered, unless that is under
    /// way, and waits for it.
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
                // So that the next request has it rendered.
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

/// 410: the result was removed from the bucket.
pub fn gone() -> Failure {
    Failure::gone("the result of this query is not kept any more").of_field("QueryExecutionId")
}

/// 500: the bucket can't be read, or a link can't be created.
fn internal(error: ObjectError) -> Failure {
    Failure::internal(error)
}
