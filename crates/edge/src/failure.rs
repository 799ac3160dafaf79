//! Answers to requests that can't be carried out.

use std::error::Error;

use http::{Response, StatusCode};
use lambda_http::Body;
use serde::Serialize;

/// A request that can't be carried out: the caller's mistake, with a message that
/// says what to change, or ours, with the cause for the log and none of it for the
/// caller.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    message: String,
    field: Option<String>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A mistake of the caller's.
    fn mistake(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            field: None,
            cause: None,
        }
    }

    /// 400: a field of the body or the path is wrong.
    pub fn field(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        let field = field.into();
        Self {
            message: format!("{field}: {problem}"),
            field: Some(field),
            status: StatusCode::BAD_REQUEST,
            cause: None,
        }
    }

    /// 400: the request as a whole is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::BAD_REQUEST, message)
    }

    /// 401: the API key is missing, unknown or disabled.
    pub fn unauthorized() -> Self {
        Self::mistake(
            StatusCode::UNAUTHORIZED,
            "a valid API key is needed, in the header x-api-key or as a bearer token",
        )
    }

    /// 401: the client's id and secret are missing, wrong, or of a client that is disabled.
    pub fn wrong_credentials() -> Self {
        Self::mistake(
            StatusCode::UNAUTHORIZED,
            "client_id or client_secret is missing or wrong",
        )
    }

    /// 403: the API key may not do this.
    pub fn publishers_only() -> Self {
        Self::mistake(
            StatusCode::FORBIDDEN,
            "this needs the API key of a publisher",
        )
    }

    /// 403: nobody may do this here.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::FORBIDDEN, message)
    }

    /// 404: there is no such thing, or it is somebody else's.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::NOT_FOUND, message)
    }

    /// 409: it can't be done as things stand.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::CONFLICT, message)
    }

    /// 409: a field of the body is taken.
    pub fn conflicting_field(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            ..Self::field(field, problem)
        }
    }

    /// 410: it was there, and is not any more.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::GONE, message)
    }

    /// 413: the body is too large.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 415: the body is not of a kind that is understood.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// 429: the client has as much going on as it may have.
    pub fn too_many(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::TOO_MANY_REQUESTS, message)
    }

    /// 503: not now; the same request will do later.
    pub fn try_again(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 500: something of ours failed.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::mistake(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal error; please try again, and quote the request id if it lasts",
            )
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The field that is wrong, if it is one.
    pub(crate) fn named_field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// Writes the log line of an answer that isn't a success. Messages are left
    /// out: they may repeat what the caller sent.
    pub(crate) fn log(&self) {
        match &self.cause {
            Some(cause) => tracing::error!(%cause, "request failed"),
            None => tracing::info!(field = self.field, "request refused"),
        }
    }

    /// The answer: `{"message", "field"?, "request_id"}`.
    pub(crate) fn into_response(self, request_id: &str) -> Response<Body> {
        #[derive(Serialize)]
        struct Explanation<'a> {
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
            request_id: &'a str,
        }
        let explanation = Explanation {
            message: &self.message,
            field: self.field.as_deref(),
            request_id,
        };
        crate::serve::json(self.status, &explanation)
    }
}

/// Failures of tables and of AWS are ours.
impl From<bellwire_store::StoreError> for Failure {
    fn from(error: bellwire_store::StoreError) -> Self {
        Self::internal(error)
    }
}

/// So are failures of queues.
impl From<bellwire_queues::QueueError> for Failure {
    fn from(error: bellwire_queues::QueueError) -> Self {
        Self::internal(error)
    }
}

/// So are failures of the bucket.
impl From<bellwire_payloads::PayloadError> for Failure {
    fn from(error: bellwire_payloads::PayloadError) -> Self {
        Self::internal(error)
    }
}
