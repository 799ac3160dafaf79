//! What follows for all that belongs to a client when it is disabled, enabled or deleted: `disable`, `enable`, `delete`.
//!
//! A change is one write of the client's item; the steps after it work from what is on record of the client, and not
//! from who has asked for what. Each can be repeated. A message to the queue `ClientTasks` is sent before the write,
//! so that the steps are completed if whoever makes them is cut off, and it arrives when that has happened. Of two
//! opposite changes at the same time the one counts that is on record last: whoever has made steps reads the client
//! once more, and makes those of the other change if it isn't as it was.

mod delete;
mod disable;
mod enable;
mod error;

use std::time::Duration;

use bellwire_domain::ClientId;
use bellwire_fanout::AccessJudge;
use bellwire_query_notifications::Publisher;
use bellwire_queues::{ClientTask, Hops, Message, Queue};
use bellwire_runtime::deadline::Steps;
use bellwire_store::{
    Attempts, Callbacks, Client, ClientChange, Clients, Counts, Keys, Queries, Subscriptions,
    Topics,
};
use futures_util::stream::{self, StreamExt};
use time::OffsetDateTime;

pub use error::LifecycleError;

/// How many subscriptions are changed or removed at once.
const AT_ONCE: usize = 8;
/// How often the steps are made again, at most, because others change the client at the same time.
const ROUNDS: usize = 5;
/// After how long it is looked whether a change has been completed: longer than a request of the API takes, so that
/// nothing is written late by one that was cut off.
const LOOKED_AFTER_IN: Duration = Duration::from_secs(60);

/// Is told of each subscription that is removed with its client: how many are, and how many there were.
pub type Watch<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// The tables, topics and queues that hold what belongs to clients.
#[derive(Debug)]
pub struct ClientLifecycle {
    /// The clients.
    pub clients: Clients,
    /// Their API keys.
    pub keys: Keys,
    /// Their subscriptions, with their counts.
    pub subscriptions: Subscriptions,
    /// The attempts of deliveries to these.
    pub attempts: Attempts,
    /// How many attempts there were.
    pub counts: Counts,
    /// Judges which topics' publications are for them, and delivers the documents that subscriptions go on with.
    pub access: AccessJudge,
    /// Their callback URLs.
    pub callbacks: Callbacks,
    /// Their queries.
    pub queries: Queries,
    /// The topics, which say how many shards attempts are spread over.
    pub topics: Topics,
    /// SNS, which has a topic for each client.
    pub notifications: Publisher,
    /// The queue `ClientTasks`.
    pub tasks: Queue,
}

impl ClientLifecycle {
    /// Changes a client that was read as `known`, and makes the steps that follow for what belongs to it, as far as the
    /// invocation's time goes; the rest is left to a message. Returns the client as it was written; `None` if there is
    /// none any more, or it is being deleted.
    ///
    /// # Errors
    /// When a table or a queue fails. The change may have been made, and some of the steps; the message completes them,
    /// and so does the same change.
    pub async fn change(
        &self,
        known: &Client,
        change: &ClientChange,
    ) -> Result<Option<Client>, LifecycleError> {
        let id = &known.client_id;
        if change.disabled.is_some() {
            self.have_looked_after(id).await?;
        }
        let now = OffsetDateTime::now_utc();
        let Some(changed) = self.clients.change(known, change, now).await? else {
            return Ok(None);
        };
        if change.labels.is_some() {
            let client_id = id.clone();
            let task = ClientTask::LabelsChanged { client_id };
            self.tasks.send(Message::new(&task)?).await?;
        }
        if change.disabled.is_some() {
            let steps = self.complete(id, &|_, _| {}).await?;
            tracing::info!(client = %id, disabled = change.disabled, ?steps, "client changed");
        }
        Ok(Some(changed))
    }

    /// Deletes a client that was read as `known`, with all that belongs to it, as far as the invocation's time goes; the
    /// rest is left to a message. Returns how far it came; `None` if there is none any more.
    ///
    /// # Errors
    /// When a table, SNS or a queue fails. The deletion may have begun: then the message completes it, and so does
    /// another deletion.
    pub async fn delete(
        &self,
        known: &Client,
        watch: Watch<'_>,
    ) -> Result<Option<Steps>, LifecycleError> {
        let id = &known.client_id;
        self.have_looked_after(id).await?;
        let now = OffsetDateTime::now_utc();
        if self.clients.begin_deletion(known, now).await?.is_none() {
            return Ok(None);
        }
        let steps = self.complete(id, watch).await?;
        tracing::info!(client = %id, ?steps, "client deleted");
        Ok(Some(steps))
    }

    /// Makes the steps that a client's state asks for: those of disabling, of enabling, or of its deletion. Nothing is
    /// to be done for a client that there is none of.
    ///
    /// # Errors
    /// When a table, SNS or a queue fails.
    pub async fn complete(
        &self,
        client_id: &ClientId,
        watch: Watch<'_>,
    ) -> Result<Steps, LifecycleError> {
        let mut found = self.clients.get(client_id).await?;
        for _ in 0..ROUNDS {
            let Some(client) = found else {
                return Ok(Steps::Done);
            };
            let steps = if client.deleting_since.is_some() {
                self.remove_all(&client, watch).await?
            } else if client.disabled_at.is_some() {
                self.disable_all(&client).await?
            } else {
                self.enable_all(&client).await?
            };
            if steps == Steps::OutOfTime {
                return Ok(Steps::OutOfTime);
            }
            // Another change may have made its steps before ours.
            found = self.clients.get(client_id).await?;
            if found
                .as_ref()
                .is_some_and(|now| state(now) == state(&client))
            {
                return Ok(Steps::Done);
            }
        }
        Ok(Steps::OutOfTime)
    }

    /// Has the steps completed that a change of a client's state asks for, in a minute: whoever makes it may be cut off.
    async fn have_looked_after(&self, client_id: &ClientId) -> Result<(), LifecycleError> {
        let task = ClientTask::StateChanged {
            client_id: client_id.clone(),
            hops: Hops::default(),
        };
        let message = Message::new(&task)?.after(LOOKED_AFTER_IN);
        Ok(self.tasks.send(message).await?)
    }
}

/// What decides on the steps.
fn state(client: &Client) -> (Option<OffsetDateTime>, Option<OffsetDateTime>) {
    (client.disabled_at, client.deleting_since)
}

/// Makes a step for each thing, several at once, until one fails or says that there is no time left.
async fn for_each<T, F>(things: Vec<T>, step: impl Fn(T) -> F) -> Result<Steps, LifecycleError>
where
    F: Future<Output = Result<Steps, LifecycleError>>,
{
    let mut made = stream::iter(things).map(step).buffer_unordered(AT_ONCE);
    while let Some(steps) = made.next().await {
        if steps? == Steps::OutOfTime {
            return Ok(Steps::OutOfTime);
        }
    }
    Ok(Steps::Done)
}
