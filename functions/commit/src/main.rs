//! `Publications.fifo`: gives each publication its place in its topic's history, and has
//! the topic's subscriptions told.
//!
//! A topic's publications come in the order in which they were accepted, and one that
//! fails holds back those behind it. SQS brings them again; what was done already is
//! recognised.

mod document;
mod publication;

use std::collections::HashMap;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use bellwire_fanout::Audience;
use bellwire_payloads::{PayloadError, Payloads};
use bellwire_queues::{Publication, Queue, Sources, batch, consume};
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::env::{days, required};
use bellwire_runtime::logs;
use bellwire_store::{Events, Members};
use futures_util::future::join_all;
use lambda_runtime::Error;
use tracing::Instrument;

/// What the function keeps between batches.
struct CommitFunction {
    events: Events,
    payloads: Payloads,
    audience: Audience,
    dead_letters: Queue,
    sources: Sources,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &CommitFunction::from_env()?;
    consume(function.sources.clone(), |event| function.handle(event)).await
}

impl CommitFunction {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let sqs = Lazy::new(&config, aws_sdk_sqs::Client::new);
        let queue = |name| Ok::<_, Error>(Queue::new(sqs.clone(), required(name)?));
        Ok(Self {
            events: Events::new(
                db.clone(),
                required("EVENTS_TABLE")?,
                days("EVENTS_KEPT_DAYS")?,
            ),
            payloads: Payloads::new(
                &config,
                required("PAYLOADS_BUCKET")?,
                days("EVENTS_KEPT_DAYS")?,
            ),
            audience: Audience::new(
                Members::new(db, required("MEMBERS_TABLE")?),
                queue("FAN_OUTS_QUEUE_URL")?,
                queue("DELIVERIES_QUEUE_URL")?,
            ),
            dead_letters: queue("DEAD_PUBLICATIONS_QUEUE_URL")?,
            sources: Sources::new(sqs.clone(), vec![required("PUBLICATIONS_QUEUE_URL")?]),
        })
    }

    async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        // The messages of a topic have its id as their group.
        let mut topics: HashMap<Option<String>, Vec<SqsMessage>> = HashMap::new();
        for message in event.records {
            let group = message.attributes.get("MessageGroupId").cloned();
            topics.entry(group).or_default().push(message);
        }
        let failed = join_all(topics.into_values().map(|messages| self.in_order(messages))).await;
        batch::failures(failed.concat())
    }

    /// Works off the messages of one topic, up to the first that fails. Returns the ids of
    /// that one and those behind it.
    async fn in_order(&self, messages: Vec<SqsMessage>) -> Vec<String> {
        let mut messages = messages.into_iter();
        while let Some(message) = messages.next() {
            let done = match batch::read::<Publication>(&message) {
                Ok(publication) => {
                    let span = tracing::info_span!(
                        "publication",
                        topic = publication.topic_id,
                        event = publication.event_id
                    );
                    match self.commit(publication).instrument(span).await {
                        Err(cause) if is_missing(&cause) => {
                            // It won't come back, and holds up the topic's others.
                            self.dead_letter(&message, "the payload is not kept any more")
                                .await
                        }
                        done => done,
                    }
                }
                Err(reason) => self.dead_letter(&message, &reason).await,
            };
            if let Err(cause) = done {
                tracing::error!(%cause, message_id = message.message_id, "publication failed");
                return std::iter::once(message)
                    .chain(messages)
                    .map(|message| batch::id(&message))
                    .collect();
            }
        }
        Vec::new()
    }

    /// Puts a message that is no publication into the dead-letter queue.
    async fn dead_letter(&self, message: &SqsMessage, reason: &str) -> Result<(), Error> {
        tracing::error!(reason, message_id = message.message_id, "dead letter");
        let attribute = |name: &str| message.attributes.get(name).cloned();
        self.dead_letters
            .dead_letter(
                message.body.as_deref().unwrap_or_default(),
                reason,
                attribute("MessageGroupId"),
                attribute("MessageDeduplicationId"),
            )
            .await?;
        Ok(())
    }
}

fn is_missing(cause: &Error) -> bool {
    matches!(cause.downcast_ref(), Some(PayloadError::Missing))
}
