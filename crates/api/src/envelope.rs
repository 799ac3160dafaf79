//! Responses in the envelope of protocol C: `{"status": {"status_code": 200}, "data": {…}}`, and for
//! errors `{"status": {"status_code": 400, "message": "…"}}`.

use http::{Response, StatusCode};
use lambda_http::{Body, Error, Request};
use serde::Serialize;
use serde_json::{Map, json};

use crate::Failure;
use crate::edge::Edge;
use crate::serve::{Said, json_text, serve_with};

/// As [`crate::serve()`], with failures in the envelope.
pub async fn serve<F, Fut>(edge: Edge, handle: F) -> Result<(), Error>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Result<Response<Body>, Failure>> + Send,
{
    serve_with(edge, handle, failed).await
}

/// A response with this status, and with data in the envelope.
///
/// # Errors
/// 500 when the data can't be written as JSON.
pub fn with(status: StatusCode, data: &impl Serialize) -> Result<Response<Body>, Failure> {
    let data = serde_json::to_value(data).map_err(Failure::internal)?;
    let body = json!({ "status": { "status_code": status.as_u16() }, "data": data });
    Ok(json_text(status, body.to_string()))
}

/// 200, without data.
pub fn done() -> Result<Response<Body>, Failure> {
    let status = StatusCode::OK;
    let body = json!({ "status": { "status_code": status.as_u16() } });
    Ok(json_text(status, body.to_string()))
}

/// The response to a request that failed.
fn failed(failure: Failure, said: Said<'_>) -> Response<Body> {
    let code = failure.status();
    let mut status = Map::new();
    status.insert("status_code".to_owned(), code.as_u16().into());
    status.insert("message".to_owned(), failure.message().into());
    if let Some(field) = failure.named_field() {
        status.insert("field".to_owned(), field.into());
    }
    status.insert("request_id".to_owned(), said.request_id.into());
    failure.add_headers(json_text(code, json!({ "status": status }).to_string()))
}
