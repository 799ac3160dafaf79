//! `/v1/subscribe`: the callback URLs of a client, to which notifications of its queries are delivered
//! (protocol A).
//!
//! - `POST {"callbackUrl"}` registers a URL, to which SNS sends a token: `register`.
//! - `POST {"token"}` confirms the URL to which the token was sent: `confirm`.
//! - `GET` lists the client's URLs: `list`.
//!
//! `request` checks the bodies, `routes` recognises the calls.

mod confirm;
mod list;
mod register;
mod request;
mod routes;

use bellwire_api::{Authenticator, Failure, body, ok, route};
use bellwire_app::{App, BadSetting};
use bellwire_domain::UrlPolicy;
use bellwire_query_notifications::Registrations;
use lambda_http::http::Response;
use lambda_http::{Body, Request};

use crate::request::{SubscribeCommand, SubscribeRequest};
pub use crate::routes::Route;

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct SubscribeFunction {
    authenticator: Authenticator,
    registrations: Registrations,
    url_policy: UrlPolicy,
}

impl SubscribeFunction {
    /// Takes the function's tables and settings from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            authenticator: app.authenticator()?,
            registrations: app.registrations()?,
            url_policy: app.url_policy()?,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for a body, URL or token that is refused; 401; 409 when the client has too many URLs; 413;
    /// 500 when SNS or a table fails.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let route = route(&request, Route::of)?;
        let client = self.authenticator.client(&request).await?.client_id;
        match route {
            Route::List => ok(&list::list(&self.registrations, &client).await?),
            Route::Subscribe => {
                let body: SubscribeRequest = body::json(&request)?;
                match body.into_command(&self.url_policy)? {
                    SubscribeCommand::Register(registration) => {
                        ok(&register::register(&self.registrations, &client, registration).await?)
                    }
                    SubscribeCommand::Confirm(token) => {
                        ok(&confirm::confirm(&self.registrations, &client, &token).await?)
                    }
                }
            }
        }
    }
}
