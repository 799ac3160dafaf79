//! `/topics`: topics (protocol B). Every API key may read them; only a publisher's may change them.
//!
//! - `POST /topics` creates a topic: `create`.
//! - `PUT /topics/{topicId}` changes one: `change`.
//! - `DELETE /topics/{topicId}` deletes one: `delete`.
//! - `GET /topics` lists them, `GET /topics/{topicId}` returns one: this file.
//!
//! `routes` recognises the calls.

mod change;
mod create;
mod delete;
mod failures;
mod routes;

use bellwire_api::idempotency::Idempotency;
use bellwire_api::{Authenticator, Failure, body, list, no_content, ok, path_parameter, route};
use bellwire_app::{App, BadSetting, Setting};
use bellwire_domain::ids::TopicId;
use bellwire_queues::Queue;
use bellwire_store::Topics;
use bellwire_store::topics::{Found, StoredTopic};
use lambda_http::http::Response;
use lambda_http::{Body, Request};

use crate::failures::no_such_topic;
pub use crate::routes::Route;

/// The fields that the list can be sorted by.
const SORTED_BY: &[&str] = &["name", "createTimestamp", "modifyTimestamp"];

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
    /// call is not a `GET`; 404; 409 for a conflict with another topic or request; 413; 500 when a
    /// table or the queue fails.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let route = route(&request, Route::of)?;
        let client = match route {
            Route::List | Route::Show => self.authenticator.client(&request).await?,
            Route::Create | Route::Update | Route::Delete => {
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
                create::create(&self.topics, definition, &repeatable).await
            }
            Route::Show => ok(&self.existing(&topic_id(&request)?).await?.topic),
            Route::Update => {
                let id = topic_id(&request)?;
                let definition = body::json(&request)?;
                let known = self.existing(&id).await?;
                ok(&change::change(&self.topics, known, definition).await?)
            }
            Route::Delete => {
                delete::delete(&self.topics, &self.publications, &topic_id(&request)?).await?;
                no_content()
            }
        }
    }

    /// The topic with this id; 404 if there is none, or it was deleted.
    async fn existing(&self, id: &TopicId) -> Result<StoredTopic, Failure> {
        match self.topics.get(id).await? {
            Found::Live(topic) => Ok(topic),
            Found::Deleted { .. } | Found::Unknown => Err(no_such_topic()),
        }
    }
}

/// The id of the topic, from the path. Log lines have it from then on.
fn topic_id(request: &Request) -> Result<TopicId, Failure> {
    let id = TopicId::new(path_parameter(request, "topicId")?);
    tracing::Span::current().record("topic", id.as_str());
    Ok(id)
}
