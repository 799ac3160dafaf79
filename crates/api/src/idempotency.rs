//! Repetitions of requests that create something, recognised by their `Idempotency-Key`. They get the
//! response to the first request, secrets included: nobody could read these otherwise.

use bellwire_store::answers::{Answer, Answers, Earlier, RepeatableRequest, Together};
use http::{Response, StatusCode};
use lambda_http::{Body, Request};
use time::OffsetDateTime;

use crate::serve::json_text;
use crate::{Failure, idempotency_key};

/// The responses on record, in the Answers table.
#[derive(Clone, Debug)]
pub struct Idempotency(Answers);

/// A request, with what identifies its repetitions.
#[derive(Clone, Debug)]
pub struct Repeatable<'a> {
    answers: &'a Answers,
    /// `None` for a request without a key, whose repetitions are not recognised.
    request: Option<RepeatableRequest>,
}

impl Idempotency {
    /// `answers` is the table of recorded responses.
    pub fn new(answers: Answers) -> Self {
        Self(answers)
    }

    /// A client's request. `body` is what a repetition has in common with it, without secrets of the
    /// client.
    ///
    /// # Errors
    /// 400 when its key isn't 1 to 255 visible ASCII characters.
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
    /// The recorded response to the request that this one repeats; `None` if there is none, or the
    /// request has no key.
    ///
    /// # Errors
    /// 409 when another request of the client had the same key in the last 24 hours.
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

    /// The write that records the response, for the transaction that creates what the request asks for;
    /// `None` without a key.
    pub fn record(&self, answer: &Response<Body>) -> Result<Option<Together>, Failure> {
        let Some(request) = &self.request else {
            return Ok(None);
        };
        let now = OffsetDateTime::now_utc();
        Ok(Some(self.answers.record(request, kept(answer), now)?))
    }

    /// Records the response by itself, where no transaction creates what the request asks for. Does
    /// nothing without a key.
    pub async fn keep(&self, answer: &Response<Body>) -> Result<(), Failure> {
        let Some(request) = &self.request else {
            return Ok(());
        };
        let now = OffsetDateTime::now_utc();
        Ok(self.answers.keep(request, kept(answer), now).await?)
    }
}

/// What is recorded of a response: its status and its JSON.
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
