//! `/subscriptions`: a client's subscriptions to entities (protocol C).
//!
//! A client sees its own subscriptions and nobody else's. The client's secret comes in
//! query strings: nothing here may log one.

mod callbacks;
mod credentials;
mod list;
mod page;
mod request;
mod rotate;
mod subscribe;
mod unsubscribe;
mod view;

use bellwire_edge::idempotency::Idempotency;
use bellwire_edge::{Failure, body, domain, envelope};
use bellwire_outbound::Consent;
use bellwire_rules::UrlPolicy;
use bellwire_runtime::env::{days, required};
use bellwire_runtime::{aws, logs};
use bellwire_store::{
    Answers, Client, Clients, Exchanges, Limits, Members, Subscription, Subscriptions,
};
use lambda_http::http::{Method, Response, StatusCode};
use lambda_http::{Body, Error, Request, RequestExt};
use serde_json::json;

use crate::credentials::{Authenticator, Credentials};
use crate::request::{RotateSecret, Subscribe};
use crate::view::EntitySubscriptionView;

/// What the function keeps between requests.
struct EntitySubscriptionsFunction {
    authenticator: Authenticator,
    clients: Clients,
    subscriptions: Subscriptions,
    members: Members,
    exchanges: Exchanges,
    idempotency: Idempotency,
    policy: UrlPolicy,
    consent: Consent,
    limits: Limits,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &EntitySubscriptionsFunction::from_env()?;
    envelope::serve(|request| function.handle(request)).await
}

impl EntitySubscriptionsFunction {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let policy = UrlPolicy {
            allow_http: required("ALLOW_HTTP")?,
            open_networks: required("OPEN_NETWORKS")?,
        };
        let members: String = required("MEMBERS_TABLE")?;
        let clients = Clients::new(db.clone(), required("CLIENTS_TABLE")?);
        Ok(Self {
            authenticator: Authenticator::new(clients.clone())?,
            clients,
            subscriptions: Subscriptions::new(
                db.clone(),
                required("SUBSCRIPTIONS_TABLE")?,
                members.clone(),
            ),
            members: Members::new(db.clone(), members),
            idempotency: Idempotency::new(Answers::new(db.clone(), required("ANSWERS_TABLE")?)),
            exchanges: Exchanges::new(
                db,
                required("EXCHANGES_TABLE")?,
                days("EXCHANGES_KEPT_DAYS")?,
            ),
            consent: Consent::new(required("ENDPOINT_CONSENT")?, policy.clone()),
            policy,
            limits: Limits {
                of_client: required("SUBSCRIPTIONS_PER_CLIENT")?,
                at_host: required("SUBSCRIPTIONS_PER_HOST")?,
            },
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let parameters = request.path_parameters();
        let key = parameters.first("key");
        tracing::Span::current().record("subscription", key);
        match (key, request.method()) {
            (None, &Method::POST) => {
                let (credentials, create) = body::json::<Subscribe>(&request)?.parts();
                let client = self.authenticator.client(&credentials).await?;
                let same = serde_json::to_string(&create).map_err(Failure::internal)?;
                let client_id = client.client_id.as_str();
                let repeatable = self.idempotency.of(&request, client_id, &same)?;
                let domain = domain(&request);
                self.subscribe(&client, create, domain, &repeatable).await
            }
            (Some(key), &Method::POST) => {
                let credentials = body::json::<RotateSecret>(&request)?.into();
                let client = self.authenticator.client(&credentials).await?;
                let subscription = self.own(&client, key).await?;
                let client_id = client.client_id.as_str();
                let repeatable = self.idempotency.of(&request, client_id, "")?;
                self.rotate(&subscription, &repeatable).await
            }
            (key, method) => {
                let credentials = Credentials::of_query(&request);
                let client = self.authenticator.client(&credentials).await?;
                match (key, method) {
                    (None, &Method::DELETE) => self.unsubscribe_entity(&client, &request).await,
                    (None, _) => self.list(&client, &request).await,
                    (Some(key), method) => {
                        let subscription = self.own(&client, key).await?;
                        if *method == Method::DELETE {
                            self.subscriptions.delete(&subscription).await?;
                            envelope::done()
                        } else if request.uri().path().ends_with("/callbacks") {
                            self.callbacks(&subscription, &request).await
                        } else {
                            show(&EntitySubscriptionView::of(&subscription))
                        }
                    }
                }
            }
        }
    }

    /// The client's own subscription of this key, to an entity.
    async fn own(&self, client: &Client, key: &str) -> Result<Subscription, Failure> {
        self.subscriptions
            .get(key)
            .await?
            .filter(|subscription| subscription.client_id == client.client_id.as_str())
            .filter(|subscription| subscription.entity().is_some())
            .ok_or_else(|| Failure::not_found("there is no such subscription"))
    }
}

/// 200, with one subscription.
fn show(subscription: &EntitySubscriptionView<'_>) -> Result<Response<Body>, Failure> {
    envelope::with(StatusCode::OK, &json!({ "subscription": subscription }))
}
