//! The client that a path names.

use bellwire_domain::client::{BadExternalId, ClientReference};
use lambda_http::Request;

use crate::segment::decoded;
use crate::{Failure, path_parameter};

/// The client that the path names in its parameter `clientId`, by either of its ids. What this has to do with the caller is
/// for the call to say: of most paths a malformed id is one that doesn't exist.
///
/// # Errors
/// 500 when the path has no such parameter.
pub fn client_reference(
    request: &Request,
) -> Result<Result<ClientReference, BadExternalId>, Failure> {
    let value = path_parameter(request, "clientId")?;
    Ok(ClientReference::parse(&decoded(&value)))
}
