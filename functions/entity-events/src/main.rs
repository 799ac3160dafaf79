//! `POST /entities/events`: takes an event of an entity.
//!
//! It is in the queue `FanOuts` before the answer. The same event may come from
//! EventBridge, which puts it into the same queue. All else is done from there, by `fanout`.

use bellwire_edge::{Authenticator, Failure, body, envelope, idempotency_key};
use bellwire_queues::{FanOut, Message, Queue};
use bellwire_rules::entity::EntityEvent;
use bellwire_rules::ids::{idempotent_event_id, random_id};
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::env::required;
use bellwire_runtime::logs;
use bellwire_store::Clients;
use lambda_http::http::{Response, StatusCode};
use lambda_http::{Body, Error, Request};
use serde_json::json;
use time::OffsetDateTime;

/// What the function keeps between requests.
struct EntityEventsFunction {
    authenticator: Authenticator,
    fan_outs: Queue,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &EntityEventsFunction::from_env()?;
    envelope::serve(|request| function.handle(request)).await
}

impl EntityEventsFunction {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let sqs = Lazy::new(&config, aws_sdk_sqs::Client::new);
        Ok(Self {
            authenticator: Authenticator::new(Clients::new(db, required("CLIENTS_TABLE")?)),
            fan_outs: Queue::new(sqs, required("FAN_OUTS_QUEUE_URL")?),
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let publisher = self.authenticator.publisher(&request).await?;
        let key = idempotency_key::of(&request)?;
        let event: EntityEvent = body::json(&request)?;
        let event_id = match key {
            Some(key) => {
                idempotent_event_id(publisher.client_id.as_str(), event.entity_key.as_str(), key)
            }
            None => random_id(),
        };
        let fan_out = FanOut::Entity {
            event_id: event_id.clone(),
            accepted_at: OffsetDateTime::now_utc(),
            event,
        };
        self.fan_outs.send(Message::new(&fan_out)?).await?;
        tracing::info!(event = event_id, "accepted");
        let data = json!({ "event": { "id": event_id } });
        envelope::with(StatusCode::ACCEPTED, &data)
    }
}
