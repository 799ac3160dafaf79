//! `POST /subscribers/webhook/topics/{topicId}/subscriptions`: subscribes a webhook to a topic.

use bellwire_api::idempotency::Repeatable;
use bellwire_api::{Failure, created};
use bellwire_domain::endpoint::signature::generate_secret;
use bellwire_domain::ids::{SubscriptionId, new_subscription_id};
use bellwire_domain::topic::Topic;
use bellwire_fanout::deliver_current_document;
use bellwire_outbound::NoConsent;
use bellwire_store::Client;
use bellwire_store::subscription::{Source, Subscription, Webhook};
use bellwire_store::subscriptions::Created;
use lambda_http::Body;
use lambda_http::http::Response;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::WebhookSubscriptionsFunction;
use crate::request::CreateWebhookSubscription;
use crate::view::WebhookSubscriptionView;

impl WebhookSubscriptionsFunction {
    /// Subscribes a webhook to a topic. Its first delivery is the topic's current document, if there is
    /// one. Only this response has the signing secret and the values of the headers.
    ///
    /// # Errors
    /// 400 when the body is refused, or the endpoint doesn't consent; 401 when the client is disabled
    /// meanwhile; 404 when the topic is deleted meanwhile; 409 when a limit is reached, or the
    /// `Idempotency-Key` came with another request; 500 when a table or the queue fails; 503 when
    /// another request interferes.
    pub(crate) async fn create(
        &self,
        client: &Client,
        topic: &Topic,
        create: CreateWebhookSubscription,
        domain: &str,
        repeatable: &Repeatable<'_>,
    ) -> Result<Response<Body>, Failure> {
        if let Some(answer) = repeatable.earlier().await? {
            return self.created_before(answer).await;
        }
        let checked = create.check(&self.policy, topic)?;
        let origin = self.consent.ask(&checked.webhook_url, domain).await;
        let origin = origin.map_err(|no| match no {
            NoConsent::Unasked(cause) => Failure::internal(cause),
            refused => Failure::field("webhookUrl", refused),
        })?;
        let secret = generate_secret().map_err(Failure::internal)?;
        let now = OffsetDateTime::now_utc();
        let source = Source::Topic {
            topic_id: topic.id.clone(),
            mode: checked.mode,
        };
        let webhook = Webhook {
            headers: checked.headers,
            authorization: checked.authorization,
            origin,
            ..Webhook::new(checked.webhook_url.as_str(), secret.clone())
        };
        let (id, client_id) = (new_subscription_id(), client.client_id.as_str());
        let subscription = Subscription {
            segment: self.members.next_segment(&topic.id).await?,
            ..Subscription::new(id, client_id, source, webhook, now)
        };
        tracing::Span::current().record("subscription", subscription.subscription_id.as_str());
        let answer = created(&WebhookSubscriptionView::made(&subscription, &secret))?;
        let record = repeatable.record(&answer)?;
        let has_key = record.is_some();
        // The topic's deletion is delivered to its members: the subscription is among them, or isn't
        // created.
        let mut others = vec![
            self.topics.must_be_live(&topic.id)?,
            self.clients.must_be_enabled(&client.client_id)?,
            self.members.must_be_open(&topic.id, subscription.segment)?,
        ];
        others.extend(record);
        match self
            .subscriptions
            .create(&subscription, &self.limits, others)
            .await?
        {
            // The id is random: it exists because the SDK has repeated the write.
            Created::Done | Created::Exists => {}
            Created::TooMany(exceeded) => {
                return match repeatable.earlier().await? {
                    Some(answer) => self.created_before(answer).await,
                    None => Err(Failure::conflict(self.limits.explain(exceeded))),
                };
            }
            Created::Refused(other) => {
                return match (repeatable.earlier().await?, other) {
                    (Some(answer), _) => self.created_before(answer).await,
                    (None, 0) => Err(Failure::not_found("there is no such topic")),
                    (None, 1) => Err(Failure::unauthorized()),
                    (None, _) => Err(Failure::try_again("please try again")),
                };
            }
        }
        match self.send_document(&subscription).await {
            Ok(()) => Ok(answer),
            // The repeated request completes it.
            Err(failure) if has_key => Err(failure),
            Err(failure) => {
                // Its secret would never be known to the client.
                self.subscriptions.delete(&subscription).await?;
                Err(failure)
            }
        }
    }

    /// The response to a repeated request. If the first one was cut off after it had created the
    /// subscription, completes it.
    async fn created_before(&self, answer: Response<Body>) -> Result<Response<Body>, Failure> {
        #[derive(Deserialize)]
        struct Made {
            id: SubscriptionId,
        }
        let made: Made =
            serde_json::from_slice(answer.body().as_ref()).map_err(Failure::internal)?;
        tracing::Span::current().record("subscription", made.id.as_str());
        if let Some(subscription) = self.subscriptions.get(&made.id).await? {
            self.send_document(&subscription).await?;
        }
        Ok(answer)
    }

    /// Creates the delivery of a topic's current document, if there is one. A subscription receives new
    /// versions from the moment that it is a member of the topic's audience; this delivery is for the
    /// version that is current then.
    pub(crate) async fn send_document(&self, subscription: &Subscription) -> Result<(), Failure> {
        let now = OffsetDateTime::now_utc();
        deliver_current_document(&self.events, &self.deliveries, subscription, now)
            .await
            .map_err(Failure::internal)
    }
}
