//! `POST /entities/events`: accepts an event of an entity (protocol C).
//!
//! Before the response, it is in the queue `FanOuts`, into which EventBridge puts such events as well.
//! The function `fanout` does the rest. This file handles the call, `routes` recognises it.

mod routes;

use bellwire_api::{Authenticator, Failure, body, envelope, idempotency_key, route};
use bellwire_app::{App, BadSetting, Setting};
use bellwire_domain::entity::EntityEvent;
use bellwire_domain::ids::{idempotent_event_id, new_event_id};
use bellwire_queues::{FanOut, Message, Queue};
use lambda_http::http::{Response, StatusCode};
use lambda_http::{Body, Request};
use serde_json::json;
use time::OffsetDateTime;

use crate::routes::Route;

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct EntityEventsFunction {
    authenticator: Authenticator,
    fan_outs: Queue,
}

impl EntityEventsFunction {
    /// Takes the function's table and queue from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            authenticator: app.authenticator()?,
            fan_outs: app.queue(Setting::FanOutsQueueUrl)?,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for a body or an `Idempotency-Key` that is refused; 401; 403 when the client is not a
    /// publisher; 413; 500 when the table or the queue fails.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let Route::Publish = route(&request, Route::of)?;
        let publisher = self.authenticator.publisher(&request).await?;
        let key = idempotency_key::of(&request)?;
        let event: EntityEvent = body::json(&request)?;
        let event_id = match key {
            Some(key) => {
                idempotent_event_id(publisher.client_id.as_str(), event.entity_key.as_str(), key)
            }
            None => new_event_id(),
        };
        let fan_out = FanOut::Entity {
            event_id: event_id.clone(),
            accepted_at: OffsetDateTime::now_utc(),
            event,
        };
        self.fan_outs.send(Message::new(&fan_out)?).await?;
        tracing::info!(event = %event_id, "accepted");
        let data = json!({ "event": { "id": event_id } });
        envelope::with(StatusCode::ACCEPTED, &data)
    }
}
