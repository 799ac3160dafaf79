//! `POST /v1/clients/{clientId}/secret/rotate`: replaces the client secret.

use bellwire_api::idempotency::Repeatable;
use bellwire_api::{Failure, ok};
use bellwire_domain::Secret;
use bellwire_domain::endpoint::signature::ROTATION;
use bellwire_domain::timestamp;
use bellwire_store::Client;
use lambda_http::Body;
use lambda_http::http::Response;
use serde_json::json;
use time::OffsetDateTime;

use crate::ClientsFunction;
use crate::failures::being_deleted;

impl ClientsFunction {
    /// Gives a client a new secret; the previous one is valid for another day. Only this response has it, and that to the
    /// same request with the same `Idempotency-Key`.
    ///
    /// # Errors
    /// 409 when the client is being deleted, another request replaces the same secret, or the `Idempotency-Key` came with
    /// another request; 500 when a table fails.
    pub(crate) async fn rotate_secret(
        &self,
        client: &Client,
        repeatable: &Repeatable<'_>,
    ) -> Result<Response<Body>, Failure> {
        if let Some(answer) = repeatable.earlier().await? {
            return Ok(answer);
        }
        if client.deleting_since.is_some() {
            return Err(being_deleted());
        }
        let secret = Secret::generate("bws_").map_err(Failure::internal)?;
        let now = OffsetDateTime::now_utc();
        let valid_until = now + ROTATION;
        let answer = ok(&json!({
            "client_id": client.client_id,
            "client_secret": secret.expose(),
            "previous_secret_valid_until": timestamp::iso(valid_until),
        }))?;
        let record = repeatable.record(&answer)?;
        let (clients, hash) = (&self.clients, secret.hash());
        let rotated = clients.rotate_secret(client, &hash, now, valid_until, record);
        if rotated.await? {
            return Ok(answer);
        }
        repeatable.earlier().await?.ok_or_else(|| {
            Failure::conflict("another request changes the same client; please try again")
        })
    }
}
