//! `/topics`: topics (protocol B). Every API key may read them; only a publisher's may change them.
//!
//! - `POST /topics` creates a topic: `create`.
//! - `PUT` and `PATCH /topics/{topicId}` change one: `change`.
//! - `DELETE /topics/{topicId}` deletes one: `delete`.
//! - `GET /topics` lists them, `GET /topics/{topicId}` returns one: this file.
//!
//! `routes` recognises the calls, and `replacement` is the body of a `PUT` and what a `PATCH` comes to.

mod change;
mod create;
mod delete;
mod failures;
mod replacement;
mod routes;

use bellwire_api::idempotency::Idempotency;
use bellwire_api::{
    Authenticator, Failure, MergePatch, body, called_path, etag, list, no_content, ok, route,
    topic_reference,
};
use bellwire_app::{App, BadSetting, Setting};
use bellwire_domain::topic::Topic;
use bellwire_queues::Queue;
use bellwire_store::Topics;
use bellwire_store::topics::{Found, StoredTopic};
use lambda_http::http::Response;
use lambda_http::{Body, Request};

use crate::failures::no_such_topic;
use crate::replacement::Replacement;
pub use crate::routes::Route;

/// The fields that the list can be sorted by.
const SORTED_BY: &[&str] = &[
    "name",
    "createTimestamp",
    "modifyTimestamp",
    "publisher.type",
    "publisher.payload.type",
];

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct TopicsFunction {
    authenticator: Authenticator,
    topics: Topics,
    publications: Queue,
    idempotency: Idempotency,
}

impl TopicsFunction {
    /// Takes the function's tables and queue from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            authenticator: app.authenticator()?,
            topics: app.topics()?,
            idempotency: app.idempotency()?,
            publications: app.queue(Setting::PublicationsQueueUrl)?,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for a body or parameter that is refused; 401; 403 when the client is not a publisher and the
    /// call is not a `GET`; 404; 409 for a conflict with another topic or request; 412 when the topic has another
    /// revision than the request wants; 413; 415; 500 when a table or the queue fails.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let route = route(&request, Route::of)?;
        let client = match route {
            Route::List | Route::Show => self.authenticator.client(&request).await?,
            Route::Create | Route::Replace | Route::Patch | Route::Delete => {
                self.authenticator.publisher(&request).await?
            }
        };
        match route {
            Route::List => list::page(&request, self.topics.list().await?, SORTED_BY),
            Route::Create => {
                let definition = body::json(&request)?;
                let text = String::from_utf8_lossy(request.body().as_ref());
                let client_id = client.client_id.as_str();
                let repeatable = self.idempotency.of(&request, client_id, &text)?;
                let path = called_path(&request);
                create::create(&self.topics, definition, path, &repeatable).await
            }
            Route::Show => {
                let known = self.existing(&request).await?;
                shown(&known.topic, known.revision())
            }
            Route::Replace => {
                let replacement = body::json(&request)?;
                let known = self.existing(&request).await?;
                self.change(&request, known, replacement).await
            }
            Route::Patch => {
                let patch = MergePatch::of(&request)?;
                let known = self.existing(&request).await?;
                let view = serde_json::to_value(&known.topic).map_err(Failure::internal)?;
                let replacement = patch.apply(view)?;
                self.change(&request, known, replacement).await
            }
            Route::Delete => {
                let reference = topic_reference(&request)?;
                delete::delete(&self.topics, &self.publications, &reference, &request).await?;
                no_content()
            }
        }
    }

    /// Replaces the definition of the topic that was read as `known`, if it has a revision that the request wants.
    async fn change(
        &self,
        request: &Request,
        known: StoredTopic,
        replacement: Replacement,
    ) -> Result<Response<Body>, Failure> {
        etag::must_match(request, known.revision())?;
        let (changed, revision) = change::change(&self.topics, known, replacement).await?;
        shown(&changed, revision)
    }

    /// The topic that the path names; 404 if there is none, or it was deleted. Log lines have its id from then on.
    async fn existing(&self, request: &Request) -> Result<StoredTopic, Failure> {
        match self.topics.find(&topic_reference(request)?).await? {
            Found::Live(stored) => {
                tracing::Span::current().record("topic", stored.topic.id.as_str());
                Ok(stored)
            }
            Found::Deleted { .. } | Found::Unknown => Err(no_such_topic()),
        }
    }
}

/// 200, with a topic and its revision as the entity tag.
fn shown(topic: &Topic, revision: u64) -> Result<Response<Body>, Failure> {
    Ok(etag::with(ok(topic)?, revision))
}
