//! `/topics`: makes, lists, shows, changes and deletes topics.
//!
//! Every key may look; only a publisher's may change.

mod change;
mod create;
mod delete;

use bellwire_edge::idempotency::Idempotency;
use bellwire_edge::{Authenticator, Failure, body, list, no_content, ok, serve};
use bellwire_queues::Queue;
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::env::required;
use bellwire_runtime::logs;
use bellwire_store::topics::{Found, StoredTopic};
use bellwire_store::{Answers, Clients, Topics};
use lambda_http::http::{Method, Response};
use lambda_http::{Body, Error, Request, RequestExt};

/// The fields that the list can be sorted by.
const SORTED_BY: &[&str] = &["name", "createTimestamp", "modifyTimestamp"];

/// What the function keeps between requests.
struct TopicsFunction {
    authenticator: Authenticator,
    topics: Topics,
    publications: Queue,
    idempotency: Idempotency,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &TopicsFunction::from_env()?;
    serve(|request| function.handle(request)).await
}

impl TopicsFunction {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let sqs = Lazy::new(&config, aws_sdk_sqs::Client::new);
        Ok(Self {
            authenticator: Authenticator::new(Clients::new(db.clone(), required("CLIENTS_TABLE")?)),
            topics: Topics::new(db.clone(), required("TOPICS_TABLE")?),
            idempotency: Idempotency::new(Answers::new(db, required("ANSWERS_TABLE")?)),
            publications: Queue::new(sqs, required("PUBLICATIONS_QUEUE_URL")?),
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let client = if request.method() == Method::GET {
            self.authenticator.client(&request).await?
        } else {
            self.authenticator.publisher(&request).await?
        };
        let parameters = request.path_parameters();
        let Some(id) = parameters.first("topicId") else {
            return match *request.method() {
                Method::POST => {
                    let definition = body::json(&request)?;
                    let text = String::from_utf8_lossy(request.body().as_ref());
                    let client_id = client.client_id.as_str();
                    let repeatable = self.idempotency.of(&request, client_id, &text)?;
                    create::create(&self.topics, definition, &repeatable).await
                }
                _ => list::page(&request, self.topics.list().await?, SORTED_BY),
            };
        };
        tracing::Span::current().record("topic", id);
        match *request.method() {
            Method::PUT => {
                let definition = body::json(&request)?;
                let known = self.existing(id).await?;
                ok(&change::change(&self.topics, known, definition).await?)
            }
            Method::DELETE => {
                delete::delete(&self.topics, &self.publications, id).await?;
                no_content()
            }
            _ => ok(&self.existing(id).await?.topic),
        }
    }

    async fn existing(&self, id: &str) -> Result<StoredTopic, Failure> {
        match self.topics.get(id).await? {
            Found::Live(topic) => Ok(topic),
            Found::Deleted { .. } | Found::Unknown => Err(no_such_topic()),
        }
    }
}

/// 404: there is no such topic.
fn no_such_topic() -> Failure {
    Failure::not_found("there is no such topic")
}
