//! `POST /entities/events/batch`: publishes up to 100 events of entities at once. One that is refused doesn't hold up the
//! others. Their deliveries are created by the function `fanout`.

use std::collections::HashSet;

use bellwire_api::{Failure, batch, envelope, idempotency_key};
use bellwire_domain::entity::EntityEvent;
use bellwire_domain::ids::{EventId, idempotent_event_id, new_event_id};
use bellwire_fanout::RecordedEvent;
use bellwire_store::Client;
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

/// An entry that was accepted, and what is to be fanned out of it: nothing if it was published before.
struct Accepted {
    event_id: EventId,
    recorded: Option<RecordedEvent<EntityEvent>>,
}

impl EntityEventsFunction {
    /// Publishes the events of the body. Returns 207, and for each event its id or why it was refused.
    ///
    /// # Errors
    /// As for a single event; 400 when there are no events, or too many.
    pub(crate) async fn publish_batch(
        &self,
        request: &Request,
        publisher: &Client,
    ) -> Result<Response<Body>, Failure> {
        let entries = batch::events(request)?;
        let mut keys = HashSet::new();
        let checked = entries.iter().enumerate().map(|(index, entry)| {
            let checked = check(index, entry, publisher.client_id.as_str())?;
            if checked.repeatable && !keys.insert(checked.event_id.clone()) {
                let field = format!("events[{index}].idempotency_key");
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
        let outcomes = accepted.into_iter().map(|accepted| {
            let outcome = accepted.and_then(|accepted| match (&accepted.recorded, &left) {
                // It is on record, and nobody fans it out: its publisher has to repeat it.
                (Some(_), Err(_)) => Err(Failure::internal("the event was not fanned out")),
                _ => Ok(accepted.event_id),
            });
            batch::outcome("status_code", outcome)
        });
        let outcomes: Vec<_> = outcomes.collect();
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
    ) -> Result<Accepted, Failure> {
        let Checked {
            event_id,
            repeatable,
            event,
        } = checked;
        let source = EventSource::from(&event.entity_key);
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
fn check(index: usize, entry: &RawValue, client_id: &str) -> Result<Checked, Failure> {
    let entry: Entry = batch::event(index, entry)?;
    let event_id = match &entry.idempotency_key {
        Some(key) => {
            idempotency_key::check(&format!("events[{index}].idempotency_key"), key)?;
            idempotent_event_id(client_id, entry.event.entity_key.as_str(), key)
        }
        None => new_event_id(),
    };
    Ok(Checked {
        event_id,
        repeatable: entry.idempotency_key.is_some(),
        event: entry.event,
    })
}
