//! One HTTP request and its response.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwire_domain::{UrlPolicy, UrlRefused};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tower_service::Service;

use crate::Guard;
use crate::guard::NoAllowedAddress;

/// How long an exchange may take, and how much of its answer is read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long connecting may take.
    pub connect: Duration,
    /// How long the whole exchange may take, from its start until the answer is read.
    pub exchange: Duration,
    /// The most bytes of the answer's body that are kept; the rest is not read.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            exchange: Duration::from_secs(15),
            body: 16 * 1024,
        }
    }
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The beginning of the body: at most [`Limits::body`] bytes.
    pub body: Vec<u8>,
    /// Whether the body is incomplete: longer than that, broken off, or not read in time.
    pub cut: bool,
}

/// Why there is no answer to a request.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The URL is not allowed as it is written.
    #[error("the URL {0}")]
    Url(#[from] UrlRefused),
    /// The host has no address that the stack allows.
    #[error(transparent)]
    Address(#[from] NoAllowedAddress),
    /// The request can't be built.
    #[error("the request is malformed: {0}")]
    Request(#[from] http::Error),
    /// There was no answer in time; with the time that was allowed.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The connection failed or broke off, or its certificate is not valid; with the chain of
    /// causes.
    #[error("{0}")]
    Connection(String),
}

/// The outcome of a request.
#[derive(Debug)]
pub struct Exchange {
    /// How long the exchange took.
    pub duration: Duration,
    /// The answer, or why there is none.
    pub outcome: Result<Answer, Failure>,
}

/// Sends requests, and keeps connections for the next ones.
#[derive(Debug, Clone)]
pub struct Sender<R = GaiResolver> {
    client: Client<HttpsConnector<HttpConnector<Guard<R>>>, Full<Bytes>>,
    policy: Arc<UrlPolicy>,
    limits: Limits,
}

impl Sender {
    /// A sender that trusts Mozilla's root certificates.
    ///
    /// # Errors
    /// If the TLS library can't be set up.
    pub fn new(policy: UrlPolicy, limits: Limits) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_webpki_roots()
            .with_no_client_auth();
        Ok(Self::with(GaiResolver::new(), tls, policy, limits))
    }
}

impl<R> Sender<R>
where
    R: Service<Name> + Clone + Send + Sync + 'static,
    R::Response: Iterator<Item = SocketAddr>,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
    R::Future: Send + 'static,
{
    /// A sender with another resolver and another configuration of TLS.
    pub fn with(resolver: R, tls: ClientConfig, policy: UrlPolicy, limits: Limits) -> Self {
        let policy = Arc::new(policy);
        let mut connector =
            HttpConnector::new_with_resolver(Guard::new(resolver, Arc::clone(&policy)));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(limits.connect));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self {
            client,
            policy,
            limits,
        }
    }

    /// Sends a POST. The URL is checked again: the policy may have changed since the URL was
    /// registered, and a host that is an address never reaches the resolver.
    pub async fn post(&self, url: &str, headers: HeaderMap, body: Bytes) -> Exchange {
        self.send(Method::POST, url, headers, body).await
    }

    /// Sends a request of any method, with the checks of [`Self::post`].
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Exchange {
        let started = Instant::now();
        let limit = self.limits.exchange;
        let head = tokio::time::timeout(limit, self.head(method, url, headers, body)).await;
        let outcome = match head {
            Ok(Ok(response)) => Ok(self.read(response, started).await),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::Timeout(limit)),
        };
        Exchange {
            duration: started.elapsed(),
            outcome,
        }
    }

    async fn head(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let url = self.policy.check(url)?;
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str().parse::<Uri>().map_err(http::Error::from)?)
            .body(Full::new(body))?;
        *request.headers_mut() = headers;
        self.client.request(request).await.map_err(explain)
    }

    /// Reads the body, as far as it is kept. The status alone decides whether a delivery has
    /// succeeded, so a body that breaks off or takes too long is cut.
    async fn read(&self, response: Response<Incoming>, started: Instant) -> Answer {
        let (parts, mut incoming) = response.into_parts();
        let mut answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body: Vec::new(),
            cut: false,
        };
        loop {
            let left = self.limits.exchange.saturating_sub(started.elapsed());
            let frame = match tokio::time::timeout(left, incoming.frame()).await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) | Err(_) => {
                    answer.cut = true;
                    break;
                }
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let room = self.limits.body - answer.body.len();
            answer.body.extend(data.iter().take(room));
            if data.len() > room {
                answer.cut = true;
                break;
            }
        }
        answer
    }
}

fn explain(error: hyper_util::client::legacy::Error) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<NoAllowedAddress>() {
            return Failure::Address(*refused);
        }
        cause = inner.source();
    }
    Failure::Connection(chain(&error))
}

/// An error with its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
