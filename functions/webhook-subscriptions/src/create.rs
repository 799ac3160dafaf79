//! `POST /subscribers/webhook/topics/{topicId}/subscriptions`.

use bellwire_edge::{Failure, created};
use bellwire_queues::{Delivery, Message, Told};
use bellwire_rules::ids::random_id;
use bellwire_rules::lease::Progress;
use bellwire_rules::signature::{SigningSecrets, generate_secret};
use bellwire_rules::topic::Topic;
use bellwire_store::Client;
use bellwire_store::subscription::{Source, Subscription};
use lambda_http::Body;
use lambda_http::http::Response;
use time::OffsetDateTime;

use crate::Function;
use crate::request::Wish;
use crate::shown::Shown;

impl Function {
    /// Subscribes a webhook. The current document, if there is one, is its first delivery.
    /// The answer is the only one with the signing secret and the headers' values.
    pub async fn create(
        &self,
        client: &Client,
        topic: &Topic,
        wish: Wish,
    ) -> Result<Response<Body>, Failure> {
        let checked = wish.check(&self.policy, topic)?;
        let secret = generate_secret().map_err(Failure::internal)?;
        let now = OffsetDateTime::now_utc();
        let subscription = Subscription {
            subscription_id: random_id(),
            client_id: client.client_id.to_string(),
            source: Source::Topic {
                topic_id: topic.id.clone(),
                mode: checked.mode,
            },
            segment: self.members.next_segment(&topic.id).await?,
            webhook_url: checked.webhook_url,
            webhook_headers: checked.headers,
            authorization: checked.authorization,
            secrets: SigningSecrets::new(secret.clone()),
            created_at: now,
            updated_at: now,
            disabled: None,
            unannounced: false,
            failing_since: None,
            progress: Progress::default(),
        };
        tracing::Span::current().record("subscription", &subscription.subscription_id);
        self.subscriptions.create(&subscription).await?;
        if let Err(failure) = self.send_document(&subscription).await {
            // Nobody would know its secret.
            self.subscriptions.delete(&subscription).await?;
            return Err(failure);
        }
        created(&Shown::made(&subscription, &secret))
    }

    /// Has a subscription to a document brought up to date. From the moment it is a member
    /// of its topic it is told of new versions; this is for the one that is there.
    pub async fn send_document(&self, subscription: &Subscription) -> Result<(), Failure> {
        let Some((topic_id, _)) = subscription.topic() else {
            return Ok(());
        };
        let Some(current) = self.events.latest(topic_id).await? else {
            return Ok(());
        };
        let delivery = Delivery::new(
            subscription.subscription_id.clone(),
            subscription.client_id.clone(),
            OffsetDateTime::now_utc(),
            Told::Document {
                version: current.version,
            },
        );
        Ok(self.deliveries.send(Message::delivery(&delivery)?).await?)
    }
}
