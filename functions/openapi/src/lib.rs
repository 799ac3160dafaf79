//! `GET /openapi.json`: the contract of the API; and every path that no other function has, which is a 404.
//!
//! This file handles the calls, `routes` recognises them.

mod routes;

use bellwire_api::{Failure, called_path, domain, envelope, json_text, route};
use bellwire_contract::openapi;
use lambda_http::http::{HeaderName, Response, StatusCode, header};
use lambda_http::{Body, Request, RequestExt};

pub use crate::routes::Route;

/// The resource of all other paths.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-set-up-simple-proxy.html>
const OTHERS: [&str; 2] = ["/", "/{proxy+}"];

/// Responds to a request.
///
/// # Errors
/// 404 for a path that the API doesn't have.
pub fn handle(request: &Request) -> Result<Response<Body>, Failure> {
    let of = |method: &str, resource: &str| match Route::of(method, resource) {
        Some(route) => Some(Some(route)),
        None => OTHERS.contains(&resource).then_some(None),
    };
    match route(request, of)? {
        Some(Route::Document) => Ok(json_text(StatusCode::OK, openapi(&server(request)))),
        None => {
            let failure = Failure::not_found("there is no such path");
            if is_of_protocol_c(request) {
                Ok(envelope::refused(request, failure))
            } else {
                Err(failure)
            }
        }
    }
}

/// Whether an unknown path begins as those of protocol C, whose errors have a form of their own.
fn is_of_protocol_c(request: &Request) -> bool {
    let parameters = request.path_parameters();
    let path = parameters.first("proxy").unwrap_or_default();
    let path = path.strip_prefix("v1/").unwrap_or(path);
    let first = path.split('/').next().unwrap_or_default();
    ["subscriptions", "webhooks", "webhook_callback_logs"].contains(&first)
}

/// Where the API was called: the document's own URL without its name.
fn server(request: &Request) -> String {
    let text = |name: HeaderName| request.headers().get(name)?.to_str().ok();
    // API Gateway says here what the caller has used.
    let scheme = text(HeaderName::from_static("x-forwarded-proto")).unwrap_or("https");
    let host = text(header::HOST).unwrap_or_else(|| domain(request));
    let path = called_path(request);
    let base = path.strip_suffix("/openapi.json").unwrap_or_default();
    format!("{scheme}://{host}{base}")
}
