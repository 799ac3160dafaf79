//! `/v1/clients`: the clients of the API, for the provider's backend. Every call needs an operator's key, and none can
//! make an operator or a publisher, or change an operator.
//!
//! - `GET /v1/clients` lists clients, `GET /v1/clients/{clientId}` returns one: this file.
//! - `PUT /v1/clients/{clientId}` creates one, or changes it: `put`.
//! - `PATCH /v1/clients/{clientId}` changes one, disables and enables it: `patch`.
//! - `DELETE /v1/clients/{clientId}` deletes one, with all that belongs to it: `delete`.
//! - `POST …/keys` and `DELETE …/keys/{keyId}` add and revoke its API keys: `keys`.
//! - `POST …/secret/rotate` replaces its client secret: `rotate`.
//! - `GET /v1/failing-endpoints` lists endpoints of all clients that don't work: `failing`.
//!
//! `routes` recognises the calls, `view` is what is returned of a client, and `failures` what can't be done with one.

mod delete;
mod failing;
mod failures;
mod keys;
mod patch;
mod put;
mod rotate;
mod routes;
mod view;

use bellwire_api::idempotency::{Idempotency, Repeatable};
use bellwire_api::{Authenticator, Caller, Failure, client_reference, list, ok, route};
use bellwire_app::{App, BadSetting};
use bellwire_client_lifecycle::ClientLifecycle;
use bellwire_domain::timestamp;
use bellwire_store::{Client, Clients, Keys};
use lambda_http::http::Response;
use lambda_http::{Body, Request};

use crate::failures::{must_be_no_operator, no_such_client};
pub use crate::routes::Route;
use crate::view::{ClientView, ListedClient};

/// The fields that the list can be sorted by.
const SORTED_BY: &[&str] = &["client_id", "external_id", "name", "created_at"];

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct ClientsFunction {
    authenticator: Authenticator,
    clients: Clients,
    keys: Keys,
    idempotency: Idempotency,
    lifecycle: ClientLifecycle,
}

impl ClientsFunction {
    /// Takes the function's tables and queues from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            authenticator: app.authenticator()?,
            clients: app.clients()?,
            keys: app.keys()?,
            idempotency: app.idempotency()?,
            lifecycle: app.client_lifecycle()?,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for an id, a body or a parameter that is refused; 401; 403 when the key is not an operator's, or the client
    /// to be changed is an operator; 404; 409 when the client's state doesn't allow it, it has as many keys as it may
    /// have, or another request had the `Idempotency-Key`; 413; 415; 500 when a table, SNS or a queue fails; 503 when other requests interfere.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let route = route(&request, Route::of)?;
        let operator = self.authenticator.operator(&request).await?;
        match route {
            Route::List => {
                let clients = self.clients.list().await?;
                let listed = clients.iter().map(ListedClient::from).collect();
                return list::page(&request, listed, SORTED_BY);
            }
            Route::Put => return self.put(&request).await,
            Route::Failing => return self.failing(&request).await,
            _ => {}
        }
        let client = self.existing(&request).await?;
        if route != Route::Show {
            must_be_no_operator(&client)?;
        }
        match route {
            Route::List | Route::Put | Route::Failing | Route::Show => self.shown(&client).await,
            Route::Patch => self.patch(client, &request).await,
            Route::Delete => self.delete(&client).await,
            Route::AddKey => self.add_key(&operator, &client, &request).await,
            Route::RevokeKey => self.revoke_key(&client, &request).await,
            Route::RotateSecret => {
                let repeatable = self.repeatable(&operator, &client, &request)?;
                self.rotate_secret(&client, &repeatable).await
            }
        }
    }

    /// The client that the path names; 404 if there is none. Log lines have its id from then on.
    async fn existing(&self, request: &Request) -> Result<Client, Failure> {
        let named = client_reference(request)?.map_err(|_| no_such_client())?;
        let found = self.clients.get(&named.client_id()).await?;
        let client = found.ok_or_else(no_such_client)?;
        tracing::Span::current().record("client", client.client_id.as_str());
        Ok(client)
    }

    /// 200, with a client and its keys.
    async fn shown(&self, client: &Client) -> Result<Response<Body>, Failure> {
        let keys = self.keys.of(client).await?;
        ok(&ClientView::new(client, &keys))
    }

    /// An operator's request about a client, with what identifies its repetitions: method, path and body, and when the
    /// client was created, since another with the same id may follow it.
    fn repeatable<'a>(
        &'a self,
        operator: &Caller,
        client: &Client,
        request: &Request,
    ) -> Result<Repeatable<'a>, Failure> {
        let body = String::from_utf8_lossy(request.body().as_ref());
        let same = format!("{} {body}", timestamp::iso(client.created_at));
        let operator = operator.client_id.as_str();
        self.idempotency.of(request, operator, &same)
    }
}
