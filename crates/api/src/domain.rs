//! The DNS name by which the API was called.

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

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
