//! Responses to requests that fail.

use std::error::Error;

use http::{HeaderValue, Response, StatusCode, header};
use lambda_http::Body;
use serde::Serialize;

use crate::accept::ErrorForm;
use crate::serve::json_text;

/// How long a caller should wait before it tries again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request fails: by the caller's mistake, with a message that says what to change, or by a
/// failure of ours, with a cause that is logged and not returned to the caller.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    mistake: Box<Mistake>,
    /// What else is wrong with the request.
    others: Vec<Mistake>,
    /// Whether the caller has made up the name of the field, so that it isn't logged.
    made_up: bool,
    /// The methods of the resource, of which the request's is none.
    allow: Option<Box<HeaderValue>>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// What is wrong with a request, or with one field of it.
#[derive(Clone, Debug, Serialize)]
pub struct Mistake {
    /// A field of the body as a path (`publisher.payload.type`), a parameter or a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong. It begins with the field's name, if there is one.
    pub message: String,
}

impl Failure {
    /// A failure with a message for the caller, and without a cause.
    fn mistake(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            mistake: Box::new(Mistake {
                field: None,
                message: message.into(),
            }),
            others: Vec::new(),
            made_up: false,
            allow: None,
            cause: None,
        }
    }

    /// 400: a field of the body, a parameter or a header is wrong. The message begins with its name.
    pub fn field(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        let field = field.into();
        let mut failure = Self::mistake(StatusCode::BAD_REQUEST, format!("{field}: {problem}"));
        failure.mistake.field = Some(field);
        failure
    }

    /// 400: a field that there is none of. Its name is not logged: the caller has made it up.
    pub(crate) fn unknown_field(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self {
            made_up: true,
            ..Self::field(field, problem)
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

    /// 403: the API key is not an operator's.
    pub fn operators_only() -> Self {
        Self::mistake(
            StatusCode::FORBIDDEN,
            "this needs the API key of an operator",
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

    /// 405: the resource has other methods, which are in the header `Allow`.
    pub(crate) fn method_not_allowed(method: &str, allow: &HeaderValue) -> Self {
        let methods = allow.to_str().unwrap_or_default();
        Self {
            allow: Some(Box::new(allow.clone())),
            ..Self::mistake(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("{method} is none of the methods of this path: {methods}"),
            )
        }
    }

    /// 406: the caller doesn't take JSON.
    pub(crate) fn not_acceptable() -> Self {
        Self::field("Accept", "must allow application/json").with_status(StatusCode::NOT_ACCEPTABLE)
    }

    /// 409: the current state doesn't allow it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::CONFLICT, message)
    }

    /// 409: another request had the same value in this field. The message begins with the field's name.
    pub fn conflicting_field(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::field(field, problem).with_status(StatusCode::CONFLICT)
    }

    /// 410: it existed, and doesn't any more.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::GONE, message)
    }

    /// 412: it has changed since the caller has read it.
    pub(crate) fn changed_since() -> Self {
        Self::field("If-Match", "it has changed since; please read it again")
            .with_status(StatusCode::PRECONDITION_FAILED)
    }

    /// 413: the body is too large.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::mistake(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 415: the body's `Content-Type` is not accepted.
    pub(crate) fn unsupported_media_type(problem: impl std::fmt::Display) -> Self {
        Self::field("Content-Type", problem).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
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

    /// The failure, as one of a field of the request. The message begins with its name.
    #[must_use]
    pub fn of_field(mut self, field: &str) -> Self {
        self.mistake.message = format!("{field}: {}", self.mistake.message);
        self.mistake.field = Some(field.to_owned());
        self
    }

    fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The failure, with the mistakes of others.
    pub(crate) fn with_others(mut self, others: impl Iterator<Item = Self>) -> Self {
        self.others.extend(others.map(|other| *other.mistake));
        self
    }

    /// The failure of a part of the body, whose own fields it names, as one of the whole.
    pub(crate) fn within(mut self, part: &str) -> Self {
        for mistake in std::iter::once(&mut *self.mistake).chain(&mut self.others) {
            let message = &mistake.message;
            *mistake = match &mistake.field {
                Some(field) => Mistake {
                    field: Some(format!("{part}.{field}")),
                    message: format!("{part}.{message}"),
                },
                None => Mistake {
                    field: Some(part.to_owned()),
                    message: format!("{part}: {message}"),
                },
            };
        }
        self
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.mistake.message
    }

    /// The name of the field that is wrong; `None` if it isn't a single one.
    pub(crate) fn named_field(&self) -> Option<&str> {
        self.mistake.field.as_deref()
    }

    /// All that is wrong with the request: one mistake or more.
    pub(crate) fn mistakes(&self) -> impl Iterator<Item = &Mistake> {
        std::iter::once(&*self.mistake).chain(&self.others)
    }

    /// Logs the failure. The message is left out, since it may repeat what the caller sent.
    pub fn log(&self) {
        let field = self.named_field().filter(|_| !self.made_up);
        match &self.cause {
            Some(cause) => tracing::error!(%cause, "request failed"),
            None => tracing::info!(field, "request refused"),
        }
    }

    /// The response in a form that the caller accepts: `{"message", "field"?, "errors"?, "request_id"}`, or a problem
    /// of RFC 9457. `errors` are all mistakes, if there are several.
    pub(crate) fn into_response(self, request_id: &str, form: ErrorForm) -> Response<Body> {
        let several: Option<Vec<&Mistake>> =
            (!self.others.is_empty()).then(|| self.mistakes().collect());
        let Mistake { field, message } = &*self.mistake;
        let (media_type, explanation) = match form {
            ErrorForm::Plain => (
                "application/json",
                serde_json::to_string(&Plain {
                    message,
                    field: field.as_deref(),
                    errors: several,
                    request_id,
                }),
            ),
            ErrorForm::Problem => (
                "application/problem+json",
                serde_json::to_string(&Problem {
                    kind: "about:blank",
                    title: self.status.canonical_reason().unwrap_or_default(),
                    status: self.status.as_u16(),
                    detail: message,
                    field: field.as_deref(),
                    errors: several,
                    request_id,
                }),
            ),
        };
        let mut response = json_text(self.status, explanation.unwrap_or_default());
        let media_type = HeaderValue::from_static(media_type);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
        self.add_headers(response)
    }

    /// The response with the headers that belong to its status.
    pub(crate) fn add_headers(&self, mut response: Response<Body>) -> Response<Body> {
        let headers = response.headers_mut();
        if let Some(allow) = &self.allow {
            headers.insert(header::ALLOW, HeaderValue::clone(allow));
        }
        if matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

#[derive(Serialize)]
struct Plain<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<&'a Mistake>>,
    request_id: &'a str,
}

/// <https://www.rfc-editor.org/rfc/rfc9457#name-members-of-a-problem-detail>
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<&'a Mistake>>,
    request_id: &'a str,
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

/// A delivery that isn't sent once more has a state that doesn't allow it: 409.
impl From<bellwire_fanout::NotResent> for Failure {
    fn from(refused: bellwire_fanout::NotResent) -> Self {
        Self::conflict(refused.to_string())
    }
}
