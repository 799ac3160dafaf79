//! `POST /publishers/http-post/topics/{topicId}`: accepts a publication to a topic (protocol B).
//!
//! Before the response, a document is in the queue `Publications.fifo`, behind what was accepted for the same topic
//! before; the function `commit` does the rest. An event is on record before the response, and its deliveries are
//! created, or left to the function `fanout`: `event`, and `batch` for several at once. This file handles the calls, `routes`
//! recognises them.

mod batch;
mod event;
mod routes;

use bellwire_api::{
    Authenticator, Caller, Failure, TopicPermissions, accepted, body, idempotency_key, route,
    topic_reference,
};
use bellwire_app::{App, BadSetting, Setting};
use bellwire_domain::ids::{AudienceId, EventId, idempotent_event_id, new_event_id, random_id};
use bellwire_domain::topic::TopicReference;
use bellwire_domain::topic::modes::PayloadType;
use bellwire_fanout::{AccessJudge, EventPublisher, Restricted};
use bellwire_objects::Payloads;
use bellwire_objects::payloads::Kept;
use bellwire_queues::{Message, Publication, Queue, Work};
use bellwire_store::Topics;
use bellwire_store::events::Event;
use bellwire_store::members::Segments;
use bellwire_store::topics::{Found, StoredTopic};
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Serialize;
use time::OffsetDateTime;

pub use crate::routes::Route;

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct PublishFunction {
    authenticator: Authenticator,
    topics: Topics,
    permissions: TopicPermissions,
    access: AccessJudge,
    payloads: Payloads,
    documents: Queue,
    events: EventPublisher,
}

/// The body of the response: the id of the publication, and of the event if it is one.
#[derive(Serialize)]
struct Accepted {
    id: EventId,
}

impl PublishFunction {
    /// Takes the function's tables, bucket and queue from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            authenticator: app.authenticator()?,
            topics: app.topics()?,
            permissions: app.topic_permissions()?,
            access: app.access_judge()?,
            payloads: app.payloads()?,
            documents: app.queue(Setting::PublicationsQueueUrl)?,
            events: app.event_publisher()?,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// As for a single publication; for a batch, 409 when the topic is one of a document, and 400 when it has no events, or too
    /// many.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let route = route(&request, Route::of)?;
        let publisher = self.authenticator.publisher(&request).await?;
        let reference = topic_reference(&request)?;
        body::must_be_json(&request)?;
        match route {
            Route::Publish => self.publish(&request, &publisher, &reference).await,
            Route::PublishBatch => self.publish_batch(&request, &publisher, &reference).await,
        }
    }

    /// Publishes the body: a document, or an event.
    ///
    /// # Errors
    /// 400 for a body that is not JSON, or a malformed `Idempotency-Key`; 401; 403 when the client is
    /// not a publisher, or not one of the topic; 404 when there is no such topic; 410 when it was deleted, or accepts nothing without
    /// subscriptions and has none; 413; 415; 500 when a table, the bucket or the queue fails.
    async fn publish(
        &self,
        request: &Request,
        publisher: &Caller,
        reference: &TopicReference,
    ) -> Result<Response<Body>, Failure> {
        let key = idempotency_key::of(request)?;
        let json = body::json_text(request)?;
        let (topic, segments) = self.live(publisher, reference).await?;
        self.must_accept(&topic, &segments).await?;

        let topic_id = topic.topic.id.as_str();
        let event_id = match key {
            Some(key) => idempotent_event_id(publisher.client_id.as_str(), topic_id, key),
            None => new_event_id(),
        };
        let text = json.as_str().as_bytes();
        // Not the event's id, which is the same in a repeated request: that may have another body, and
        // the first one counts.
        let payload_id = random_id();
        let payload = self
            .payloads
            .keep(&payload_id, text, Kept::LikeEvents)
            .await?;
        let accepted_at = OffsetDateTime::now_utc();
        match topic.topic.publisher.payload.kind {
            PayloadType::Snapshot => {
                let publication = Publication {
                    event_id: event_id.clone(),
                    restricted: Restricted::of(&topic.topic).0,
                    topic_id: topic.topic.id,
                    accepted_at,
                    redriven: false,
                    work: Work::Document { payload },
                };
                self.documents
                    .send(Message::publication(&publication)?)
                    .await?;
            }
            PayloadType::Event => {
                let event = Event {
                    event_id: event_id.clone(),
                    accepted_at,
                    payload,
                };
                self.publish_event(&topic, &segments, event, key.is_some())
                    .await?;
            }
        }
        tracing::Span::current().record("event", event_id.as_str());
        accepted(&Accepted { id: event_id })
    }

    /// The topic, if it is not deleted, and the segments of its audience: 410 if it is, 404 if there is none, or the
    /// caller may not see it, 403 if it has other publishers. Log lines have its id from then on.
    async fn live(
        &self,
        caller: &Caller,
        reference: &TopicReference,
    ) -> Result<(StoredTopic, Segments), Failure> {
        let unknown = || Failure::not_found("there is no such topic");
        let id = self.topics.id_of(reference).await?.ok_or_else(unknown)?;
        tracing::Span::current().record("topic", id.as_str());
        let members = self.events.audience().members();
        let (found, segments) = self.topics.get_with_segments(&id, members).await?;
        let topic = match &found {
            Found::Live(stored) => &stored.topic,
            Found::Deleted { topic, .. } => topic,
            Found::Unknown => return Err(unknown()),
        };
        if !self.permissions.may_see(caller, topic).await? {
            return Err(unknown());
        }
        TopicPermissions::must_change(caller, topic)?;
        match found {
            Found::Live(stored) => Ok((stored, segments)),
            Found::Deleted { .. } | Found::Unknown => Err(Failure::gone("the topic was deleted")),
        }
    }

    /// Checks that a topic accepts publications now: 410 if its publisher has said that it is not always on, and
    /// it has no subscription.
    async fn must_accept(&self, topic: &StoredTopic, segments: &Segments) -> Result<(), Failure> {
        let topic = &topic.topic;
        if topic.publisher.always_on != Some(false) {
            return Ok(());
        }
        let members = self.events.audience().members();
        let audience = AudienceId::of_topic(&topic.id);
        if members.any(&audience, segments).await? {
            return Ok(());
        }
        Err(Failure::gone(
            "the topic has no subscriptions, and its publisher.alwaysOn is false",
        ))
    }
}
