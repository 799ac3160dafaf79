//! `/v1/subscribe`: the callback URLs of a client, to which notifications of its queries are delivered
//! (protocol A), and two calls for trying the API.
//!
//! - `POST /v1/subscribe {"callbackUrl"}` registers a URL, to which SNS sends a token: `register`.
//! - `POST /v1/subscribe {"token"}` confirms the URL to which the token was sent: `confirm`.
//! - `GET /v1/subscribe` lists the client's URLs: `list`.
//! - `POST /v1/publish` sends a test notification to the confirmed ones: `test_notification`.
//! - `GET /v1/hello` says which client the key is of: `hello`.
//!
//! `request` checks the bodies, `routes` recognises the calls.

mod confirm;
mod hello;
mod list;
mod register;
mod request;
mod routes;
mod test_notification;

use bellwire_api::{Authenticator, Failure, body, called_path, created, located, ok, route};
use bellwire_app::{App, BadSetting};
use bellwire_domain::UrlPolicy;
use bellwire_query_notifications::{Publisher, Registrations};
use lambda_http::http::Response;
use lambda_http::{Body, Request};

use crate::hello::Hello;
use crate::request::{SubscribeCommand, SubscribeRequest};
pub use crate::routes::Route;

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct SubscribeFunction {
    authenticator: Authenticator,
    registrations: Registrations,
    publisher: Publisher,
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
            publisher: app.notification_publisher()?,
            url_policy: app.url_policy()?,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for a body, URL or token that is refused; 401; 409 when the client has too many URLs, or none
    /// that a test could be sent to; 413; 500 when SNS or a table fails.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let route = route(&request, Route::of)?;
        let client = self.authenticator.client(&request).await?.client_id;
        match route {
            Route::List => ok(&list::list(&self.registrations, &client).await?),
            Route::Subscribe => {
                let body: SubscribeRequest = body::json(&request)?;
                let progress = match body.into_command(&self.url_policy)? {
                    SubscribeCommand::Register(registration) => {
                        register::register(&self.registrations, &client, registration).await?
                    }
                    SubscribeCommand::Confirm(token) => {
                        confirm::confirm(&self.registrations, &client, &token).await?
                    }
                };
                // The protocol's status also where nothing new has come of the request.
                Ok(located(created(&progress)?, called_path(&request)))
            }
            Route::SendTest => {
                test_notification::check(&request)?;
                let (registrations, publisher) = (&self.registrations, &self.publisher);
                ok(&test_notification::send(registrations, publisher, &client).await?)
            }
            Route::Hello => ok(&Hello::to(client)),
        }
    }
}
