//! A publisher, and its requests about topics.
#![allow(dead_code, reason = "each test file uses some of it")]

use bellwire_doubles::{Aws, request};
use lambda_http::Request;
use lambda_http::http::header::{ETAG, LOCATION};
use lambda_http::http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use topics::TopicsFunction;

/// An account with a publisher whose key is `key`.
pub async fn account() -> Aws {
    let aws = Aws::with_tables(&["ClientsTable", "TopicsTable", "AnswersTable"]).await;
    aws.add_client("key", true).await;
    aws
}

/// The definition of a topic with this name.
pub fn definition(name: &str) -> Value {
    json!({"name": name, "publisher": {"type": "http-post", "config": {}, "payload": {"type": "snapshot"}}})
}

/// What was answered.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    pub location: Option<String>,
    pub tag: Option<String>,
    pub body: Value,
}

impl Answer {
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }
}

/// A request for all topics, or for the one that the path names so.
pub fn of(method: &str, topic: Option<&str>, body: &Value) -> Request {
    match topic {
        None => request(method, "/topics", "/topics", Some("key"), body),
        Some(topic) => {
            let path = format!("/topics/{topic}");
            request(method, "/topics/{topicId}", &path, Some("key"), body)
        }
    }
}

/// The request with another header.
pub fn with(mut request: Request, name: &'static str, value: &str) -> Request {
    let (name, value) = (HeaderName::from_static(name), HeaderValue::from_str(value));
    request.headers_mut().insert(name, value.unwrap());
    request
}

pub fn function(aws: &Aws) -> TopicsFunction {
    TopicsFunction::new(&aws.app("Topics", &[])).unwrap()
}

/// Sends a request. The body of a failure is its text.
pub async fn send(aws: &Aws, request: Request) -> Answer {
    match function(aws).handle(request).await {
        Ok(response) => {
            let header = |name| {
                let value: &HeaderValue = response.headers().get(name)?;
                Some(value.to_str().unwrap().to_owned())
            };
            Answer {
                status: response.status(),
                location: header(LOCATION),
                tag: header(ETAG),
                body: serde_json::from_slice(response.body().as_ref()).unwrap_or_default(),
            }
        }
        Err(failure) => Answer {
            status: failure.status(),
            location: None,
            tag: None,
            body: json!(format!("{failure:?}")),
        },
    }
}

/// Creates a topic with this definition.
pub async fn create(aws: &Aws, definition: &Value) -> Answer {
    let created = send(aws, of("POST", None, definition)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    created
}
