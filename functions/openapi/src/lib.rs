//! `GET /openapi.json`: the contract of the API; and every path that no other function has, which is a 404.
//!
//! This file handles the calls, `routes` recognises them.

mod routes;

use bellwire_api::{Failure, base_url, envelope, json_text, route};
use bellwire_contract::openapi;
use lambda_http::http::{Response, StatusCode};
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
        Some(Route::Document) => Ok(json_text(
            StatusCode::OK,
            openapi(&base_url(request, "/openapi.json")),
        )),
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
