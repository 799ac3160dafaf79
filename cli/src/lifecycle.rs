//! What is disabled, enabled and removed with a client, in the stack's tables, queues and topics.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client as DynamoDb;
use bellwire_client_lifecycle::ClientLifecycle;
use bellwire_fanout::AccessJudge;
use bellwire_query_notifications::Publisher;
use bellwire_queues::Queue;
use bellwire_runtime::aws::Lazy;
use bellwire_store::{
    Attempts, Callbacks, Clients, Counts, Events, Keys, Queries, Subscriptions, Topics,
};
use time::Duration;

use crate::stack::Deployed;

/// How long new items are kept: of no effect here, where items are only removed.
const KEPT: Duration = Duration::ZERO;

/// The lifecycle of a stack's clients.
pub fn of(config: &SdkConfig, deployed: &Deployed) -> anyhow::Result<ClientLifecycle> {
    let db = DynamoDb::new(config);
    let sqs = Lazy::new(config, aws_sdk_sqs::Client::new);
    let queue = |key| deployed.output(key).map(|url| Queue::new(sqs.clone(), url));
    let prefix = deployed.output("TopicPrefix")?.parse()?;
    let db = || db.clone();
    let name = |key| deployed.output(key);
    let clients = Clients::new(db(), name("ClientsTable")?);
    let topics = Topics::new(db(), name("TopicsTable")?);
    let members = name("MembersTable")?;
    let subscriptions = Subscriptions::new(db(), name("SubscriptionsTable")?, members);
    let access = AccessJudge::new(
        topics.clone(),
        clients.clone(),
        subscriptions.clone(),
        Events::new(db(), name("EventsTable")?, KEPT),
        queue("DeliveriesQueueUrl")?,
    );
    Ok(ClientLifecycle {
        keys: Keys::new(db(), name("KeysTable")?, name("ClientsTable")?),
        attempts: Attempts::new(db(), name("ExchangesTable")?, KEPT),
        counts: Counts::new(db(), name("CountsTable")?),
        callbacks: Callbacks::new(db(), name("CallbacksTable")?),
        queries: Queries::new(db(), name("QueriesTable")?),
        notifications: Publisher::new(Lazy::new(config, aws_sdk_sns::Client::new), prefix),
        tasks: queue("ClientTasksQueueUrl")?,
        clients,
        topics,
        subscriptions,
        access,
    })
}
