//! Runs a console as a Lambda function behind API Gateway.

use bellwire_runtime::deadline;
use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Context, Error, Request, RequestExt, Response, service_fn};
use tracing::Instrument;

use crate::{Theme, headers};

/// Passes requests to `handle` until Lambda stops the process, and returns its responses, with the headers of pages.
///
/// Every log line has the Lambda request id (from the runtime's span), the method, and the path without the query, which
/// may have the token of a link.
pub async fn serve<F, Fut>(theme: &Theme, handle: F) -> Result<(), Error>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Response<Body>> + Send,
{
    lambda_http::run(service_fn(|mut request: Request| {
        let span = tracing::info_span!(
            "request",
            method = request.method().as_str(),
            path = request.uri().path(),
        );
        let deadline = request.lambda_context_ref().map(Context::deadline);
        let is_head = request.method() == Method::HEAD;
        if is_head {
            *request.method_mut() = Method::GET;
        }
        let known = matches!(*request.method(), Method::GET | Method::POST);
        let handled = known.then(|| handle(request));
        async move {
            let mut response = match (handled, deadline) {
                (Some(handled), Some(deadline)) => deadline::until(deadline, handled).await,
                (Some(handled), None) => handled.await,
                (None, _) => not_allowed(),
            };
            if is_head {
                *response.body_mut() = Body::Empty;
            }
            headers::add(response.headers_mut(), &theme.policy);
            tracing::info!(status = response.status().as_u16(), "answered");
            Ok::<_, Error>(response)
        }
        .instrument(span)
    }))
    .await
}

/// 405: pages are read and forms are sent, and nothing else.
fn not_allowed() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let allow = HeaderValue::from_static("GET, HEAD, POST");
    response.headers_mut().insert(header::ALLOW, allow);
    response
}
