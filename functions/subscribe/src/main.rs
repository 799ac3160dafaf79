//! `/v1/subscribe`: registers a callback URL, takes back the token that proves
//! who owns it, and lists what is registered.
//!
//! `POST {"callbackUrl"}` is [`register`], `POST {"token"}` is [`confirm`],
//! `GET` is [`list`].

mod confirm;
mod list;
mod register;
mod request;

use bellwire_edge::{Authenticator, Failure, body, ok, serve};
use bellwire_notifications::{ClientTopics, Registrations};
use bellwire_rules::UrlPolicy;
use bellwire_runtime::env::required;
use bellwire_runtime::{aws, logs};
use bellwire_store::{Callbacks, Clients};
use lambda_http::http::{Method, Response};
use lambda_http::{Body, Error, Request};

use crate::request::SubscribeRequest;

/// What the function keeps between requests.
struct SubscribeFunction {
    authenticator: Authenticator,
    registrations: Registrations,
    url_policy: UrlPolicy,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &SubscribeFunction::from_env()?;
    serve(|request| function.handle(request)).await
}

impl SubscribeFunction {
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
            url_policy: UrlPolicy {
                allow_http: required("ALLOW_HTTP")?,
                open_networks: required("OPEN_NETWORKS")?,
            },
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let client = self.authenticator.client(&request).await?.client_id;
        if request.method() == Method::GET {
            return ok(&list::list(&self.registrations, &client).await?);
        }
        match body::json::<SubscribeRequest>(&request)?.into_command(&self.url_policy)? {
            request::SubscribeCommand::Register(registration) => {
                ok(&register::register(&self.registrations, &client, registration).await?)
            }
            request::SubscribeCommand::Confirm(token) => {
                ok(&confirm::confirm(&self.registrations, &client, &token).await?)
            }
        }
    }
}
