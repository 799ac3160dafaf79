//! `POST /entities/events`: accepts an event of an entity (protocol C).
//!
//! Before the response, the event is on record, and its deliveries are created, or left to the function `fanout`, to
//! which EventBridge's events go as well; those of several events at once (`batch`) always are. This file handles the calls,
//! `routes` recognises them.

mod batch;
mod routes;

use bellwire_api::{Authenticator, Caller, Failure, body, envelope, idempotency_key, route};
use bellwire_app::{App, BadSetting};
use bellwire_domain::entity::EntityEvent;
use bellwire_domain::ids::{idempotent_event_id, new_event_id};
use bellwire_fanout::EventPublisher;
use bellwire_store::events::{Event, EventSource};
use lambda_http::http::{Response, StatusCode};
use lambda_http::{Body, Request};
use serde_json::json;
use time::OffsetDateTime;

pub use crate::routes::Route;

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct EntityEventsFunction {
    authenticator: Authenticator,
    events: EventPublisher,
}

impl EntityEventsFunction {
    /// Takes the function's table and queue from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            authenticator: app.authenticator()?,
            events: app.event_publisher()?,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for a body or an `Idempotency-Key` that is refused; 401; 403 when the client is not a
    /// publisher; 413; 500 when a table or a queue fails.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let route = route(&request, Route::of)?;
        let publisher = self.authenticator.publisher(&request).await?;
        match route {
            Route::Publish => self.publish(&request, &publisher).await,
            Route::PublishBatch => self.publish_batch(&request, &publisher).await,
        }
    }

    /// Publishes the event of the body.
    async fn publish(
        &self,
        request: &Request,
        publisher: &Caller,
    ) -> Result<Response<Body>, Failure> {
        let key = idempotency_key::of(request)?;
        let event: EntityEvent = body::json(request)?;
        let event_id = match key {
            Some(key) => {
                idempotent_event_id(publisher.client_id.as_str(), event.entity_key.as_str(), key)
            }
            None => new_event_id(),
        };
        let source = EventSource::of_entity(&event.entity_key);
        let event = Event {
            event_id: event_id.clone(),
            accepted_at: OffsetDateTime::now_utc(),
            payload: event,
        };
        match self.events.record(source, event, key.is_some()).await? {
            None => tracing::info!("event has been published before"),
            Some(recorded) => {
                if let Err(error) = self.events.fan_out_entity(&recorded).await {
                    tracing::warn!(%error, "the fan-out is left to another function");
                    self.events.leave_entities(&[recorded]).await?;
                }
            }
        }
        tracing::Span::current().record("event", event_id.as_str());
        let data = json!({ "event": { "id": event_id } });
        envelope::with(StatusCode::ACCEPTED, &data)
    }
}
