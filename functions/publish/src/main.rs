//! `POST /publishers/http-post/topics/{topicId}`: takes a publication.
//!
//! It is in the queue `Publications.fifo` before the answer, behind what was accepted
//! for the same topic before. All else is done from there, by `commit`.

use bellwire_edge::{Authenticator, Failure, accepted, body, idempotency_key, serve};
use bellwire_payloads::{Kept, Payloads};
use bellwire_queues::{Message, Publication, Queue, Work};
use bellwire_rules::ids::{idempotent_event_id, random_id};
use bellwire_rules::modes::PayloadType;
use bellwire_rules::topic::Topic;
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::env::{days, required};
use bellwire_runtime::logs;
use bellwire_store::topics::Found;
use bellwire_store::{Clients, Topics};
use lambda_http::http::Response;
use lambda_http::{Body, Error, Request, RequestExt};
use serde::Serialize;
use time::OffsetDateTime;

/// What the function keeps between requests.
struct PublishFunction {
    authenticator: Authenticator,
    topics: Topics,
    payloads: Payloads,
    publications: Queue,
}

/// The answer: the id under which subscribers see an event.
#[derive(Serialize)]
struct Accepted {
    id: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &PublishFunction::from_env()?;
    serve(|request| function.handle(request)).await
}

impl PublishFunction {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let sqs = Lazy::new(&config, aws_sdk_sqs::Client::new);
        Ok(Self {
            authenticator: Authenticator::new(Clients::new(db.clone(), required("CLIENTS_TABLE")?)),
            topics: Topics::new(db, required("TOPICS_TABLE")?),
            payloads: Payloads::new(
                &config,
                required("PAYLOADS_BUCKET")?,
                days("EVENTS_KEPT_DAYS")?,
            ),
            publications: Queue::new(sqs, required("PUBLICATIONS_QUEUE_URL")?),
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let publisher = self.authenticator.publisher(&request).await?;
        let parameters = request.path_parameters();
        let topic_id = parameters.first("topicId").unwrap_or_default();
        tracing::Span::current().record("topic", topic_id);
        body::must_be_json(&request)?;
        let key = idempotency_key::of(&request)?;
        let document = body::document(&request)?;
        let topic = self.live(topic_id).await?;

        let event_id = match key {
            Some(key) => idempotent_event_id(publisher.client_id.as_str(), &topic.id, key),
            None => random_id(),
        };
        let text = document.text().as_bytes();
        // Not the event's id, which is the same for a repeated request: that may have another
        // body, and the first one counts.
        let payload_id = random_id();
        let payload = self
            .payloads
            .keep(&payload_id, text, Kept::LikeEvents)
            .await?;
        let work = match topic.publisher.payload.kind {
            PayloadType::Snapshot => Work::Document { payload },
            PayloadType::Event => Work::Event {
                payload,
                repeatable: key.is_some(),
            },
        };
        let publication = Publication {
            event_id,
            topic_id: topic.id,
            accepted_at: OffsetDateTime::now_utc(),
            redriven: false,
            work,
        };
        self.publications
            .send(Message::publication(&publication)?)
            .await?;
        tracing::info!(event = publication.event_id, "accepted");
        accepted(&Accepted {
            id: publication.event_id,
        })
    }

    async fn live(&self, topic_id: &str) -> Result<Topic, Failure> {
        match self.topics.get(topic_id).await? {
            Found::Live(stored) => Ok(stored.topic),
            Found::Deleted { .. } => Err(Failure::gone("the topic was deleted")),
            Found::Unknown => Err(Failure::not_found("there is no such topic")),
        }
    }
}
