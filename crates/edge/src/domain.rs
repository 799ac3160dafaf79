//! The name that the API was called by.

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

/// The DNS name of the API that a request came to, as API Gateway says; empty where it doesn't, as in an
/// event that was written by hand.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>
pub fn domain(request: &Request) -> &str {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            context.domain_name.as_deref().unwrap_or_default()
        }
        _ => "",
    }
}
