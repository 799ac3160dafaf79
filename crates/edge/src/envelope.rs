//! The envelope of protocol C: `{"status": {"status_code": 200}, "data": {…}}`, and of its
//! errors: `{"status": {"status_code": 400, "message": "…"}}`.

use http::{Response, StatusCode};
use lambda_http::{Body, Error, Request};
use serde::Serialize;

use crate::Failure;
use crate::serve::{json, serve_with};

#[derive(Serialize)]
struct Envelope<'a, T> {
    status: Status<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
}

#[derive(Default, Serialize)]
struct Status<'a> {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// As [`crate::serve()`], with failures in the envelope.
pub async fn serve<F, Fut>(handle: F) -> Result<(), Error>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Result<Response<Body>, Failure>> + Send,
{
    serve_with(handle, failed).await
}

/// An answer with data.
pub fn with(status: StatusCode, data: &impl Serialize) -> Result<Response<Body>, Failure> {
    Ok(json(status, &envelope(status, Some(data))))
}

/// 200, with nothing to say.
pub fn done() -> Result<Response<Body>, Failure> {
    Ok(json(StatusCode::OK, &envelope(StatusCode::OK, None::<()>)))
}

fn envelope<T>(status: StatusCode, data: Option<T>) -> Envelope<'static, T> {
    let status = Status {
        status_code: status.as_u16(),
        ..Status::default()
    };
    Envelope { status, data }
}

fn failed(failure: Failure, request_id: &str) -> Response<Body> {
    let status = Status {
        status_code: failure.status().as_u16(),
        message: Some(failure.message()),
        field: failure.named_field(),
        request_id: Some(request_id),
    };
    json(
        failure.status(),
        &Envelope {
            status,
            data: None::<()>,
        },
    )
}
