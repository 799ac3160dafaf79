//! How the caller has called the API, which differs by stage and domain from what a function is called with.

use http::{HeaderName, HeaderValue, Response, header};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};

/// The DNS name by which the API was called, from API Gateway's event; empty if the event has none, as
/// one that was written by hand.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>
pub fn domain(request: &Request) -> &str {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            context.domain_name.as_deref().unwrap_or_default()
        }
        _ => "",
    }
}

/// The path that was called, with the stage or the base path of a domain: `/live/topics`. An event that was written by
/// hand may lack it; then it is the path of the resource.
pub fn called_path(request: &Request) -> &str {
    let path = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.path.as_deref(),
        _ => None,
    };
    path.unwrap_or_else(|| request.uri().path())
}

/// The base URL of the API as it was called, of which `path` was the path without stage: `https://api.example.com/live`.
pub fn base_url(request: &Request, path: &str) -> String {
    let text = |name: HeaderName| request.headers().get(name)?.to_str().ok();
    // API Gateway says here what the caller has used.
    let scheme = text(HeaderName::from_static("x-forwarded-proto")).unwrap_or("https");
    let host = text(header::HOST).unwrap_or_else(|| domain(request));
    let base = called_path(request).strip_suffix(path).unwrap_or_default();
    format!("{scheme}://{host}{base}")
}

/// The response with the header `Location`: the path of what was created.
pub fn located(mut response: Response<Body>, path: &str) -> Response<Body> {
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}
