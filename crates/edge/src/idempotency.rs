//! Requests that create something, repeated under the same `Idempotency-Key`: they are answered as the
//! first one was, secrets included, since nobody else knows these.

use bellwire_store::answers::{Answer, Answers, Earlier, RepeatableRequest, Together};
use http::{Response, StatusCode};
use lambda_http::{Body, Request};
use time::OffsetDateTime;

use crate::serve::json_text;
use crate::{Failure, idempotency_key};

/// The answers that are on record.
#[derive(Clone, Debug)]
pub struct Idempotency(Answers);

/// A request, as far as repetitions of it matter.
#[derive(Clone, Debug)]
pub struct Repeatable<'a> {
    answers: &'a Answers,
    /// Missing in a request without a key.
    request: Option<RepeatableRequest>,
}

impl Idempotency {
    /// In this table.
    pub fn new(answers: Answers) -> Self {
        Self(answers)
    }

    /// A client's request; `body` is what is the same in its repetition, secrets of the client left out.
    ///
    /// # Errors
    /// 400 when its key is no text of 1 to 255 visible characters.
    pub fn of<'a>(
        &'a self,
        request: &Request,
        client_id: &str,
        body: &str,
    ) -> Result<Repeatable<'a>, Failure> {
        let key = idempotency_key::of(request)?;
        let parts = [request.method().as_str(), request.uri().path(), body];
        Ok(Repeatable {
            answers: &self.0,
            request: key.map(|key| RepeatableRequest::new(client_id, key, &parts)),
        })
    }
}

impl Repeatable<'_> {
    /// The answer to the request that this one repeats.
    ///
    /// # Errors
    /// 409 when another request had the same key.
    pub async fn earlier(&self) -> Result<Option<Response<Body>>, Failure> {
        let Some(request) = &self.request else {
            return Ok(None);
        };
        match self
            .answers
            .find(request, OffsetDateTime::now_utc())
            .await?
        {
            Earlier::Nothing => Ok(None),
            Earlier::Same(answer) => {
                tracing::info!("repeated request");
                let status = StatusCode::from_u16(answer.status).map_err(Failure::internal)?;
                Ok(Some(json_text(status, answer.body)))
            }
            Earlier::Other => Err(Failure::conflicting_field(
                "Idempotency-Key",
                "came with another request in the last 24 hours",
            )),
        }
    }

    /// The write that records the answer, together with what the request creates; none without a key.
    pub fn record(&self, answer: &Response<Body>) -> Result<Option<Together>, Failure> {
        let Some(request) = &self.request else {
            return Ok(None);
        };
        let now = OffsetDateTime::now_utc();
        Ok(Some(self.answers.record(request, kept(answer), now)?))
    }

    /// Records the answer by itself.
    pub async fn keep(&self, answer: &Response<Body>) -> Result<(), Failure> {
        let Some(request) = &self.request else {
            return Ok(());
        };
        let now = OffsetDateTime::now_utc();
        Ok(self.answers.keep(request, kept(answer), now).await?)
    }
}

fn kept(answer: &Response<Body>) -> Answer {
    let body = match answer.body() {
        Body::Text(text) => text.clone(),
        _ => String::new(),
    };
    Answer {
        status: answer.status().as_u16(),
        body,
    }
}
