//! `Publications.fifo`: commits publications, and the deletions of topics, and creates their deliveries
//! (protocol B).
//!
//! This file handles batches, `publication` commits one message, and `document` commits a version of a
//! topic's document. A topic's messages are received in the order in which they were accepted, and one
//! that fails holds back those behind it. SQS delivers them again; what was done already is recognised.

mod document;
mod publication;
mod recent_documents;

use std::collections::HashMap;

use bellwire_app::{App, BadSetting, Setting};
use bellwire_domain::ids::MessageId;
use bellwire_fanout::{AccessJudge, Audience, EventPublisher};
use bellwire_objects::{ObjectError, Payloads};
use bellwire_queues::{Publication, Received, Source};
use bellwire_store::Events;
use futures_util::future::join_all;
use lambda_runtime::Error;
use tracing::Instrument;

use crate::recent_documents::RecentDocuments;

/// The function, with what it keeps between batches.
#[derive(Debug)]
pub struct CommitFunction {
    events: Events,
    payloads: Payloads,
    audience: Audience,
    access: AccessJudge,
    publisher: EventPublisher,
    recent: RecentDocuments,
    /// The queue that its messages are received from.
    pub source: Source,
}

impl CommitFunction {
    /// Takes the function's tables, bucket and queues from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            events: app.events()?,
            payloads: app.payloads()?,
            audience: app.audience()?,
            access: app.access_judge()?,
            publisher: app.event_publisher()?,
            recent: RecentDocuments::default(),
            source: app.source(
                &[Setting::PublicationsQueueUrl],
                Setting::DeadPublicationsQueueUrl,
            )?,
        })
    }

    /// Commits the publications of a batch: those of one topic in their order, those of different
    /// topics concurrently. Returns the ids of the messages that failed, and of those behind them.
    pub async fn handle(&self, batch: Vec<Received<Publication>>) -> Vec<MessageId> {
        // The messages of a topic have its id as their group.
        let mut topics: HashMap<Option<String>, Vec<Received<Publication>>> = HashMap::new();
        for message in batch {
            let group = message.message.attributes.get("MessageGroupId").cloned();
            topics.entry(group).or_default().push(message);
        }
        let failed = join_all(topics.into_values().map(|messages| self.in_order(messages))).await;
        failed.concat()
    }

    /// Commits the publications of one topic, up to the first that fails. Returns the ids of that message
    /// and of those behind it.
    async fn in_order(&self, messages: Vec<Received<Publication>>) -> Vec<MessageId> {
        let mut messages = messages.into_iter();
        while let Some(message) = messages.next() {
            let publication = message.content.clone();
            let span = tracing::info_span!(
                "publication",
                topic = %publication.topic_id,
                event = %publication.event_id
            );
            let done = match self.commit(publication).instrument(span).await {
                Err(cause) if is_missing(&cause) => {
                    // It can't be read later either, and would hold back the topic's other messages.
                    let reason = "the payload is not kept any more";
                    let moved = self.source.dead_letter(&message.message, reason).await;
                    moved.map_err(Error::from)
                }
                done => done,
            };
            if let Err(cause) = done {
                tracing::error!(%cause, message_id = %message.id(), "publication failed");
                return std::iter::once(message)
                    .chain(messages)
                    .map(|message| message.id())
                    .collect();
            }
        }
        Vec::new()
    }
}

/// Whether a payload is missing in the bucket.
fn is_missing(cause: &Error) -> bool {
    matches!(cause.downcast_ref(), Some(ObjectError::Missing))
}
