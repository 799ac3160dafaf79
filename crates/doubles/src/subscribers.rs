//! Subscriptions to topics and entities, to begin a test with.

use bellwire_domain::client::Label;
use bellwire_domain::endpoint::signature::generate_secret;
use bellwire_domain::entity::{EntityKey, Spelling};
use bellwire_domain::ids::{SubscriptionId, TopicId};
use bellwire_domain::topic::Topic;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::{ClientId, Secret};
use bellwire_store::subscription::{Source, Subscription, Webhook};
use bellwire_store::{ApiKey, Client, ClientChange, Limits, Subscriptions};
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

    /// Adds a client whose API key is `key`.
    pub async fn add_client(&self, key: &str, publisher: bool) -> ClientId {
        let client_id = ClientId::generate().unwrap();
        self.add_client_with(Client {
            name: key.to_owned(),
            publisher,
            ..self.client(client_id.clone())
        })
        .await;
        client_id
    }

    /// Adds an operator whose API key is `key`.
    pub async fn add_operator(&self, key: &str) -> ClientId {
        let client_id = ClientId::generate().unwrap();
        self.add_client_with(Client {
            name: key.to_owned(),
            operator: true,
            ..self.client(client_id.clone())
        })
        .await;
        client_id
    }

    /// A customer whose client secret is `secret`, to be changed and added.
    pub fn client(&self, client_id: ClientId) -> Client {
        let secret = Secret::new("secret").hash();
        Client::new(client_id, "it", &secret, OffsetDateTime::now_utc())
    }

    /// Adds a client whose API key is its name.
    pub async fn add_client_with(&self, client: Client) {
        let app = self.app("Publish", &[]);
        let (clients, keys) = (app.clients().unwrap(), app.keys().unwrap());
        let key = Secret::new(client.name.as_str());
        let key = ApiKey::new(&client, &key, "key", client.created_at);
        let client = Client {
            api_keys: vec![key.key_sha256.clone()],
            ..client
        };
        let key = keys.put_new(&key).unwrap();
        assert!(clients.create(&client, Some(key)).await.unwrap());
    }

    /// Labels a client.
    pub async fn label(&self, client_id: &ClientId, labels: &[&str]) {
        let clients = self.app("Publish", &[]).clients().unwrap();
        let known = clients.get(client_id).await.unwrap().unwrap();
        let labels = labels.iter().map(|label| (*label).to_owned());
        let labels: Vec<Label> = labels.map(|label| label.try_into().unwrap()).collect();
        let change = ClientChange {
            labels: Some(labels.try_into().unwrap()),
            ..ClientChange::default()
        };
        let now = OffsetDateTime::now_utc();
        clients.change(&known, &change, now).await.unwrap().unwrap();
    }

    /// Creates a topic.
    pub async fn add_topic(&self, id: &str, definition: serde_json::Value) {
        let definition = serde_json::from_value(definition).unwrap();
        let topic = Topic::new(TopicId::new(id), definition, OffsetDateTime::now_utc());
        let topics = self.app("Topics", &[]).topics().unwrap();
        topics.create(&topic, None).await.unwrap();
    }

    /// Subscribes a client to a topic, at this URL.
    pub async fn subscribe(
        &self,
        id: &str,
        topic_id: &str,
        mode: SubscriptionMode,
        url: &str,
    ) -> Subscription {
        self.subscribe_client(id, "c1", topic_id, mode, url).await
    }

    /// Subscribes the client with this id to a topic, at this URL.
    pub async fn subscribe_client(
        &self,
        id: &str,
        client_id: &str,
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
            ..subscription(id, client_id, source, url)
        })
        .await
    }

    /// Subscribes a client to an entity.
    pub async fn follow(&self, id: &str, client_id: &str, entity_key: EntityKey) -> Subscription {
        let source = Source::Entity {
            entity_key,
            spelling: Spelling::default(),
        };
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
