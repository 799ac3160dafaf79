//! Runs a handler of requests as a Lambda function behind API Gateway.

use bellwire_runtime::deadline;
use http::{Response, StatusCode, header};
use lambda_http::{Body, Context, Error, Request, RequestExt, service_fn};
use serde::Serialize;
use tracing::Instrument;

use crate::Failure;

/// Passes requests to a handler until Lambda stops the process, and returns its responses.
///
/// Every log line of a handler has the Lambda request id (from the runtime's span), the method, the
/// path and, once they are known, the client, the topic, the subscription and the event. One line is written for a
/// request that is answered as it should be.
pub async fn serve<F, Fut>(handle: F) -> Result<(), Error>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Result<Response<Body>, Failure>> + Send,
{
    serve_with(handle, Failure::into_response).await
}

/// As [`serve`], where `explain` makes the response from a failure and the request's id.
pub(crate) async fn serve_with<F, Fut>(
    handle: F,
    explain: fn(Failure, &str) -> Response<Body>,
) -> Result<(), Error>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Result<Response<Body>, Failure>> + Send,
{
    lambda_http::run(service_fn(|request: Request| {
        let request_id = request
            .lambda_context_ref()
            .map(|context| context.request_id.clone())
            .unwrap_or_default();
        let span = tracing::info_span!(
            "request",
            method = request.method().as_str(),
            path = request.uri().path(),
            client = tracing::field::Empty,
            topic = tracing::field::Empty,
            subscription = tracing::field::Empty,
            event = tracing::field::Empty,
        );
        let deadline = request.lambda_context_ref().map(Context::deadline);
        let handled = handle(request);
        async move {
            let handled = match deadline {
                Some(deadline) => deadline::until(deadline, handled).await,
                None => handled.await,
            };
            let response = handled.unwrap_or_else(|failure| {
                failure.log();
                explain(failure, &request_id)
            });
            tracing::info!(status = response.status().as_u16(), "answered");
            Ok::<_, Error>(response)
        }
        .instrument(span)
    }))
    .await
}

/// 200, with a JSON body.
pub fn ok(body: &impl Serialize) -> Result<Response<Body>, Failure> {
    json(StatusCode::OK, body)
}

/// 201, with a JSON body.
pub fn created(body: &impl Serialize) -> Result<Response<Body>, Failure> {
    json(StatusCode::CREATED, body)
}

/// 202, with a JSON body.
pub fn accepted(body: &impl Serialize) -> Result<Response<Body>, Failure> {
    json(StatusCode::ACCEPTED, body)
}

/// 207, with a JSON body.
pub fn multi_status(body: &impl Serialize) -> Result<Response<Body>, Failure> {
    json(StatusCode::MULTI_STATUS, body)
}

/// 204, with no body.
pub fn no_content() -> Result<Response<Body>, Failure> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// A response with a JSON body.
///
/// # Errors
/// 500 when the body can't be written as JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Result<Response<Body>, Failure> {
    let text = serde_json::to_string(body).map_err(Failure::internal)?;
    Ok(json_text(status, text))
}

/// A response with a body that is JSON text already.
pub(crate) fn json_text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
