//! `POST …/topics/{topicId}/batch`: publishes up to 100 events of a topic at once. One that is refused doesn't hold up the
//! others.

use bellwire_api::Caller;
use bellwire_api::batch::{self, Accepted, EventIds};
use bellwire_api::{Failure, multi_status};
use bellwire_domain::ids::{EventId, TopicId, random_id};
use bellwire_domain::topic::TopicReference;
use bellwire_domain::topic::json_text::JsonText;
use bellwire_domain::topic::modes::PayloadType;
use bellwire_fanout::RecordedEvent;
use bellwire_objects::payloads::Kept;
use bellwire_store::events::Event;
use bellwire_store::topics::StoredTopic;
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
    payload: Box<RawValue>,
}

impl PublishFunction {
    /// Publishes the events of the body. Returns 207, and for each event its id or why it was refused.
    ///
    /// # Errors
    /// As for a single event; 409 when the topic is one of a document; 400 when there are no events, or too many.
    pub(crate) async fn publish_batch(
        &self,
        request: &Request,
        publisher: &Caller,
        reference: &TopicReference,
    ) -> Result<Response<Body>, Failure> {
        let entries = batch::events(request)?;
        let (topic, segments) = self.live(publisher, reference).await?;
        let topic_id = &topic.topic.id;
        if topic.topic.publisher.payload.kind != PayloadType::Event {
            let problem = "documents have an order, and are published one by one";
            return Err(Failure::conflict(problem));
        }
        self.must_accept(&topic, &segments).await?;
        let mut ids = EventIds::new(publisher.client_id.as_str(), "idempotencyKey");
        let checked = entries.iter().enumerate();
        let checked = checked.map(|(index, entry)| check(index, entry, topic_id, &mut ids));
        let checked: Vec<Result<Checked, Failure>> = checked.collect();
        let now = OffsetDateTime::now_utc();
        let accepted: Vec<Result<Accepted<RecordedEvent>, Failure>> = stream::iter(checked)
            .map(|checked| async { self.accept(checked?, &topic, now).await })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let recorded = accepted.iter().flatten();
        let recorded: Vec<RecordedEvent> = recorded.filter_map(|it| it.recorded.clone()).collect();
        let fanned_out = match recorded.is_empty() {
            true => Ok(()),
            false => self.fan_out(&topic.topic, &segments, &recorded).await,
        };
        if let Err(failure) = &fanned_out {
            failure.log();
        }
        let outcomes = batch::outcomes("status", accepted, fanned_out.is_ok());
        tracing::info!(
            events = outcomes.len(),
            fanned_out = recorded.len(),
            "batch"
        );
        multi_status(&json!({ "events": outcomes }))
    }

    /// Stores an event's payload, and records the event.
    async fn accept(
        &self,
        checked: Checked,
        topic: &StoredTopic,
        accepted_at: OffsetDateTime,
    ) -> Result<Accepted<RecordedEvent>, Failure> {
        let Checked {
            event_id,
            repeatable,
            payload,
        } = checked;
        let (id, text) = (random_id(), payload.get().as_bytes());
        let payload = self.payloads.keep(&id, text, Kept::LikeEvents).await?;
        let event = Event {
            event_id: event_id.clone(),
            accepted_at,
            payload,
        };
        let recorded = self.record(topic, event, repeatable).await?;
        Ok(Accepted { event_id, recorded })
    }
}

/// Checks an entry.
fn check(
    index: usize,
    entry: &RawValue,
    topic_id: &TopicId,
    ids: &mut EventIds<'_>,
) -> Result<Checked, Failure> {
    let entry: Entry = batch::event(index, entry)?;
    let key = entry.idempotency_key.as_deref();
    let event_id = ids.of(index, topic_id.as_str(), key)?;
    JsonText::check(entry.payload.get().as_bytes())
        .map_err(|bad| Failure::field(format!("events[{index}].payload"), bad))?;
    if key.is_some() {
        ids.take(index, &event_id)?;
    }
    Ok(Checked {
        event_id,
        repeatable: key.is_some(),
        payload: entry.payload,
    })
}
