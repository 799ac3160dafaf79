//! `/subscribers/webhook`: a client's subscriptions of webhooks to topics (protocol B).
//!
//! - `POST …/topics/{topicId}/subscriptions` creates one: `create`.
//! - `GET …/topics/{topicId}/subscriptions` lists those to a topic, and `GET …/subscriptions` all: this file.
//! - `GET` and `DELETE …/subscriptions/{subscriptionId}` return and delete one: this file.
//! - `PATCH …/subscriptions/{subscriptionId}` changes one: `patch`.
//! - `POST …/test` delivers a test: `test`.
//! - `GET …/exchanges` returns the record of attempts: `exchanges`.
//! - `GET …/deliveries` and `…/deliveries/{deliveryId}` return what was sent, with its attempts: `deliveries`.
//! - `GET …/deliveries/{deliveryId}/payload` returns what was published, and `GET …/topics/{topicId}/document` the current
//!   document: `payload`.
//! - `POST …/deliveries/{deliveryId}/resend` sends it once more: `resend`.
//! - `POST …/secret/rotate` replaces the signing secret: `rotate`.
//! - `POST …/enable` and `…/disable` change the state of the endpoint: `switch`.
//! - `POST …/replay` has past events delivered again: `replay`.
//! - `GET …/stats` returns hourly counts, and `GET /v1/stats` those of all of a client's subscriptions, to entities
//!   as well: `stats`.
//!
//! `routes` recognises the calls, `request` checks the body of a creation, and `view` is what is
//! returned of a subscription, `exchange_view` of an attempt.
//!
//! A client has access to its own subscriptions alone. From a topic's deletion on, its subscriptions
//! are not found.

mod create;
mod deliveries;
mod exchange_view;
mod exchanges;
mod patch;
mod payload;
mod replay;
mod request;
mod resend;
mod rotate;
mod routes;
mod stats;
mod switch;
mod test;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use bellwire_api::idempotency::{Idempotency, Repeatable};
use bellwire_api::{
    Authenticator, Caller, Failure, TopicPermissions, body, etag, list, no_content, path_parameter,
    route, topic_reference,
};
use bellwire_app::{App, BadSetting, Setting};
use bellwire_domain::UrlPolicy;
use bellwire_domain::delivery::retry::RetrySchedule;
use bellwire_domain::ids::{SubscriptionId, TopicId};
use bellwire_domain::topic::{Topic, TopicReference};
use bellwire_fanout::{AccessJudge, Resends};
use bellwire_objects::Payloads;
use bellwire_outbound::Consent;
use bellwire_queues::Queue;
use bellwire_store::subscription::Subscription;
use bellwire_store::topics::{Found, StoredTopic};
use bellwire_store::{Attempts, Clients, Counts, Events, Limits, Members, Subscriptions, Topics};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lambda_http::http::Response;
use lambda_http::{Body, Request};

pub use crate::routes::Route;
use crate::view::{WebhookSubscriptionView, answer, revision};

/// The fields that the list can be sorted by.
const SORTED_BY: &[&str] = &["subscriptionMode", "webhookUrl"];

/// How many topics are read at once.
const AT_ONCE: usize = 16;

/// How often a subscription is tried to be deleted, at most, that others change at the same time.
const ATTEMPTS: usize = 5;

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct WebhookSubscriptionsFunction {
    authenticator: Authenticator,
    clients: Clients,
    topics: Topics,
    permissions: TopicPermissions,
    access: AccessJudge,
    subscriptions: Subscriptions,
    members: Members,
    events: Events,
    attempts: Attempts,
    counts: Counts,
    resends: Resends,
    schedule: RetrySchedule,
    payloads: Payloads,
    deliveries: Queue,
    fan_outs: Queue,
    idempotency: Idempotency,
    policy: UrlPolicy,
    consent: Consent,
    limits: Limits,
}

impl WebhookSubscriptionsFunction {
    /// Takes the function's tables, bucket, queues and settings from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            authenticator: app.authenticator()?,
            clients: app.clients()?,
            topics: app.topics()?,
            permissions: app.topic_permissions()?,
            access: app.access_judge()?,
            subscriptions: app.subscriptions()?,
            members: app.members()?,
            events: app.events()?,
            attempts: app.attempts()?,
            counts: app.counts()?,
            resends: app.resends()?,
            schedule: app.setting(Setting::RetrySchedule)?,
            payloads: app.payloads()?,
            deliveries: app.queue(Setting::DeliveriesQueueUrl)?,
            fan_outs: app.queue(Setting::FanOutsQueueUrl)?,
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
    /// when a limit is reached, or the state of the subscription doesn't allow it; 412 when `If-Match`
    /// names another revision; 413; 415; 500 when a table, the bucket or a queue fails; 503 when another
    /// request interferes.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let route = route(&request, Route::of)?;
        let client = self.authenticator.client(&request).await?;
        if let Route::Create | Route::List | Route::Document = route {
            let topic = self.topic(&client, &topic_reference(&request)?).await?;
            tracing::Span::current().record("topic", topic.id.as_str());
            match route {
                Route::List => return self.list(&client, &topic, &request).await,
                Route::Document => return self.document(&topic).await,
                _ => {}
            }
            let create = body::json(&request)?;
            let repeatable = self.repeatable(&client, &request)?;
            return self
                .create(&client, &topic, create, &request, &repeatable)
                .await;
        }
        match route {
            Route::ListAll => return self.list_all(&client, &request).await,
            Route::StatsOfClient => return self.stats_of_client(&client, &request).await,
            _ => {}
        }
        let id = path_parameter(&request, "subscriptionId")?;
        tracing::Span::current().record("subscription", &id);
        let (subscription, topic) = self.own(&client, &id).await?;
        let repeatable = || self.repeatable(&client, &request);
        match route {
            Route::Create
            | Route::List
            | Route::ListAll
            | Route::Document
            | Route::StatsOfClient
            | Route::Show => answer(&subscription),
            Route::Patch => self.patch(subscription, &topic.topic, &request).await,
            Route::Delete => self.delete(subscription, &request).await,
            Route::Test => self.test(&subscription, &request, &repeatable()?).await,
            Route::Stats => self.stats(&subscription, &request).await,
            Route::Exchanges => self.exchanges(&subscription, topic.shards, &request).await,
            Route::Deliveries => self.deliveries(&subscription, topic.shards, &request).await,
            Route::ShowDelivery => {
                self.show_delivery(&subscription, topic.shards, &request)
                    .await
            }
            Route::Payload => self.payload(&subscription, topic.shards, &request).await,
            Route::Resend => {
                self.resend(&subscription, &topic, &request, &repeatable()?)
                    .await
            }
            Route::RotateSecret => self.rotate(&subscription, &repeatable()?).await,
            Route::Enable => answer(&self.enable(&subscription, &topic.topic).await?),
            Route::Disable => answer(&self.disable(&subscription).await?),
            Route::Replay => {
                self.replay(&subscription, &topic, &request, &repeatable()?)
                    .await
            }
        }
    }

    /// The request, with what identifies its repetitions: method, path and body.
    fn repeatable<'a>(
        &'a self,
        client: &Caller,
        request: &Request,
    ) -> Result<Repeatable<'a>, Failure> {
        let body = String::from_utf8_lossy(request.body().as_ref());
        self.idempotency
            .of(request, client.client_id.as_str(), &body)
    }

    /// Deletes a subscription, if it is as `If-Match` names it; without that header, however it is.
    async fn delete(
        &self,
        subscription: Subscription,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let mut known = subscription;
        for _ in 0..ATTEMPTS {
            etag::must_match(request, revision(&known))?;
            match self.subscriptions.delete_unchanged(&known).await? {
                Some(found) => known = found,
                None => return no_content(),
            }
        }
        Err(Failure::try_again("please try again"))
    }

    /// A page of the client's subscriptions to a topic.
    async fn list(
        &self,
        client: &Caller,
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

    /// A page of the client's subscriptions to all topics that there are. One whose topic the client may not see any more
    /// is listed as it was left.
    async fn list_all(
        &self,
        client: &Caller,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let all = self.subscriptions.of_client(client.client_id.as_str());
        let all = all.await?;
        let ids = all.iter().filter_map(|it| it.topic());
        let ids: BTreeSet<TopicId> = ids.map(|(id, _)| id.clone()).collect();
        let names: BTreeMap<TopicId, String> = stream::iter(ids)
            .map(|id| async move {
                Ok::<_, Failure>(match self.topics.get(&id).await? {
                    Found::Live(stored) => Some((id, stored.topic.name)),
                    Found::Deleted { .. } | Found::Unknown => None,
                })
            })
            .buffer_unordered(AT_ONCE)
            .try_filter_map(async |live| Ok(live))
            .try_collect()
            .await?;
        let views = all.iter().filter_map(|it| {
            let name = names.get(it.topic()?.0)?;
            Some(WebhookSubscriptionView::listed(it, name.as_str()))
        });
        list::page(request, views.collect(), SORTED_BY)
    }

    /// The topic with this id or name; 404 if there is none, it was deleted, or the client may not see it.
    async fn topic(&self, client: &Caller, reference: &TopicReference) -> Result<Topic, Failure> {
        let unknown = || Failure::not_found("there is no such topic");
        let Found::Live(stored) = self.topics.find(reference).await? else {
            return Err(unknown());
        };
        if self.permissions.may_see(client, &stored.topic).await? {
            Ok(stored.topic)
        } else {
            Err(unknown())
        }
    }

    /// A subscription to a topic, in the state that follows from who may see the topic; `None` if it is deleted meanwhile.
    async fn settled(
        &self,
        subscription: Subscription,
        topic: &Topic,
    ) -> Result<Option<Subscription>, Failure> {
        let is_suspended = subscription.state().is_suspended();
        if topic.access.is_everyone() && !is_suspended {
            return Ok(Some(subscription));
        }
        let permitted = self.access.is_for(topic, &subscription.client_id).await?;
        if permitted != is_suspended {
            return Ok(Some(subscription));
        }
        let id = &subscription.subscription_id;
        self.access.settle(id).await.map_err(Failure::internal)?;
        Ok(self.subscriptions.get(id).await?)
    }

    /// The client's own subscription with this id, and its topic; 404 if there is none, or its topic was deleted. It is
    /// suspended if the client may not see the topic any more, and resumed if it may again.
    async fn own(&self, client: &Caller, id: &str) -> Result<(Subscription, StoredTopic), Failure> {
        let unknown = || Failure::not_found("there is no such subscription");
        let subscription = self
            .subscriptions
            .get(&SubscriptionId::new(id))
            .await?
            .filter(|subscription| subscription.client_id == client.client_id.as_str())
            .ok_or_else(unknown)?;
        let (topic_id, _) = subscription.topic().ok_or_else(unknown)?;
        match self.topics.get(topic_id).await? {
            Found::Live(stored) => {
                let settled = self.settled(subscription, &stored.topic).await?;
                Ok((settled.ok_or_else(unknown)?, stored))
            }
            Found::Deleted { .. } | Found::Unknown => Err(unknown()),
        }
    }
}
