//! Why something can't be done with a client.

use bellwire_api::Failure;
use bellwire_store::Client;

/// 404: there is no such client.
pub fn no_such_client() -> Failure {
    Failure::not_found("there is no such client")
}

/// 409: the client is being deleted.
pub fn being_deleted() -> Failure {
    Failure::conflict("the client is being deleted: wait until GET answers 404")
}

/// That a client may be changed over the API.
///
/// # Errors
/// 403 when it is an operator: the holder of one operator's key could keep the others out.
pub fn must_be_no_operator(client: &Client) -> Result<(), Failure> {
    if client.operator {
        return Err(Failure::forbidden(
            "operators can't be changed over the API: use bellwire clients",
        ));
    }
    Ok(())
}
