//! Which spelling of the protocol a request is in.

use bellwire_domain::entity::Spelling;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

/// What the paths of the later spelling begin with in the template.
const LATER: &str = "/v1/";

/// The spelling of a request, which its resource says: `/v1/webhooks/{key}`.
pub fn of(request: &Request) -> Spelling {
    let resource = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.resource_path.as_deref(),
        _ => None,
    };
    if resource.is_some_and(|resource| resource.starts_with(LATER)) {
        Spelling::Webhooks
    } else {
        Spelling::Subscriptions
    }
}
