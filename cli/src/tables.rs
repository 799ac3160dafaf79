//! The tables of a stack that commands read.

use anyhow::{Context, anyhow};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client as DynamoDb;
use bellwire_domain::ClientId;
use bellwire_domain::client::ClientReference;
use bellwire_domain::ids::{SubscriptionId, TopicId};
use bellwire_domain::topic::TopicReference;
use bellwire_store::topics::{Found, StoredTopic};
use bellwire_store::{Attempts, Client, Clients, Members, Subscription, Subscriptions, Topics};
use time::Duration;

use crate::stack::{self, Deployed};

/// The tables, and the stack that they are of.
pub struct Tables {
    /// The SDK's configuration.
    pub config: SdkConfig,
    /// The stack.
    pub deployed: Deployed,
    /// Clients.
    pub clients: Clients,
    /// Topics.
    pub topics: Topics,
    /// Who receives what.
    pub members: Members,
    /// Subscriptions to topics and entities.
    pub subscriptions: Subscriptions,
    /// Attempts, as long as the API shows them.
    pub attempts: Attempts,
}

impl Tables {
    /// Those of the stack of this name.
    ///
    /// # Errors
    /// When there is no such stack, or it is none of Bellwire's.
    pub async fn of(stack: &str) -> anyhow::Result<Self> {
        let config = stack::aws().await;
        let deployed = Deployed::read(&config, stack).await?;
        let db = DynamoDb::new(&config);
        let (db, name) = (|| db.clone(), |key| deployed.output(key));
        let members = name("MembersTable")?;
        let kept: i64 = deployed.parameter("ExchangesKeptDays")?.parse()?;
        Ok(Self {
            clients: Clients::new(db(), name("ClientsTable")?),
            topics: Topics::new(db(), name("TopicsTable")?),
            members: Members::new(db(), members.clone()),
            subscriptions: Subscriptions::new(db(), name("SubscriptionsTable")?, members),
            attempts: Attempts::new(db(), name("ExchangesTable")?, Duration::days(kept)),
            config,
            deployed,
        })
    }

    /// The client with this id, the stack's or the provider's.
    ///
    /// # Errors
    /// When there is none.
    pub async fn client(&self, reference: &str) -> anyhow::Result<Client> {
        find_client(&self.clients, reference).await
    }

    /// The topic with this id or name.
    ///
    /// # Errors
    /// When there is none, or it is deleted.
    pub async fn topic(&self, reference: &str) -> anyhow::Result<StoredTopic> {
        let found = self.topics.find(&TopicReference::parse(reference)).await;
        match found.context("the topic could not be read")? {
            Found::Live(stored) => Ok(stored),
            Found::Deleted { .. } => Err(anyhow!("the topic {reference} is deleted")),
            Found::Unknown => Err(anyhow!("there is no topic {reference}")),
        }
    }

    /// The ids of the client and the topic that options name; `None` for one that is left out.
    ///
    /// # Errors
    /// When one doesn't exist.
    pub async fn named(
        &self,
        client: Option<&str>,
        topic: Option<&str>,
    ) -> anyhow::Result<(Option<ClientId>, Option<TopicId>)> {
        let client = match client {
            Some(client) => Some(self.client(client).await?.client_id),
            None => None,
        };
        let topic = match topic {
            Some(topic) => Some(self.topic(topic).await?.topic.id),
            None => None,
        };
        Ok((client, topic))
    }

    /// The subscription with this id.
    ///
    /// # Errors
    /// When there is none.
    pub async fn subscription(&self, id: &str) -> anyhow::Result<Subscription> {
        let found = self.subscriptions.get(&SubscriptionId::new(id)).await;
        found
            .context("the subscription could not be read")?
            .ok_or_else(|| anyhow!("there is no subscription {id}"))
    }
}

/// The client with this id, the stack's or the provider's.
///
/// # Errors
/// When there is none.
pub async fn find_client(clients: &Clients, reference: &str) -> anyhow::Result<Client> {
    let parsed = ClientReference::parse(reference).map_err(|_| no_such_client(reference))?;
    let found = clients.get(&parsed.client_id()).await;
    found
        .context("the client could not be read")?
        .ok_or_else(|| no_such_client(reference))
}

/// There is no client with this id.
pub fn no_such_client(reference: &str) -> anyhow::Error {
    anyhow!("there is no client {reference}")
}
