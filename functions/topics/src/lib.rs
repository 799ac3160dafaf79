//! `/topics`: topics (protocol B). Clients read those that they may see; a topic's publishers, and operators, change it.
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
    Authenticator, Caller, Failure, MergePatch, TopicPermissions, body, called_path, etag, list,
    no_content, ok, route, topic_reference,
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
    permissions: TopicPermissions,
    publications: Queue,
    client_tasks: Queue,
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
            permissions: app.topic_permissions()?,
            publications: app.queue(Setting::PublicationsQueueUrl)?,
            client_tasks: app.queue(Setting::ClientTasksQueueUrl)?,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for a body or parameter that is refused; 401; 403 when the call is not a `GET` and the client is not a
    /// publisher, or not one of the topic; 404; 409 for a conflict with another topic or request; 412 when the topic has another
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
            Route::List => {
                let topics = self.topics.list().await?;
                let topics = self.permissions.visible(&client, topics).await?;
                let views = topics.iter();
                let views = views.map(|topic| TopicPermissions::view(&client, topic));
                list::page(&request, views.collect(), SORTED_BY)
            }
            Route::Create => {
                let definition = body::json(&request)?;
                let text = String::from_utf8_lossy(request.body().as_ref());
                let client_id = client.client_id.as_str();
                let repeatable = self.idempotency.of(&request, client_id, &text)?;
                let path = called_path(&request);
                create::create(&self.topics, &client, definition, path, &repeatable).await
            }
            Route::Show => {
                let known = self.visible(&client, &request).await?;
                shown(&client, &known.topic, known.revision())
            }
            Route::Replace => {
                let replacement = body::json(&request)?;
                let known = self.changeable(&client, &request).await?;
                self.change(&client, &request, known, replacement).await
            }
            Route::Patch => {
                let patch = MergePatch::of(&request)?;
                let known = self.changeable(&client, &request).await?;
                let view = TopicPermissions::view(&client, &known.topic);
                let view = serde_json::to_value(view).map_err(Failure::internal)?;
                let replacement: Replacement = patch.apply(view)?;
                replacement.must_be_complete()?;
                self.change(&client, &request, known, replacement).await
            }
            Route::Delete => {
                let reference = topic_reference(&request)?;
                let permitted = (&self.permissions, &client);
                let (topics, publications) = (&self.topics, &self.publications);
                delete::delete(topics, permitted, publications, &reference, &request).await?;
                no_content()
            }
        }
    }

    /// Replaces the definition of the topic that was read as `known`, if it has a revision that the request wants.
    async fn change(
        &self,
        client: &Caller,
        request: &Request,
        known: StoredTopic,
        replacement: Replacement,
    ) -> Result<Response<Body>, Failure> {
        etag::must_match(request, known.revision())?;
        let (topics, tasks) = (&self.topics, &self.client_tasks);
        let (changed, revision) = change::change(topics, tasks, known, replacement).await?;
        shown(client, &changed, revision)
    }

    /// The topic that the path names; 404 if there is none, it was deleted, or the client may not see it. Log lines have
    /// its id from then on.
    async fn visible(&self, client: &Caller, request: &Request) -> Result<StoredTopic, Failure> {
        let Found::Live(stored) = self.topics.find(&topic_reference(request)?).await? else {
            return Err(no_such_topic());
        };
        tracing::Span::current().record("topic", stored.topic.id.as_str());
        if self.permissions.may_see(client, &stored.topic).await? {
            Ok(stored)
        } else {
            Err(no_such_topic())
        }
    }

    /// As [`Self::visible`]; 403 if the client may not change it.
    async fn changeable(&self, client: &Caller, request: &Request) -> Result<StoredTopic, Failure> {
        let stored = self.visible(client, request).await?;
        TopicPermissions::must_change(client, &stored.topic)?;
        Ok(stored)
    }
}

/// 200, with what the client sees of a topic, and its revision as the entity tag.
fn shown(client: &Caller, topic: &Topic, revision: u64) -> Result<Response<Body>, Failure> {
    let view = TopicPermissions::view(client, topic);
    Ok(etag::with(ok(&view)?, revision))
}
