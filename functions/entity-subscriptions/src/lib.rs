//! `/subscriptions`: a client's subscriptions to entities (protocol C).
//!
//! - `POST /subscriptions` creates one: `subscribe`.
//! - `GET /subscriptions` lists them: `list`.
//! - `DELETE /subscriptions?entity_key=…` deletes those to an entity: `unsubscribe`.
//! - `GET` and `DELETE /subscriptions/{key}` return and delete one: this file.
//! - `GET /subscriptions/{key}/callbacks` returns the log of attempts: `callbacks`.
//! - `GET /subscriptions/{key}/stats` returns hourly counts of attempts: this file.
//! - `GET /subscriptions/{key}/deliveries` and `…/deliveries/{deliveryKey}` return what was sent, with its attempts:
//!   `deliveries`.
//! - `POST /subscriptions/{key}/deliveries/{deliveryKey}/resend` sends it once more: `resend`.
//! - `POST /subscriptions/{key}/secret/rotate` replaces the signing secret: `rotate`.
//! - `GET /webhook_callback_logs` returns the log across subscriptions: `logs`, with a `log_line` for each attempt.
//!
//! In the protocol's later spelling the same calls are below `/v1/webhooks` and `/v1/webhook_callback_logs`: `spelling`.
//!
//! `routes` recognises the calls, `credentials` authenticates clients, `request` has the bodies of
//! requests, `page` the parameters of lists, and `view` what is returned of a subscription.
//!
//! A client has access to its own subscriptions alone. The client's secret is in query strings: nothing
//! here may log one.

mod callbacks;
mod credentials;
mod deliveries;
mod list;
mod log_line;
mod logs;
mod page;
mod request;
mod resend;
mod rotate;
mod routes;
mod spelling;
mod subscribe;
mod unsubscribe;
mod view;

use bellwire_api::idempotency::{Idempotency, Repeatable};
use bellwire_api::stats::{Period, Stats};
use bellwire_api::{Caller, Failure, domain, envelope, path_parameter, route};
use bellwire_app::{App, Setting};
use bellwire_domain::UrlPolicy;
use bellwire_domain::delivery::retry::RetrySchedule;
use bellwire_domain::entity::Spelling;
use bellwire_domain::ids::SubscriptionId;
use bellwire_fanout::Resends;
use bellwire_outbound::Consent;
use bellwire_store::{Attempts, Clients, Counts, Limits, Members, Subscription, Subscriptions};
use lambda_http::http::{Response, StatusCode};
use lambda_http::{Body, Error, Request};
use serde_json::json;

use crate::credentials::{Authenticator, Credentials};
pub use crate::routes::Route;
use crate::view::EntitySubscriptionView;

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct EntitySubscriptionsFunction {
    authenticator: Authenticator,
    clients: Clients,
    subscriptions: Subscriptions,
    members: Members,
    attempts: Attempts,
    counts: Counts,
    resends: Resends,
    schedule: RetrySchedule,
    idempotency: Idempotency,
    policy: UrlPolicy,
    consent: Consent,
    limits: Limits,
}

impl EntitySubscriptionsFunction {
    /// Takes the function's tables and settings from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed, or the operating system provides no random numbers.
    pub fn new(app: &App) -> Result<Self, Error> {
        Ok(Self {
            authenticator: Authenticator::new(app.authenticator()?, app.clients()?)?,
            clients: app.clients()?,
            subscriptions: app.subscriptions()?,
            members: app.members()?,
            attempts: app.attempts()?,
            counts: app.counts()?,
            resends: app.resends()?,
            schedule: app.setting(Setting::RetrySchedule)?,
            idempotency: app.idempotency()?,
            policy: app.url_policy()?,
            consent: app.consent()?,
            limits: app.subscription_limits()?,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for a body or parameter that is refused, or an endpoint that doesn't consent; 401; 404; 409
    /// when a limit is reached, or another request changes the same subscription; 413; 500 when a table
    /// fails; 503 when another request interferes.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let route = route(&request, Route::of)?;
        let spelling = spelling::of(&request);
        match route {
            Route::Create => {
                let (credentials, create) = match request::subscribe(&request, spelling) {
                    Ok(parts) => parts,
                    Err(refused) => return Err(self.refusal(&request, refused).await),
                };
                let client = self.authenticator.client(&request, &credentials).await?;
                let same = serde_json::to_string(&create).map_err(Failure::internal)?;
                let client_id = client.client_id.as_str();
                let repeatable = self.idempotency.of(&request, client_id, &same)?;
                let called = (spelling, domain(&request));
                self.subscribe(&client, create, called, &repeatable).await
            }
            Route::RotateSecret => {
                let (subscription, repeatable) = self.posted(&request).await?;
                self.rotate(&subscription, spelling, &repeatable).await
            }
            Route::Resend => {
                let (subscription, repeatable) = self.posted(&request).await?;
                self.resend(&subscription, &request, &repeatable).await
            }
            Route::Deliveries => {
                let credentials = Credentials::of_query(&request)?;
                let (_, subscription) = self.named(&request, credentials).await?;
                self.deliveries(&subscription, &request).await
            }
            Route::ShowDelivery => {
                let credentials = Credentials::of_query(&request)?;
                let (_, subscription) = self.named(&request, credentials).await?;
                self.show_delivery(&subscription, &request).await
            }
            Route::List => {
                let credentials = Credentials::of_query(&request)?;
                let client = self.authenticator.client(&request, &credentials).await?;
                self.list(&client, spelling, &request).await
            }
            Route::DeleteOfEntity => {
                let credentials = Credentials::of_query(&request)?;
                let client = self.authenticator.client(&request, &credentials).await?;
                self.unsubscribe_entity(&client, &request).await
            }
            Route::Show => {
                let credentials = Credentials::of_query(&request)?;
                let (_, subscription) = self.named(&request, credentials).await?;
                show(spelling, &EntitySubscriptionView::of(&subscription))
            }
            Route::Delete => {
                let credentials = Credentials::of_query(&request)?;
                let (_, subscription) = self.named(&request, credentials).await?;
                self.subscriptions.delete(&subscription).await?;
                envelope::done()
            }
            Route::Callbacks => {
                let credentials = Credentials::of_query(&request)?;
                let (_, subscription) = self.named(&request, credentials).await?;
                self.callbacks(&subscription, &request).await
            }
            Route::Stats => {
                let credentials = Credentials::of_query(&request)?;
                let (_, subscription) = self.named(&request, credentials).await?;
                let period = Period::of(&request)?;
                let id = &subscription.subscription_id;
                let hours = self.counts.between(id, period.start, period.end).await?;
                envelope::with(
                    StatusCode::OK,
                    &json!({ "stats": Stats::new(period, &hours) }),
                )
            }
            Route::Logs => {
                let credentials = Credentials::of_query(&request)?;
                let client = self.authenticator.client(&request, &credentials).await?;
                self.logs(&client, spelling, &request).await
            }
        }
    }

    /// Why a request is refused whose body is: a stranger learns that it is one, where that can be told without the body.
    async fn refusal(&self, request: &Request, refused: Failure) -> Failure {
        match Credentials::of_headers(request) {
            Ok(None) => refused,
            Ok(Some(credentials)) => match self.authenticator.client(request, &credentials).await {
                Ok(_) => refused,
                Err(unknown) => unknown,
            },
            Err(malformed) => malformed,
        }
    }

    /// The client's own subscription that a `POST` is about, which has nothing but credentials in its body; and the
    /// request, with what identifies its repetitions.
    async fn posted(&self, request: &Request) -> Result<(Subscription, Repeatable<'_>), Failure> {
        let credentials = match request::credentials(request) {
            Ok(credentials) => credentials,
            Err(refused) => return Err(self.refusal(request, refused).await),
        };
        let (client, subscription) = self.named(request, credentials).await?;
        let client_id = client.client_id.as_str();
        let repeatable = self.idempotency.of(request, client_id, "")?;
        Ok((subscription, repeatable))
    }

    /// The client with these credentials, and its own subscription whose key is in the path: 401 or 404
    /// if there is none.
    async fn named(
        &self,
        request: &Request,
        credentials: Credentials,
    ) -> Result<(Caller, Subscription), Failure> {
        let key = path_parameter(request, "key")?;
        tracing::Span::current().record("subscription", &key);
        let client = self.authenticator.client(request, &credentials).await?;
        let subscription = self.own(&client, &key).await?;
        Ok((client, subscription))
    }

    /// The client's own subscription to an entity with this key; 404 if there is none.
    async fn own(&self, client: &Caller, key: &str) -> Result<Subscription, Failure> {
        self.subscriptions
            .get(&SubscriptionId::new(key))
            .await?
            .filter(|subscription| subscription.client_id == client.client_id.as_str())
            .filter(|subscription| subscription.entity().is_some())
            .ok_or_else(|| Failure::not_found("there is no such subscription"))
    }
}

/// 200, with the view of one subscription.
fn show(
    spelling: Spelling,
    subscription: &EntitySubscriptionView<'_>,
) -> Result<Response<Body>, Failure> {
    let data = json!({ spelling.one(): subscription });
    envelope::with(StatusCode::OK, &data)
}
