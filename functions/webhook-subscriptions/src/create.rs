//! `POST /subscribers/webhook/topics/{topicId}/subscriptions`: subscribes a webhook to a topic.

use bellwire_api::idempotency::Repeatable;
use bellwire_api::{Caller, Failure, called_path, created, domain, etag, located};
use bellwire_domain::endpoint::signature::generate_secret;
use bellwire_domain::ids::{SubscriptionId, new_subscription_id};
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::topic::Topic;
use bellwire_fanout::{Restricted, deliver_current_document};
use bellwire_store::subscription::{Source, Subscription, Webhook};
use bellwire_store::subscriptions::Created;
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::WebhookSubscriptionsFunction;
use crate::request::CreateWebhookSubscription;
use crate::view::{WebhookSubscriptionView, revision_at};

impl WebhookSubscriptionsFunction {
    /// Subscribes a webhook to a topic. Its first delivery is the topic's current document, if there is
    /// one. Only this response has the signing secret and the values of the headers.
    ///
    /// # Errors
    /// 400 when the body is refused, or the endpoint doesn't consent; 401 when the client is disabled
    /// meanwhile; 403 when the client only publishes to the topic; 404 when the topic is deleted meanwhile; 409 when a limit is reached, the topic is not for
    /// webhooks, or the `Idempotency-Key` came with another request; 500 when a table or the queue fails; 503 when
    /// another request interferes.
    pub(crate) async fn create(
        &self,
        client: &Caller,
        topic: &Topic,
        create: CreateWebhookSubscription,
        request: &Request,
        repeatable: &Repeatable<'_>,
    ) -> Result<Response<Body>, Failure> {
        if let Some(answer) = repeatable.earlier().await? {
            return self.created_before(answer, topic, request).await;
        }
        if !topic.subscribers.accept_webhooks() {
            let problem = "the topic has no subscribers of the type webhook";
            return Err(Failure::conflict(problem));
        }
        if !self.permissions.may_receive(client, topic).await? {
            return Err(not_for_the_client());
        }
        let checked = create.check(&self.policy, topic)?;
        let origin = self.ask(&checked.webhook_url, domain(request)).await?;
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
                    Some(answer) => self.created_before(answer, topic, request).await,
                    None => Err(Failure::conflict(self.limits.explain(exceeded))),
                };
            }
            Created::Refused(other) => {
                return match (repeatable.earlier().await?, other) {
                    (Some(answer), _) => self.created_before(answer, topic, request).await,
                    (None, 0) => Err(Failure::not_found("there is no such topic")),
                    (None, 1) => Err(Failure::unauthorized()),
                    (None, _) => Err(Failure::try_again("please try again")),
                };
            }
        }
        match self.send_document(&subscription, topic).await {
            Ok(()) => {
                let id = &subscription.subscription_id;
                Ok(located_at(answer, id, subscription.created_at, request))
            }
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
    async fn created_before(
        &self,
        answer: Response<Body>,
        topic: &Topic,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Made {
            id: SubscriptionId,
            #[serde(with = "iso_serde")]
            create_timestamp: OffsetDateTime,
        }
        let made: Made =
            serde_json::from_slice(answer.body().as_ref()).map_err(Failure::internal)?;
        tracing::Span::current().record("subscription", made.id.as_str());
        if let Some(subscription) = self.subscriptions.get(&made.id).await? {
            self.send_document(&subscription, topic).await?;
        }
        let created_at = made.create_timestamp;
        Ok(located_at(answer, &made.id, created_at, request))
    }

    /// Creates the delivery of a topic's current document, if there is one. A subscription receives new
    /// versions from the moment that it is a member of the topic's audience; this delivery is for the
    /// version that is current then.
    pub(crate) async fn send_document(
        &self,
        subscription: &Subscription,
        topic: &Topic,
    ) -> Result<(), Failure> {
        let (now, restricted) = (OffsetDateTime::now_utc(), Restricted::of(topic));
        deliver_current_document(
            &self.events,
            &self.deliveries,
            subscription,
            restricted,
            now,
        )
        .await
        .map_err(Failure::internal)
    }
}

/// The response to a creation, with the path of what was created, in the spelling of the call, and its entity
/// tag from then.
fn located_at(
    answer: Response<Body>,
    id: &SubscriptionId,
    created_at: OffsetDateTime,
    request: &Request,
) -> Response<Body> {
    let answer = etag::with(answer, revision_at(created_at));
    match prefix(called_path(request)) {
        Some(prefix) => located(answer, &format!("{prefix}/subscriptions/{id}")),
        None => answer,
    }
}

/// What the path of a call that creates a subscription has before `/topics/{topicId}/subscriptions`; `None` if it
/// is no such path. Names of stages and topics may be anything.
fn prefix(path: &str) -> Option<&str> {
    let spelling = path.find("/subscribers/webhook/")?;
    let length = path.get(spelling..)?.find("/topics/")?;
    path.get(..spelling + length)
}

#[test]
fn the_prefix_is_that_of_the_call() {
    for (path, expected) in [
        (
            "/live/subscribers/webhook/topics/t1/subscriptions",
            Some("/live/subscribers/webhook"),
        ),
        (
            "/topics/subscribers/webhook/topics/%2Ftopics%2F/subscriptions",
            Some("/topics/subscribers/webhook"),
        ),
        (
            "/streams/subscribers/webhook/api/v1/topics/topics/subscriptions",
            Some("/streams/subscribers/webhook/api/v1"),
        ),
        ("/subscribers/webhook", None),
    ] {
        assert_eq!(prefix(path), expected);
    }
}

/// 403: the client may see the topic since it publishes to it, and its publications are for others.
fn not_for_the_client() -> Failure {
    Failure::forbidden("the topic's access doesn't name this client, which only publishes to it")
}
