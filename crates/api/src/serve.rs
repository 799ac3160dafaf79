//! Runs a handler of requests as a Lambda function behind API Gateway.

use bellwire_runtime::deadline;
use http::{Response, StatusCode, header};
use lambda_http::{Body, Context, Error, Request, RequestExt, service_fn};
use serde::Serialize;
use tracing::Instrument;

use crate::Failure;
use crate::accept::ErrorForm;
use crate::edge::Edge;
use crate::route::resource;

/// Passes requests to a handler until Lambda stops the process, and returns its responses.
///
/// Every log line of a handler has the Lambda request id (from the runtime's span), the method, the
/// path and, once they are known, the client, the operator that acts for it, the topic, the subscription and the event. One line is written for a
/// request that is answered as it should be.
pub async fn serve<F, Fut>(edge: Edge, handle: F) -> Result<(), Error>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Result<Response<Body>, Failure>> + Send,
{
    let explain =
        |failure: Failure, said: Said<'_>| failure.into_response(said.request_id, said.form);
    serve_with(edge, handle, explain, |_| false).await
}

/// What the response to a failure depends on, beside the failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    /// The id of Lambda's invocation.
    pub request_id: &'a str,
    /// The form of errors.
    pub form: ErrorForm,
}

/// As [`serve`], where `explain` makes the response from a failure, and `always_200` returns whether the response to a
/// request is to have the HTTP status 200 whatever it is.
pub(crate) async fn serve_with<F, Fut>(
    edge: Edge,
    handle: F,
    explain: fn(Failure, Said<'_>) -> Response<Body>,
    always_200: fn(&Request) -> bool,
) -> Result<(), Error>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Result<Response<Body>, Failure>> + Send,
{
    let edge = &edge;
    lambda_http::run(service_fn(|mut request: Request| {
        let request_id = request
            .lambda_context_ref()
            .map(|context| context.request_id.clone())
            .unwrap_or_default();
        let span = tracing::info_span!(
            "request",
            method = request.method().as_str(),
            path = request.uri().path(),
            client = tracing::field::Empty,
            operator = tracing::field::Empty,
            topic = tracing::field::Empty,
            subscription = tracing::field::Empty,
            event = tracing::field::Empty,
        );
        let deadline = request.lambda_context_ref().map(Context::deadline);
        let asked = edge.asked(&mut request);
        let always_200 = always_200(&request);
        let handled = match edge.before(&asked, &request, resource(&request)) {
            Ok(None) => Ok(handle(request)),
            Ok(Some(response)) => Err(Ok(response)),
            Err(failure) => Err(Err(failure)),
        };
        async move {
            let handled = match (handled, deadline) {
                (Ok(handled), Some(deadline)) => deadline::until(deadline, handled).await,
                (Ok(handled), None) => handled.await,
                (Err(response), _) => response,
            };
            let response = handled.unwrap_or_else(|failure| {
                failure.log();
                let (request_id, form) = (request_id.as_str(), asked.form);
                explain(failure, Said { request_id, form })
            });
            let mut response = edge.after(asked, response);
            tracing::info!(status = response.status().as_u16(), "answered");
            if always_200 {
                *response.status_mut() = StatusCode::OK;
            }
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
pub fn json_text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
