//! Measurements on a deployed stack, over its API.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use bellwire_domain::ids::random_id;

use crate::published::{self, Latency, Scenario};
use crate::sink::Sink;

/// The API of a stack, with the key of a publisher.
pub struct LocalStack {
    http: Client<HttpConnector, Full<Bytes>>,
    url: String,
    key: String,
}

impl LocalStack {
    /// The API at this URL, called with this publisher's key.
    pub fn new(url: String, key: String) -> Self {
        Self {
            http: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            url,
            key,
        }
    }

    /// Measures a scenario, with publications for so many seconds.
    pub async fn measure(&self, scenario: Scenario, seconds: usize) -> Result<Latency> {
        let sink = published::endpoints().await?;
        let topics = self.subscribe(&sink, scenario).await?;
        let publish = async |topic: usize, document: &str| {
            let id = topics.get(topic).context("a topic")?;
            let path = format!("/publishers/http-post/topics/{id}");
            self.ask("POST", &path, document.to_owned()).await?;
            Ok(())
        };
        let latency = published::measure(scenario, seconds, &sink, publish).await?;
        for id in topics {
            let path = format!("/topics/{id}");
            self.ask("DELETE", &path, String::new()).await?;
        }
        Ok(latency)
    }

    /// Creates the topics of a scenario, with their subscriptions. Returns the topics' ids.
    async fn subscribe(&self, sink: &Sink, scenario: Scenario) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for _ in 0..scenario.topics {
            let definition = json!({
                "name": random_id(),
                "publisher": {"type": "http-post", "payload": {"type": "snapshot"}},
            });
            let topic = self.ask("POST", "/topics", definition.to_string()).await?;
            let id = topic.get("id").and_then(Value::as_str);
            ids.push(id.context("a topic has no id")?.to_owned());
        }
        for (url, topic) in scenario.urls(sink) {
            let id = ids.get(topic).context("a topic")?;
            let path = format!("/subscribers/webhook/topics/{id}/subscriptions");
            let subscription = json!({"webhookUrl": url, "subscriptionMode": "snapshot-only"});
            self.ask("POST", &path, subscription.to_string()).await?;
        }
        Ok(ids)
    }

    async fn ask(&self, method: &str, path: &str, body: String) -> Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("x-api-key", &self.key)
            .header("content-type", "application/json")
            .body(Full::from(body))?;
        let (head, body) = self.http.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let shown = String::from_utf8_lossy(&body);
        ensure!(
            head.status.is_success(),
            "{method} {path}: {} {shown}",
            head.status
        );
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }
}
