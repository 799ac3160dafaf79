//! `POST /v1/clients/{clientId}/keys` and `DELETE …/keys/{keyId}`: adds and revokes an API key.

use bellwire_api::{Caller, Failure, body, created, no_content, path_parameter};
use bellwire_domain::Secret;
use bellwire_domain::client::DisplayName;
use bellwire_domain::object::said;
use bellwire_store::keys::{KeyAdded, MAX_KEYS, key_id};
use bellwire_store::{ApiKey, Client};
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::ClientsFunction;
use crate::failures::{being_deleted, no_such_client};
use crate::view::KeyView;

/// The name of a key that is given none.
const UNNAMED: &str = "key";

/// The body, which may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    #[serde(default, deserialize_with = "said")]
    name: Option<DisplayName>,
}

impl ClientsFunction {
    /// Adds an API key to a client. Only this response has it, and that to the same request with the same
    /// `Idempotency-Key`.
    ///
    /// # Errors
    /// 400 when the body is refused; 404 when the client is deleted meanwhile; 409 when it is disabled, or has as many keys
    /// as it may have, or the `Idempotency-Key` came with another request; 500 when a table fails.
    pub(crate) async fn add_key(
        &self,
        operator: &Caller,
        client: &Client,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let wanted: NewKey = match request.body().as_ref() {
            [] => NewKey::default(),
            _ => body::json(request)?,
        };
        let repeatable = self.repeatable(operator, client, request)?;
        if let Some(answer) = repeatable.earlier().await? {
            return Ok(answer);
        }
        must_take_keys(client)?;
        let secret = Secret::generate("bwk_").map_err(Failure::internal)?;
        let name = wanted.name.as_ref().map_or(UNNAMED, DisplayName::as_str);
        let key = ApiKey::new(client, &secret, name, OffsetDateTime::now_utc());
        let answer = created(&KeyView::made(&key, secret.expose()))?;
        let record = repeatable.record(&answer)?;
        if self.keys.add(&key, record).await? == KeyAdded::Done {
            tracing::info!(key = key.id(), "key added");
            return Ok(answer);
        }
        // The other request may have been this one, repeated at the same time.
        if let Some(answer) = repeatable.earlier().await? {
            return Ok(answer);
        }
        let found = self.clients.get(&client.client_id).await?;
        must_take_keys(&found.ok_or_else(no_such_client)?)?;
        Err(Failure::try_again("please try again"))
    }

    /// Revokes an API key of a client. Functions that know it accept it for another minute.
    ///
    /// # Errors
    /// 404 when the client has no such key; 500 when a table fails.
    pub(crate) async fn revoke_key(
        &self,
        client: &Client,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let id = path_parameter(request, "keyId")?;
        let hash = client.key_hashes().find(|hash| key_id(hash) == id);
        let hash = hash.ok_or_else(|| Failure::not_found("the client has no such key"))?;
        self.keys.revoke(client, hash).await?;
        tracing::info!(key = id, "key revoked");
        no_content()
    }
}

/// That a client can have another key.
fn must_take_keys(client: &Client) -> Result<(), Failure> {
    if client.deleting_since.is_some() {
        return Err(being_deleted());
    }
    if client.disabled_at.is_some() {
        return Err(Failure::conflict("the client is disabled: enable it first"));
    }
    if client.key_hashes().count() >= MAX_KEYS {
        let problem = format!("a client can have at most {MAX_KEYS} keys: revoke one first");
        return Err(Failure::conflict(problem));
    }
    Ok(())
}
