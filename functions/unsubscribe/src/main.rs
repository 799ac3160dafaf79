//! `POST /v1/unsubscribe {"callbackUrl"}`: ends the notifications to a URL.

use bellwire_edge::{Authenticator, Failure, body, ok, serve};
use bellwire_notifications::{ClientTopics, RegistrationError, Registrations};
use bellwire_rules::ClientId;
use bellwire_rules::callback_url::normal_form;
use bellwire_runtime::env::required;
use bellwire_runtime::{aws, logs};
use bellwire_store::{Callback, Callbacks, Clients};
use lambda_http::http::Response;
use lambda_http::{Body, Error, Request};
use serde::{Deserialize, Serialize};

/// What the function keeps between requests.
struct UnsubscribeFunction {
    authenticator: Authenticator,
    registrations: Registrations,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnsubscribeRequest {
    #[serde(rename = "callbackUrl")]
    callback_url: String,
}

#[derive(Serialize)]
struct Unsubscribed {
    message: &'static str,
    #[serde(rename = "callbackUrl")]
    callback_url: String,
    status: &'static str,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &UnsubscribeFunction::from_env()?;
    serve(|request| function.handle(request)).await
}

impl UnsubscribeFunction {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let sns = aws_sdk_sns::Client::new(&config);
        Ok(Self {
            authenticator: Authenticator::new(Clients::new(db.clone(), required("CLIENTS_TABLE")?)),
            registrations: Registrations::new(
                Callbacks::new(db, required("CALLBACKS_TABLE")?),
                ClientTopics::new(
                    sns,
                    required("TOPIC_PREFIX")?,
                    required("UNDELIVERED_QUEUE_ARN")?,
                    required("TOPICS_KEY_ARN")?,
                ),
            ),
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let client = self.authenticator.client(&request).await?.client_id;
        let unsubscribe: UnsubscribeRequest = body::json(&request)?;
        let url = normal_form(&unsubscribe.callback_url)
            .map_err(|refused| Failure::field("callbackUrl", refused))?;
        let callback = self
            .find(&client, &url)
            .await
            .map_err(Failure::internal)?
            .ok_or_else(|| {
                Failure::not_found("callbackUrl: there is no confirmed subscription of this URL")
            })?;
        if !callback.is_confirmed() {
            return Err(Failure::conflict(
                "callbackUrl: this URL was never confirmed; it waits for its confirmation, \
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

    /// The registration of a URL. A confirmed one is not compared with SNS, which may
    /// have dropped it in an attempt that was cut off: the repetition ends as it would have.
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
