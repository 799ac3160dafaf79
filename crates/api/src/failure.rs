//! Responses to requests that fail.

use std::error::Error;

use http::{Response, StatusCode};
use lambda_http::Body;
use serde_json::{Map, Value};

use crate::serve::json_text;

/// Why a request fails: by the caller's mistake, with a message that says what to change, or by a
/// failure of ours, with a cause that is logged and not returned to the caller.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    message: String,
    field: Option<String>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure with a message for the caller, and without a cause.
    fn mistake(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            field: None,
            cause: None,
        }
    }

    /// 400: a field of the body, a parameter or a header is wrong. The message begins with its name.
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

    /// 401: the API key is missing, unknown, or of a disabled client.
    pub fn unauthorized() -> Self {
        Self::mistake(
            StatusCode::UNAUTHORIZED,
            "a valid API key is needed, in the header x-api-key or as a bearer token",
        )
    }

    /// 401: the client's id and secret are missing, wrong, or of a disabled client.
    pub fn wrong_credentials() -> Self {
        Self::mistake(
            StatusCode::UNAUTHORIZED,
            "client_id or client_secret is missing or wrong",
        )
    }

    /// 403: the API key is not a publisher's.
    pub fn publishers_only() -> Self {
        Self::mistake(
            StatusCode::FORBIDDEN,
            "this needs the API key of a publisher",
        )
    }

    /// 403: this stack doesn't allow it, whoever the caller is.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::FORBIDDEN, message)
    }

    /// 404: it doesn't exist, or belongs to another client.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::NOT_FOUND, message)
    }

    /// 409: the current state doesn't allow it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::CONFLICT, message)
    }

    /// 409: another request had the same value in this field. The message begins with the field's name.
    pub fn conflicting_field(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            ..Self::field(field, problem)
        }
    }

    /// 410: it existed, and doesn't any more.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::GONE, message)
    }

    /// 412: it has changed since the caller has read it.
    pub(crate) fn changed_since() -> Self {
        Self::mistake(
            StatusCode::PRECONDITION_FAILED,
            "If-Match: it has changed since; please read it again",
        )
    }

    /// 413: the body is too large.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 415: the body's `Content-Type` is not accepted.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// 429: the client has as much in progress as it may have.
    pub fn too_many(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::TOO_MANY_REQUESTS, message)
    }

    /// 503: it can't be done now; the same request may succeed later.
    pub fn try_again(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 500: a failure of ours, with the cause for the log.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::mistake(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal error; please try again, and quote the request id if it lasts",
            )
        }
    }

    /// The failure of a part of the body, whose own fields it names, as one of the whole.
    pub(crate) fn within(self, part: &str) -> Self {
        let (field, message) = match self.field {
            Some(field) => (
                format!("{part}.{field}"),
                format!("{part}.{}", self.message),
            ),
            None => (part.to_owned(), format!("{part}: {}", self.message)),
        };
        Self {
            field: Some(field),
            message,
            ..self
        }
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The name of the field that is wrong; `None` if it isn't a single one.
    pub(crate) fn named_field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// Logs the failure. The message is left out, since it may repeat what the caller sent.
    pub fn log(&self) {
        match &self.cause {
            Some(cause) => tracing::error!(%cause, "request failed"),
            None => tracing::info!(field = self.field, "request refused"),
        }
    }

    /// The response: `{"message", "field"?, "request_id"}`.
    pub(crate) fn into_response(self, request_id: &str) -> Response<Body> {
        let mut explanation = Map::new();
        explanation.insert("message".to_owned(), self.message.into());
        if let Some(field) = self.field {
            explanation.insert("field".to_owned(), field.into());
        }
        explanation.insert("request_id".to_owned(), request_id.into());
        json_text(self.status, Value::Object(explanation).to_string())
    }
}

/// A table that can't be read or written is a failure of ours: 500.
impl From<bellwire_store::StoreError> for Failure {
    fn from(error: bellwire_store::StoreError) -> Self {
        Self::internal(error)
    }
}

/// So is a fan-out that can't be completed.
impl From<bellwire_fanout::FanOutError> for Failure {
    fn from(error: bellwire_fanout::FanOutError) -> Self {
        Self::internal(error)
    }
}

/// So is a queue that can't be sent to.
impl From<bellwire_queues::QueueError> for Failure {
    fn from(error: bellwire_queues::QueueError) -> Self {
        Self::internal(error)
    }
}

/// So is the bucket of payloads that can't be read or written.
impl From<bellwire_objects::ObjectError> for Failure {
    fn from(error: bellwire_objects::ObjectError) -> Self {
        Self::internal(error)
    }
}
