//! What stands in the query string of a `GET`. Parameters that mean nothing here are ignored, as keys of
//! a body are.

use bellwire_api::Failure;
use lambda_http::{Request, RequestExt};

/// The value of a parameter that the request has to have.
///
/// # Errors
/// 400, naming the parameter, when it is missing or repeated.
pub fn needed(request: &Request, name: &str) -> Result<String, Failure> {
    optional(request, name)?.ok_or_else(|| Failure::field(name, "is missing"))
}

/// The value of a parameter; `None` if the request doesn't have it.
///
/// # Errors
/// 400, naming the parameter, when it is repeated: which one counts is for the caller to say.
pub fn optional(request: &Request, name: &str) -> Result<Option<String>, Failure> {
    let parameters = request.query_string_parameters();
    match parameters.all(name).as_deref() {
        None | Some([]) => Ok(None),
        Some([value]) => Ok(Some((*value).to_owned())),
        Some(_) => Err(Failure::field(name, "must be given once")),
    }
}
