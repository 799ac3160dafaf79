//! The endpoints: servers on loopback that accept everything, count it, and record when it arrives. Their answer is a
//! usual one: a dozen headers, and 200 bytes of body.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::Notify;

use crate::http_server;

/// The headers of an answer, beside `date` and `content-length`.
const ANSWER_HEADERS: [(&str, &str); 10] = [
    ("content-type", "application/json; charset=utf-8"),
    ("server", "nginx/1.27.2"),
    ("x-request-id", "0b7e2d5c-93c1-4b5e-8f1d-3f1f0c9a6e21"),
    ("cache-control", "max-age=0, private, must-revalidate"),
    ("etag", "W/\"3f2a-Zk1xQm9vYmFy\""),
    ("vary", "Accept-Encoding"),
    ("x-runtime", "0.041728"),
    ("x-frame-options", "SAMEORIGIN"),
    ("x-content-type-options", "nosniff"),
    (
        "strict-transport-security",
        "max-age=63072000; includeSubDomains",
    ),
];
/// The body of an answer.
const ANSWER_BODY: &str = r#"{"status":"accepted","id":"rcv_8f2c1d7e5b3a4096","received_at":"2026-11-22T14:17:03.482Z","queue":"incoming-webhooks","attempts":1,"links":{"self":"/v2/received/rcv_8f2c1d7e5b3a4096"},"ok":true}"#;

/// Endpoints, each at an address of its own.
pub struct Sink {
    /// The addresses that they listen on.
    pub addresses: Vec<SocketAddr>,
    arrived: Arc<AtomicU64>,
    noted: Arc<Mutex<Vec<Arrival>>>,
    stopped: Arc<Notify>,
}

/// A request that has arrived.
#[derive(Debug)]
pub struct Arrival {
    /// When the whole request had arrived.
    pub at: Instant,
    /// The path of its URL.
    pub path: String,
    /// The number that its body begins with: `{"n":12,`.
    pub number: usize,
}

impl Sink {
    /// Starts this number of endpoints.
    pub async fn start(endpoints: usize) -> Result<Self> {
        let arrived = Arc::new(AtomicU64::new(0));
        let noted = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(Notify::new());
        let mut addresses = Vec::with_capacity(endpoints);
        for number in 0..endpoints {
            let host = format!("127.0.{}.{}:0", number / 250, number % 250 + 1);
            let (arrived, noted) = (Arc::clone(&arrived), Arc::clone(&noted));
            let address = http_server::serve(&host, Arc::clone(&stopped), move |request| {
                let (arrived, noted) = (Arc::clone(&arrived), Arc::clone(&noted));
                async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect().await;
                    let body = body.map(|it| it.to_bytes()).unwrap_or_default();
                    let arrival = Arrival {
                        at: Instant::now(),
                        path,
                        number: leading_number(&body),
                    };
                    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    noted.push(arrival);
                    arrived.fetch_add(1, Ordering::Relaxed);
                    answer()
                }
            });
            addresses.push(address.await?);
        }
        Ok(Self {
            addresses,
            arrived,
            noted,
            stopped,
        })
    }

    /// How many requests have arrived so far.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// The requests that have arrived since the last call of this.
    pub fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn answer() -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(Bytes::from_static(ANSWER_BODY.as_bytes())));
    for (name, value) in ANSWER_HEADERS {
        let name = HeaderName::from_static(name);
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn leading_number(body: &Bytes) -> usize {
    let digits = body.strip_prefix(br#"{"n":"#).unwrap_or_default();
    let digits = digits.iter().take_while(|it| it.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stopped.notify_waiters();
    }
}
