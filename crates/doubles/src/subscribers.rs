//! Subscriptions to topics and entities, to begin a test with.

use bellwire_domain::Secret;
use bellwire_domain::endpoint::signature::generate_secret;
use bellwire_domain::entity::EntityKey;
use bellwire_domain::ids::{SubscriptionId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_store::subscription::{Source, Subscription, Webhook};
use bellwire_store::{Limits, Subscriptions};
use time::OffsetDateTime;

use crate::Aws;

/// Limits that are not reached.
const LIMITS: Limits = Limits {
    of_client: 1_000_000,
    at_host: 1_000_000,
};

impl Aws {
    /// The table of subscriptions.
    pub fn subscriptions(&self) -> Subscriptions {
        self.app("WebhookSubscriptions", &[])
            .subscriptions()
            .unwrap()
    }

    /// Subscribes a client to a topic, at this URL.
    pub async fn subscribe(
        &self,
        id: &str,
        topic_id: &str,
        mode: SubscriptionMode,
        url: &str,
    ) -> Subscription {
        let topic_id = TopicId::new(topic_id);
        let members = self.app("WebhookSubscriptions", &[]).members().unwrap();
        let segment = members.next_segment(&topic_id).await.unwrap();
        let source = Source::Topic { topic_id, mode };
        self.put_subscription(Subscription {
            segment,
            ..subscription(id, "c1", source, url)
        })
        .await
    }

    /// Subscribes a client to an entity.
    pub async fn follow(&self, id: &str, client_id: &str, entity_key: EntityKey) -> Subscription {
        let source = Source::Entity { entity_key };
        self.put_subscription(subscription(id, client_id, source, "https://example.com/"))
            .await
    }

    async fn put_subscription(&self, subscription: Subscription) -> Subscription {
        self.subscriptions()
            .create(&subscription, &LIMITS, Vec::new())
            .await
            .unwrap();
        subscription
    }
}

fn subscription(id: &str, client_id: &str, source: Source, url: &str) -> Subscription {
    let secret: Secret = generate_secret().unwrap();
    let now = OffsetDateTime::now_utc();
    Subscription::new(
        SubscriptionId::new(id),
        client_id,
        source,
        Webhook::new(url, secret),
        now,
    )
}
