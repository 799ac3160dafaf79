//! Sessions of the consoles, and the links that begin them.
//!
//! - `POST /v1/portal-links` makes a link, for the provider's backend: `portal_link`.
//! - The consoles have sessions begun, by an API key or a link: `sign_in`; shown and ended: this file.
//!
//! `routes` recognises the calls of the API, `console_calls` those of the consoles, which nobody makes who may not invoke
//! the function. `address` tells from where a key is presented.
//!
//! The token of a session is a key of the API for as long as the session lasts ([`bellwire_store::sessions`]): a console
//! has no rights of its own, and can do what its user can.

mod address;
mod console_calls;
mod portal_link;
mod routes;
mod sign_in;

use bellwire_api::{Authenticator, Caller, Failure, no_content, ok, presented, route};
use bellwire_app::{App, BadSetting, Setting};
use bellwire_domain::{ClientId, Secret};
use bellwire_store::{Client, Clients, Keys, SignIns};
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Serialize;

use crate::console_calls::Route as ConsoleRoute;
use crate::portal_link::ReturnOrigins;
pub use crate::routes::Route;

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct SessionsFunction {
    authenticator: Authenticator,
    clients: Clients,
    keys: Keys,
    sign_ins: SignIns,
    return_origins: ReturnOrigins,
}

/// Whose session it is.
#[derive(Serialize)]
struct SessionView<'a> {
    client_id: &'a ClientId,
    name: &'a str,
    operator: bool,
    publisher: bool,
}

impl<'a> From<&'a Client> for SessionView<'a> {
    fn from(client: &'a Client) -> Self {
        Self {
            client_id: &client.client_id,
            name: &client.name,
            operator: client.operator,
            publisher: client.publisher,
        }
    }
}

/// The methods of a resource, whoever calls it.
pub fn methods(resource: &str) -> Vec<&'static str> {
    let of_api = Route::methods(resource);
    if of_api.is_empty() {
        ConsoleRoute::methods(resource)
    } else {
        of_api
    }
}

impl SessionsFunction {
    /// Takes the function's tables and settings from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            authenticator: app.authenticator()?,
            clients: app.clients()?,
            keys: app.keys()?,
            sign_ins: app.sign_ins()?,
            return_origins: app.setting(Setting::PortalReturnOrigins)?,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for a body that is refused; 401; 403 when the key is none of an operator's; 404 when there is no such client; 409
    /// when it is disabled or an operator; 429 after too many wrong keys from an address; 500 when a table fails.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let of = |method: &str, resource: &str| match Route::of(method, resource) {
            Some(route) => Some(Ok(route)),
            None => ConsoleRoute::of(method, resource).map(Err),
        };
        match route(&request, of)? {
            Ok(Route::CreateLink) => self.create_link(&request).await,
            Err(ConsoleRoute::SignIn) => self.sign_in(&request).await,
            Err(ConsoleRoute::Show) => {
                let caller = self.authenticator.holder(&request).await?;
                let client = self.client(&caller).await?;
                ok(&SessionView::from(&client))
            }
            Err(ConsoleRoute::SignOut) => {
                if let Some(token) = presented(&request) {
                    self.keys.end_session(&Secret::new(token).hash()).await?;
                }
                no_content()
            }
        }
    }

    /// The caller's client.
    async fn client(&self, caller: &Caller) -> Result<Client, Failure> {
        let found = self.clients.get(&caller.client_id).await?;
        found.ok_or_else(Failure::unauthorized)
    }
}
