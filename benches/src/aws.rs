//! Stand-ins for AWS on loopback: an embedded DynamoDB, an S3 and an SNS that accept everything,
//! and SQS with the queues that have a reader. They count calls, bytes, and what AWS charges for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use dynoxide::Database;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::http_server;
use crate::queues::Queues;
use crate::tables;

/// The stand-ins, all at one address.
#[derive(Clone)]
pub struct Aws {
    shared: Arc<Shared>,
    /// The address that they listen on.
    pub address: SocketAddr,
}

struct Shared {
    dynamodb: SocketAddr,
    database: Database,
    _files: TempDir,
    client: Client<HttpConnector, Full<Bytes>>,
    queues: Queues,
    counts: Mutex<Counts>,
}

/// How much each operation was used, by service and operation: `SQS SendMessage`.
pub type Counts = BTreeMap<String, Count>;

/// How much an operation was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Count {
    /// The number of calls.
    pub calls: u64,
    /// The bytes of requests and answers together.
    pub bytes: u64,
    /// What AWS charges for: request units of DynamoDB, requests of SQS (one for each 64 KiB),
    /// and otherwise calls.
    pub billed: f64,
}

impl Aws {
    /// Starts the stand-ins, at a port that is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let dynamodb = listener.local_addr()?;
        // With all of it in SQLite's own memory, each commit takes longer the more data there is.
        let files = tempfile::tempdir_in("/dev/shm")?;
        let path = files.path().join("tables");
        let database = Database::new(path.to_str().context("a path that is no text")?)?;
        tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
        let shared = Arc::new(Shared {
            dynamodb,
            database,
            _files: files,
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            queues: Queues::default(),
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

    /// The counts since the last call of this.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.shared.counts())
    }

    /// The queues of the stand-in for SQS.
    pub fn queues(&self) -> &Queues {
        &self.shared.queues
    }

    /// Counts what Lambda calls of SQS for a function: receiving a batch of messages of so many
    /// bytes in all, and deleting it.
    pub fn count_batch(&self, bytes: usize) {
        self.shared
            .count("SQS ReceiveMessage", bytes, chunks(bytes));
        self.shared.count("SQS DeleteMessageBatch", 0, 1.0);
    }
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, operation: &str, bytes: usize, billed: f64) {
        let mut counts = self.counts();
        let count = counts.entry(operation.to_owned()).or_default();
        count.calls += 1;
        count.bytes += bytes as u64;
        count.billed += billed;
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
            let name = format!("DynamoDB {operation}");
            let done =
                tokio::task::block_in_place(|| tables::ask(&self.database, &operation, &body));
            if let Some(done) = done {
                self.count(&name, sent + done.answer.len(), done.units);
                return Response::new(Full::from(done.answer));
            }
            let (answer, received) = self.dynamodb(parts, body).await;
            self.count(&name, sent + received, tables::REFUSED);
            return answer;
        }
        if target.starts_with("AmazonSQS") {
            let answer = self.queues.take(&operation, &body).to_string();
            self.count(
                &format!("SQS {operation}"),
                sent + answer.len(),
                chunks(sent),
            );
            return Response::new(Full::from(answer));
        }
        if parts.method == Method::PUT {
            self.count("S3 PutObject", sent, 1.0);
            return Response::new(Full::default());
        }
        let action = form_urlencoded::parse(&body).find(|(name, _)| name == "Action");
        let action = action.map_or_else(|| parts.method.to_string(), |(_, it)| it.into_owned());
        let answer = sns(&action);
        self.count(&format!("SNS {action}"), sent + answer.len(), 1.0);
        Response::new(Full::from(answer))
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

/// As how many requests SQS charges a request of so many bytes.
/// <https://aws.amazon.com/sqs/pricing/>
fn chunks(bytes: usize) -> f64 {
    // There are few chunks.
    #[allow(clippy::cast_precision_loss)]
    let chunks = bytes.div_ceil(64 * 1024).max(1) as f64;
    chunks
}

/// The answer of SNS to an action: to those that subscribing needs.
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
