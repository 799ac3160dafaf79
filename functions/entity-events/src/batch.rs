//! `POST /entities/events/batch`: publishes up to 100 events of entities at once. One that is refused doesn't hold up the
//! others. Their deliveries are created by the function `fanout`.

use bellwire_api::Caller;
use bellwire_api::batch::{self, Accepted, EventIds};
use bellwire_api::{Failure, envelope};
use bellwire_domain::entity::EntityEvent;
use bellwire_domain::ids::EventId;
use bellwire_domain::object::object;
use bellwire_fanout::RecordedEvent;
use bellwire_store::events::{Event, EventSource};
use futures_util::stream::{self, StreamExt};
use lambda_http::http::{Response, StatusCode};
use lambda_http::{Body, Request};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::EntityEventsFunction;

/// How many events are recorded at once.
const AT_ONCE: usize = 16;

/// An event of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(deserialize_with = "object")]
    event: EntityEvent,
    /// As the header `Idempotency-Key` of a single event.
    #[serde(default)]
    idempotency_key: Option<String>,
}

/// An entry that was checked.
struct Checked {
    event_id: EventId,
    repeatable: bool,
    event: EntityEvent,
}

impl EntityEventsFunction {
    /// Publishes the events of the body. Returns 207, and for each event its id or why it was refused.
    ///
    /// # Errors
    /// As for a single event; 400 when there are no events, or too many.
    pub(crate) async fn publish_batch(
        &self,
        request: &Request,
        publisher: &Caller,
    ) -> Result<Response<Body>, Failure> {
        let entries = batch::events(request)?;
        let mut ids = EventIds::new(publisher.client_id.as_str(), "idempotency_key");
        let checked = entries.iter().enumerate();
        let checked = checked.map(|(index, entry)| check(index, entry, &mut ids));
        let checked: Vec<Result<Checked, Failure>> = checked.collect();
        let now = OffsetDateTime::now_utc();
        let accepted: Vec<Result<Accepted<RecordedEvent<EntityEvent>>, Failure>> =
            stream::iter(checked)
                .map(|checked| async move { self.record(checked?, now).await })
                .buffered(AT_ONCE)
                .collect()
                .await;
        let recorded = accepted.iter().flatten();
        let recorded: Vec<_> = recorded.filter_map(|it| it.recorded.clone()).collect();
        let left = match recorded.is_empty() {
            true => Ok(()),
            false => self.events.leave_entities(&recorded).await,
        };
        if let Err(error) = &left {
            tracing::error!(%error, "a batch was not fanned out");
        }
        let outcomes = batch::outcomes("status_code", accepted, left.is_ok());
        tracing::info!(
            events = outcomes.len(),
            fanned_out = recorded.len(),
            "batch"
        );
        envelope::with(StatusCode::MULTI_STATUS, &json!({ "events": outcomes }))
    }

    /// Records an event.
    async fn record(
        &self,
        checked: Checked,
        accepted_at: OffsetDateTime,
    ) -> Result<Accepted<RecordedEvent<EntityEvent>>, Failure> {
        let Checked {
            event_id,
            repeatable,
            event,
        } = checked;
        let source = EventSource::of_entity(&event.entity_key);
        let event = Event {
            event_id: event_id.clone(),
            accepted_at,
            payload: event,
        };
        let recorded = self.events.record(source, event, repeatable).await?;
        Ok(Accepted { event_id, recorded })
    }
}

/// Checks an entry.
fn check(index: usize, entry: &RawValue, ids: &mut EventIds<'_>) -> Result<Checked, Failure> {
    let entry: Entry = batch::event(index, entry)?;
    let key = entry.idempotency_key.as_deref();
    let event_id = ids.of(index, entry.event.entity_key.as_str(), key)?;
    if key.is_some() {
        ids.take(index, &event_id)?;
    }
    Ok(Checked {
        event_id,
        repeatable: key.is_some(),
        event: entry.event,
    })
}
