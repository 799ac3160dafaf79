//! `POST /v1/unsubscribe {"callbackUrl"}`: ends the notifications to a URL (protocol A).
//!
//! This file handles the call, `routes` recognises it.

mod routes;

use bellwire_api::{Authenticator, Failure, body, ok, route};
use bellwire_app::{App, BadSetting};
use bellwire_domain::ClientId;
use bellwire_domain::endpoint::callback_url::normal_form;
use bellwire_query_notifications::{RegistrationError, Registrations};
use bellwire_store::Callback;
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::{Deserialize, Serialize};

pub use crate::routes::Route;

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct UnsubscribeFunction {
    authenticator: Authenticator,
    registrations: Registrations,
}

/// The body of the request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnsubscribeRequest {
    #[serde(rename = "callbackUrl")]
    callback_url: String,
}

/// The body of the response.
#[derive(Serialize)]
struct Unsubscribed {
    message: &'static str,
    #[serde(rename = "callbackUrl")]
    callback_url: String,
    status: &'static str,
}

impl UnsubscribeFunction {
    /// Takes the function's tables and settings from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            authenticator: app.authenticator()?,
            registrations: app.registrations()?,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for a body that is refused; 401; 404 when the URL is not registered; 409 when it was never
    /// confirmed; 413; 500 when SNS or a table fails.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let Route::Unsubscribe = route(&request, Route::of)?;
        let client = self.authenticator.client(&request).await?.client_id;
        let unsubscribe: UnsubscribeRequest = body::json(&request)?;
        let url = normal_form(&unsubscribe.callback_url)
            .map_err(|refused| Failure::field("callbackUrl", refused))?;
        let callback = self
            .find(&client, &url)
            .await
            .map_err(Failure::internal)?
            .ok_or_else(|| {
                Failure::not_found("there is no confirmed subscription of this URL")
                    .of_field("callbackUrl")
            })?;
        if !callback.is_confirmed() {
            return Err(Failure::conflicting_field(
                "callbackUrl",
                "this URL was never confirmed; it waits for its confirmation, \
                 and expires without one",
            ));
        }
        self.registrations
            .remove(&client, &callback)
            .await
            .map_err(Failure::internal)?;
        ok(&Unsubscribed {
            message: "The subscription has ended.",
            callback_url: callback.callback_url,
            status: "UNSUBSCRIBED",
        })
    }

    /// The registration of a URL in normal form; `None` if there is none. A confirmed one is not
    /// compared with SNS: an earlier request may have removed it there and been cut off, and its
    /// repetition has to complete that.
    async fn find(
        &self,
        client: &ClientId,
        url: &str,
    ) -> Result<Option<Callback>, RegistrationError> {
        match self.registrations.recorded(client, url).await? {
            Some(callback) if !callback.is_confirmed() => {
                self.registrations.refresh(client, callback).await
            }
            recorded => Ok(recorded),
        }
    }
}
