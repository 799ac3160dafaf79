//! What belongs to a client, and is disabled, enabled and removed with it.
//!
//! Each step can be repeated: a command that was cut off is completed by running it again.

use anyhow::{Context, anyhow};
use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_sns::Client as Sns;
use bellwire_domain::ClientId;
use bellwire_domain::topic::shards::Shards;
use bellwire_fanout::deliver_current_document;
use bellwire_query_notifications::TopicPrefix;
use bellwire_queues::Queue;
use bellwire_runtime::aws::Lazy;
use bellwire_store::topics::Found;
use bellwire_store::{
    Attempts, Callbacks, Client, Clients, Events, Keys, Queries, Subscription, Subscriptions,
    Topics,
};
use time::{Duration, OffsetDateTime};

use crate::stack;

/// How long new items are kept: of no effect here, where items are only removed.
const KEPT: Duration = Duration::ZERO;

/// The tables, topics and queues that hold what belongs to clients.
pub struct Own {
    clients: Clients,
    keys: Keys,
    subscriptions: Subscriptions,
    attempts: Attempts,
    events: Events,
    callbacks: Callbacks,
    queries: Queries,
    topics: Topics,
    sns: Sns,
    sns_topics: TopicPrefix,
    deliveries: Queue,
}

impl Own {
    /// Those of the stack of this name.
    pub async fn of(name: &str) -> anyhow::Result<Self> {
        let config = stack::aws().await;
        let db = DynamoDb::new(&config);
        let output = async |key| stack::output(&config, name, key).await;
        let deliveries = output("DeliveriesQueueUrl").await?;
        Ok(Self {
            clients: Clients::new(db.clone(), output("ClientsTable").await?),
            keys: Keys::new(
                db.clone(),
                output("KeysTable").await?,
                output("ClientsTable").await?,
            ),
            subscriptions: Subscriptions::new(
                db.clone(),
                output("SubscriptionsTable").await?,
                output("MembersTable").await?,
            ),
            attempts: Attempts::new(db.clone(), output("ExchangesTable").await?, KEPT),
            events: Events::new(db.clone(), output("EventsTable").await?, KEPT),
            callbacks: Callbacks::new(db.clone(), output("CallbacksTable").await?),
            queries: Queries::new(db.clone(), output("QueriesTable").await?),
            topics: Topics::new(db, output("TopicsTable").await?),
            sns: Sns::new(&config),
            sns_topics: output("TopicPrefix").await?.parse()?,
            deliveries: Queue::new(Lazy::new(&config, aws_sdk_sqs::Client::new), deliveries),
        })
    }

    /// Disables a client, and stops all deliveries to it. `None` when there is no such client.
    pub async fn disable(&self, client_id: &ClientId) -> anyhow::Result<Option<Client>> {
        let now = OffsetDateTime::now_utc();
        // From now on, no subscription can be added.
        let Some(client) = self.clients.disable(client_id, now).await? else {
            return Ok(None);
        };
        self.keys.set_disabled(&client, true).await?;
        for subscription in self.subscriptions.of_client(client_id.as_str()).await? {
            let id = &subscription.subscription_id;
            self.subscriptions.disable_client(id, now).await?;
        }
        Ok(Some(client))
    }

    /// Enables a client, and resumes the deliveries to its subscriptions. Documents continue with a
    /// snapshot. `None` when there is no such client.
    pub async fn enable(&self, client_id: &ClientId) -> anyhow::Result<Option<Client>> {
        let Some(client) = self.clients.enable(client_id).await? else {
            return Ok(None);
        };
        self.keys.set_disabled(&client, false).await?;
        let now = OffsetDateTime::now_utc();
        for subscription in self.subscriptions.of_client(client_id.as_str()).await? {
            let id = &subscription.subscription_id;
            if let Some(enabled) = self.subscriptions.enable_client(id, now).await? {
                deliver_current_document(&self.events, &self.deliveries, &enabled, now)
                    .await
                    .context("the current document could not be sent")?;
            }
        }
        Ok(Some(client))
    }

    /// The shards of the subscription's topic.
    async fn shards_of(&self, subscription: &Subscription) -> anyhow::Result<Shards> {
        let Some((topic_id, _)) = subscription.topic() else {
            return Ok(Shards::ONE);
        };
        Ok(match self.topics.get(topic_id).await? {
            Found::Live(topic) => topic.shards,
            Found::Deleted { shards, .. } => shards,
            Found::Unknown => Shards::ONE,
        })
    }

    /// Removes a client, and everything that belongs to it. Deliveries to it that are still in
    /// queues end there. `false` when there is no such client.
    pub async fn delete(&self, client_id: &ClientId) -> anyhow::Result<bool> {
        let Some(client) = self.disable(client_id).await? else {
            return Ok(false);
        };
        for subscription in self.subscriptions.of_client(client_id.as_str()).await? {
            let id = &subscription.subscription_id;
            let shards = self.shards_of(&subscription).await?;
            self.attempts.remove_all(id, shards).await?;
            self.subscriptions.delete(&subscription).await?;
        }
        // https://docs.aws.amazon.com/sns/latest/api/API_DeleteTopic.html: no error if there is none
        let topic = self
            .sns
            .delete_topic()
            .topic_arn(self.sns_topics.arn(client_id));
        let deleted = topic.send().await;
        deleted.map_err(|error| anyhow!(error).context("the client's SNS topic"))?;
        for callback in self.callbacks.list(client_id).await? {
            self.callbacks.remove(client_id, &callback).await?;
        }
        self.queries.remove_all(client_id).await?;
        self.subscriptions.forget_counts(client_id.as_str()).await?;
        self.keys.remove_all(&client).await?;
        self.clients.delete(client_id).await?;
        Ok(true)
    }
}
