//! `GET /v1/hello`: for trying a key before anything is registered with it.

use bellwire_domain::ClientId;
use serde::Serialize;

/// The body of the response: `{"message": "hello", "client_id": "cl_…"}`.
#[derive(Serialize)]
pub struct Hello {
    message: &'static str,
    client_id: ClientId,
}

impl Hello {
    /// What the client with this id, which is that of the request's key, gets.
    pub fn to(client_id: ClientId) -> Self {
        Self {
            message: "hello",
            client_id,
        }
    }
}
