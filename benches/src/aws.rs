//! Stand-ins for AWS on loopback: an embedded DynamoDB, and an SQS and an SNS that take
//! everything. They count calls and bytes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::http_server;

/// The stand-ins.
#[derive(Clone)]
pub struct Aws {
    shared: Arc<Shared>,
    /// Where they listen.
    pub address: SocketAddr,
}

struct Shared {
    dynamodb: SocketAddr,
    database: dynoxide::Database,
    client: Client<HttpConnector, Full<Bytes>>,
    counts: Mutex<Counts>,
}

/// Calls and bytes (of requests and answers together), by service and operation.
pub type Counts = BTreeMap<String, Count>;

/// How much was asked of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How often.
    pub calls: u64,
    /// With how many bytes.
    pub bytes: u64,
}

impl Aws {
    /// Starts the stand-ins.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let dynamodb = listener.local_addr()?;
        let database = dynoxide::Database::memory()?;
        tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
        let shared = Arc::new(Shared {
            dynamodb,
            database,
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            counts: Mutex::default(),
        });
        let handler = Arc::clone(&shared);
        let never = Arc::new(Notify::new());
        let address = http_server::serve("127.0.0.1:0", never, move |request| {
            let shared = Arc::clone(&handler);
            async move { shared.handle(request).await }
        })
        .await?;
        Ok(Self { shared, address })
    }

    /// What was asked since the last time that this was.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.shared.counts())
    }
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, operation: &str, bytes: usize) {
        let mut counts = self.counts();
        let count = counts.entry(operation.to_owned()).or_default();
        count.calls += 1;
        count.bytes += bytes as u64;
    }

    async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|it| it.to_bytes());
        let body = body.unwrap_or_default();
        let target = parts.headers.get("x-amz-target");
        let target = target.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let sent = body.len();
        if target.starts_with("DynamoDB") {
            if let Some(answer) = self.directly(&operation, &body) {
                self.count(&format!("DynamoDB {operation}"), sent + answer.len());
                return Response::new(Full::from(answer));
            }
            let (answer, received) = self.dynamodb(parts, body).await;
            self.count(&format!("DynamoDB {operation}"), sent + received);
            return answer;
        }
        if target.starts_with("AmazonSQS") {
            let answer = sqs(&operation, &body).to_string();
            self.count(&format!("SQS {operation}"), sent + answer.len());
            return Response::new(Full::from(answer));
        }
        let action = form_urlencoded::parse(&body).find(|(name, _)| name == "Action");
        let action = action.map_or_else(|| parts.method.to_string(), |(_, it)| it.into_owned());
        let answer = sns(&action);
        self.count(&format!("SNS {action}"), sent + answer.len());
        Response::new(Full::from(answer))
    }

    /// What `deliver` asks most, without a way over another server; `None` for the rest, and
    /// for errors.
    fn directly(&self, operation: &str, body: &[u8]) -> Option<Vec<u8>> {
        tokio::task::block_in_place(|| match operation {
            "BatchGetItem" => {
                let request = serde_json::from_slice(body).ok()?;
                serde_json::to_vec(&self.database.batch_get_item(request).ok()?).ok()
            }
            "BatchWriteItem" => {
                let request = serde_json::from_slice(body).ok()?;
                serde_json::to_vec(&self.database.batch_write_item(request).ok()?).ok()
            }
            _ => None,
        })
    }

    async fn dynamodb(
        &self,
        mut parts: http::request::Parts,
        body: Bytes,
    ) -> (Response<Full<Bytes>>, usize) {
        if let Ok(uri) = format!("http://{}/", self.dynamodb).parse() {
            parts.uri = uri;
        }
        parts.headers.remove("host");
        let request = Request::from_parts(parts, Full::new(body));
        let Ok(answer) = self.client.request(request).await else {
            let mut failed = Response::new(Full::default());
            *failed.status_mut() = StatusCode::BAD_GATEWAY;
            return (failed, 0);
        };
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map(|it| it.to_bytes());
        let body = body.unwrap_or_default();
        let length = body.len();
        (Response::from_parts(head, Full::new(body)), length)
    }
}

/// What SQS answers.
fn sqs(operation: &str, body: &[u8]) -> Value {
    if operation != "SendMessageBatch" {
        return json!({"MessageId": "m", "MD5OfMessageBody": "0"});
    }
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let none = Vec::new();
    let entries = request.get("Entries").and_then(Value::as_array);
    let done: Vec<Value> = entries
        .unwrap_or(&none)
        .iter()
        .map(|it| json!({"Id": it.get("Id"), "MessageId": "m", "MD5OfMessageBody": "0"}))
        .collect();
    json!({ "Successful": done })
}

/// What SNS answers, in the little that subscribing asks of it.
fn sns(action: &str) -> String {
    let arn = "arn:aws:sns:us-east-1:000000000000:bench-cl_aaaaaaaaaaaaaaaaaaaaaaaa";
    let result = match action {
        "CreateTopic" => format!("<TopicArn>{arn}</TopicArn>"),
        "Subscribe" => format!("<SubscriptionArn>{arn}:1</SubscriptionArn>"),
        "ListSubscriptionsByTopic" => "<Subscriptions/>".to_owned(),
        "GetSubscriptionAttributes" => {
            "<Attributes><entry><key>PendingConfirmation</key><value>true</value></entry></Attributes>"
                .to_owned()
        }
        _ => String::new(),
    };
    format!(
        "<{action}Response xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
         <{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )
}
