//! `POST …/topics/{topicId}/batch`: publishes up to 100 events of a topic at once. One that is refused doesn't hold up the
//! others.

use std::collections::HashSet;

use bellwire_api::{Failure, batch, idempotency_key, multi_status};
use bellwire_domain::ids::{EventId, TopicId, idempotent_event_id, new_event_id, random_id};
use bellwire_domain::topic::document::Document;
use bellwire_domain::topic::modes::PayloadType;
use bellwire_fanout::RecordedEvent;
use bellwire_objects::payloads::Kept;
use bellwire_store::Client;
use bellwire_store::events::{Event, EventSource};
use futures_util::stream::{self, StreamExt};
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::PublishFunction;

/// How many events are recorded at once.
const AT_ONCE: usize = 16;

/// An event of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    /// The event, in the text in which it is delivered.
    payload: Box<RawValue>,
    /// As the header `Idempotency-Key` of a single event.
    #[serde(default)]
    idempotency_key: Option<String>,
}

/// An entry that was checked.
struct Checked {
    event_id: EventId,
    repeatable: bool,
    document: Document,
}

/// An entry that was accepted, and what is to be fanned out of it: nothing if it was published before.
struct Accepted {
    event_id: EventId,
    recorded: Option<RecordedEvent>,
}

impl PublishFunction {
    /// Publishes the events of the body. Returns 207, and for each event its id or why it was refused.
    ///
    /// # Errors
    /// As for a single event; 409 when the topic is one of a document; 400 when there are no events, or too many.
    pub(crate) async fn publish_batch(
        &self,
        request: &Request,
        publisher: &Client,
        topic_id: &TopicId,
    ) -> Result<Response<Body>, Failure> {
        let entries = batch::events(request)?;
        let (topic, segments) = self.live(topic_id).await?;
        if topic.publisher.payload.kind != PayloadType::Event {
            let problem = "documents have an order, and are published one by one";
            return Err(Failure::conflict(problem));
        }
        let client_id = publisher.client_id.as_str();
        let mut keys = HashSet::new();
        let checked = entries.iter().enumerate().map(|(index, entry)| {
            let checked = check(index, entry, client_id, topic_id)?;
            if checked.repeatable && !keys.insert(checked.event_id.clone()) {
                let field = format!("events[{index}].idempotencyKey");
                return Err(Failure::field(
                    field,
                    "is that of another event of the batch",
                ));
            }
            Ok(checked)
        });
        let checked: Vec<Result<Checked, Failure>> = checked.collect();
        let now = OffsetDateTime::now_utc();
        let accepted: Vec<Result<Accepted, Failure>> = stream::iter(checked)
            .map(|checked| async move { self.record(checked?, topic_id, now).await })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let recorded = accepted.iter().flatten();
        let recorded: Vec<RecordedEvent> = recorded.filter_map(|it| it.recorded.clone()).collect();
        let fanned_out = match recorded.is_empty() {
            true => Ok(()),
            false => self.fan_out(&topic.id, &segments, &recorded).await,
        };
        if let Err(failure) = &fanned_out {
            failure.log();
        }
        let outcomes = accepted.into_iter().map(|accepted| {
            let outcome = accepted.and_then(|accepted| match (&accepted.recorded, &fanned_out) {
                // It is on record, and nobody fans it out: its publisher has to repeat it.
                (Some(_), Err(_)) => Err(Failure::internal("the event was not fanned out")),
                _ => Ok(accepted.event_id),
            });
            batch::outcome("status", outcome)
        });
        let outcomes: Vec<_> = outcomes.collect();
        tracing::info!(
            events = outcomes.len(),
            fanned_out = recorded.len(),
            "batch"
        );
        multi_status(&json!({ "events": outcomes }))
    }

    /// Stores an event's payload, and records the event.
    async fn record(
        &self,
        checked: Checked,
        topic_id: &TopicId,
        accepted_at: OffsetDateTime,
    ) -> Result<Accepted, Failure> {
        let Checked {
            event_id,
            repeatable,
            document,
        } = checked;
        let (id, text) = (random_id(), document.text().as_bytes());
        let payload = self.payloads.keep(&id, text, Kept::LikeEvents).await?;
        let event = Event {
            event_id: event_id.clone(),
            accepted_at,
            payload,
        };
        let source = EventSource::from(topic_id);
        let recorded = self.events.record(source, event, repeatable).await?;
        Ok(Accepted { event_id, recorded })
    }
}

/// Checks an entry.
fn check(
    index: usize,
    entry: &RawValue,
    client_id: &str,
    topic_id: &TopicId,
) -> Result<Checked, Failure> {
    let entry: Entry = batch::event(index, entry)?;
    let event_id = match &entry.idempotency_key {
        Some(key) => {
            idempotency_key::check(&format!("events[{index}].idempotencyKey"), key)?;
            idempotent_event_id(client_id, topic_id.as_str(), key)
        }
        None => new_event_id(),
    };
    let document = Document::parse(entry.payload.get().as_bytes());
    let document =
        document.map_err(|bad| Failure::field(format!("events[{index}].payload"), bad))?;
    Ok(Checked {
        event_id,
        repeatable: entry.idempotency_key.is_some(),
        document,
    })
}
