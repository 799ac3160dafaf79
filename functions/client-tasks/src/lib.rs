//! `ClientTasks`: work on clients, and on who may see a topic, that takes longer than a request.
//!
//! Each message says what was changed, and not what it was changed to: what is to be done follows from what is on
//! record when it is done, so that an old message undoes no newer change.
//!
//! - A client was disabled, enabled or deleted: `state`.
//! - Its labels were changed, or who may see a topic: `access`.

mod access;
mod state;

use bellwire_app::{App, BadSetting, Setting};
use bellwire_client_lifecycle::ClientLifecycle;
use bellwire_domain::ids::MessageId;
use bellwire_fanout::AccessJudge;
use bellwire_queues::{ClientTask, Queue, Received, Source};
use bellwire_store::{Members, Subscriptions};
use futures_util::future::join_all;
use lambda_runtime::Error;

/// The function, with what it keeps between batches.
#[derive(Debug)]
pub struct ClientTasksFunction {
    lifecycle: ClientLifecycle,
    tasks: Queue,
    dead_letters: Queue,
    members: Members,
    subscriptions: Subscriptions,
    access: AccessJudge,
    /// The queue that its messages are received from.
    pub source: Source,
}

impl ClientTasksFunction {
    /// Takes the function's tables and queues from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            lifecycle: app.client_lifecycle()?,
            tasks: app.queue(Setting::ClientTasksQueueUrl)?,
            dead_letters: app.queue(Setting::DeadClientTasksQueueUrl)?,
            members: app.members()?,
            subscriptions: app.subscriptions()?,
            access: app.access_judge()?,
            source: app.source(
                &[Setting::ClientTasksQueueUrl],
                Setting::DeadClientTasksQueueUrl,
            )?,
        })
    }

    /// Processes the messages of a batch concurrently. Returns the ids of those that failed.
    pub async fn handle(&self, batch: Vec<Received<ClientTask>>) -> Vec<MessageId> {
        let failed = join_all(batch.into_iter().map(|message| self.process(message))).await;
        failed.into_iter().flatten().collect()
    }

    /// Processes a message. Returns its id if that failed.
    async fn process(&self, message: Received<ClientTask>) -> Option<MessageId> {
        let id = message.id();
        let done: Result<(), Error> = match message.content {
            ClientTask::StateChanged { client_id, hops } => {
                self.complete_change(client_id, hops).await
            }
            ClientTask::LabelsChanged { client_id } => self.labels_changed(&client_id).await,
            ClientTask::AccessChanged { topic_id, segment } => {
                self.access_changed(topic_id, segment).await
            }
        };
        let cause = done.err()?;
        tracing::error!(%cause, message_id = %id, "client task failed");
        Some(id)
    }
}
