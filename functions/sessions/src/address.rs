//! The address that a request came from.

use std::net::IpAddr;

use lambda_http::Request;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;

/// The address of the caller, by which wrong keys are counted; of IPv6 the network of 64 bits, which one caller has as a
/// whole. API Gateway says it, and no header of the caller's.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html#context-variable-reference>
pub fn counted_address(request: &Request) -> String {
    let said = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.as_deref(),
        _ => None,
    };
    match said.unwrap_or_default().parse() {
        Ok(IpAddr::V4(address)) => address.to_string(),
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::")
        }
        Err(_) => "unknown".to_owned(),
    }
}
