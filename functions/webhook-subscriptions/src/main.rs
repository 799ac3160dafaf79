//! `/subscribers/webhook`: subscriptions of webhooks to topics.
//!
//! A client sees its own subscriptions and nobody else's. A subscription goes with its
//! topic: from the topic's deletion on it is not found.

mod create;
mod exchanges;
mod replay;
mod request;
mod rotate;
mod switch;
mod test;
mod view;

use bellwire_edge::idempotency::{Idempotency, Repeatable};
use bellwire_edge::{Authenticator, Failure, body, domain, list, no_content, ok, serve};
use bellwire_outbound::Consent;
use bellwire_payloads::Payloads;
use bellwire_queues::Queue;
use bellwire_rules::UrlPolicy;
use bellwire_rules::topic::Topic;
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::env::{days, required};
use bellwire_runtime::logs;
use bellwire_store::subscription::Subscription;
use bellwire_store::topics::Found;
use bellwire_store::{
    Answers, Client, Clients, Events, Exchanges, Limits, Members, Subscriptions, Topics,
};
use lambda_http::http::{Method, Response};
use lambda_http::{Body, Error, Request, RequestExt};

use crate::view::WebhookSubscriptionView;

/// The fields that the list can be sorted by.
const SORTED_BY: &[&str] = &["subscriptionMode", "webhookUrl"];

/// What the function keeps between requests.
struct WebhookSubscriptionsFunction {
    authenticator: Authenticator,
    clients: Clients,
    topics: Topics,
    subscriptions: Subscriptions,
    members: Members,
    events: Events,
    exchanges: Exchanges,
    payloads: Payloads,
    deliveries: Queue,
    fan_outs: Queue,
    idempotency: Idempotency,
    policy: UrlPolicy,
    consent: Consent,
    limits: Limits,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &WebhookSubscriptionsFunction::from_env()?;
    serve(|request| function.handle(request)).await
}

impl WebhookSubscriptionsFunction {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let sqs = Lazy::new(&config, aws_sdk_sqs::Client::new);
        let policy = UrlPolicy {
            allow_http: required("ALLOW_HTTP")?,
            open_networks: required("OPEN_NETWORKS")?,
        };
        let members: String = required("MEMBERS_TABLE")?;
        let clients = Clients::new(db.clone(), required("CLIENTS_TABLE")?);
        Ok(Self {
            authenticator: Authenticator::new(clients.clone()),
            clients,
            topics: Topics::new(db.clone(), required("TOPICS_TABLE")?),
            subscriptions: Subscriptions::new(
                db.clone(),
                required("SUBSCRIPTIONS_TABLE")?,
                members.clone(),
            ),
            members: Members::new(db.clone(), members),
            events: Events::new(
                db.clone(),
                required("EVENTS_TABLE")?,
                days("EVENTS_KEPT_DAYS")?,
            ),
            idempotency: Idempotency::new(Answers::new(db.clone(), required("ANSWERS_TABLE")?)),
            exchanges: Exchanges::new(
                db,
                required("EXCHANGES_TABLE")?,
                days("EXCHANGES_KEPT_DAYS")?,
            ),
            payloads: Payloads::new(
                &config,
                required("PAYLOADS_BUCKET")?,
                days("EVENTS_KEPT_DAYS")?,
            ),
            deliveries: Queue::new(sqs.clone(), required("DELIVERIES_QUEUE_URL")?),
            fan_outs: Queue::new(sqs, required("FAN_OUTS_QUEUE_URL")?),
            consent: Consent::new(required("ENDPOINT_CONSENT")?, policy.clone()),
            policy,
            limits: Limits {
                of_client: required("SUBSCRIPTIONS_PER_CLIENT")?,
                at_host: required("SUBSCRIPTIONS_PER_HOST")?,
            },
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let client = self.authenticator.client(&request).await?;
        let parameters = request.path_parameters();
        if let Some(topic_id) = parameters.first("topicId") {
            tracing::Span::current().record("topic", topic_id);
            let topic = self.topic(topic_id).await?;
            return match *request.method() {
                Method::POST => {
                    let create = body::json(&request)?;
                    let repeatable = self.repeatable(&client, &request)?;
                    let domain = domain(&request);
                    self.create(&client, &topic, create, domain, &repeatable)
                        .await
                }
                _ => self.list(&client, &topic, &request).await,
            };
        }
        let id = parameters.first("subscriptionId").unwrap_or_default();
        tracing::Span::current().record("subscription", id);
        let subscription = self.own(&client, id).await?;
        let action = request.uri().path().rsplit('/').next();
        let repeatable = self.repeatable(&client, &request)?;
        match (request.method().as_str(), action.unwrap_or_default()) {
            ("POST", "test") => self.test(&subscription, &request, &repeatable).await,
            ("GET", "exchanges") => self.exchanges(&subscription, &request).await,
            ("POST", "rotate") => self.rotate(&subscription, &repeatable).await,
            ("POST", "enable") => ok(&WebhookSubscriptionView::of(
                &self.enable(&subscription).await?,
            )),
            ("POST", "disable") => ok(&WebhookSubscriptionView::of(
                &self.disable(&subscription).await?,
            )),
            ("POST", "replay") => self.replay(&subscription, &request, &repeatable).await,
            ("DELETE", _) => {
                self.subscriptions.delete(&subscription).await?;
                no_content()
            }
            _ => ok(&WebhookSubscriptionView::of(&subscription)),
        }
    }

    fn repeatable<'a>(
        &'a self,
        client: &Client,
        request: &Request,
    ) -> Result<Repeatable<'a>, Failure> {
        let body = String::from_utf8_lossy(request.body().as_ref());
        self.idempotency
            .of(request, client.client_id.as_str(), &body)
    }

    async fn list(
        &self,
        client: &Client,
        topic: &Topic,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let client_id = client.client_id.as_str();
        let subscriptions = self.subscriptions.list(client_id, &topic.id).await?;
        let views = subscriptions
            .iter()
            .map(WebhookSubscriptionView::of)
            .collect();
        list::page(request, views, SORTED_BY)
    }

    async fn topic(&self, id: &str) -> Result<Topic, Failure> {
        match self.topics.get(id).await? {
            Found::Live(stored) => Ok(stored.topic),
            Found::Deleted { .. } | Found::Unknown => {
                Err(Failure::not_found("there is no such topic"))
            }
        }
    }

    /// The client's own subscription of this id, to a topic that is there.
    async fn own(&self, client: &Client, id: &str) -> Result<Subscription, Failure> {
        let unknown = || Failure::not_found("there is no such subscription");
        let subscription = self
            .subscriptions
            .get(id)
            .await?
            .filter(|subscription| subscription.client_id == client.client_id.as_str())
            .ok_or_else(unknown)?;
        let (topic_id, _) = subscription.topic().ok_or_else(unknown)?;
        match self.topics.get(topic_id).await? {
            Found::Live(_) => Ok(subscription),
            Found::Deleted { .. } | Found::Unknown => Err(unknown()),
        }
    }
}
