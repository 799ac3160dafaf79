//! POSTs to endpoints that behave well and badly.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bellwire_outbound::{Failure, Limits, Sender};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use support::{Script, policy, sender};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    exchange: Duration::from_secs(5),
    body: 16 * 1024,
};

fn local(limits: Limits) -> Sender<Script> {
    sender(Script::new(&[]), policy("127.0.0.0/8"), limits)
}

/// Answers every connection with these bytes, and closes it. Returns its URL, and the requests that
/// arrive.
async fn endpoint(answer: &'static [u8]) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?a=b", listener.local_addr().unwrap());
    let (arrived, arrivals) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let arrived = arrived.clone();
            tokio::spawn(async move {
                arrived.send(read_request(&mut stream).await).ok();
                stream.write_all(answer).await.unwrap();
                stream.shutdown().await.ok();
            });
        }
    });
    (url, arrivals)
}

/// Reads the head of a request, and the body as far as its `content-length` says.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.unwrap();
        text.push_str(std::str::from_utf8(&part[..count]).unwrap());
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let announced = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            announced.is_none_or(|length| body.len() >= length.parse().unwrap())
        });
        if whole || count == 0 {
            return text;
        }
    }
}

async fn post(url: &str, limits: Limits) -> Result<bellwire_outbound::Answer, Failure> {
    let sender = local(limits);
    sender
        .post(url, HeaderMap::new(), Bytes::from_static(b"{}"))
        .await
        .outcome
}

#[tokio::test]
async fn the_request_arrives_as_it_was_given_and_the_answer_comes_back() {
    let (url, mut arrivals) =
        endpoint(b"HTTP/1.1 201 Created\r\nx-answer: yes\r\ncontent-length: 2\r\n\r\nok").await;
    let mut headers = HeaderMap::new();
    headers.insert("x-mine", HeaderValue::from_static("1"));
    let exchange = local(LIMITS)
        .post(&url, headers, Bytes::from_static(b"{\"a\":1}"))
        .await;
    let answer = exchange.outcome.unwrap();
    assert_eq!(
        (answer.status, answer.body.as_slice(), answer.cut),
        (StatusCode::CREATED, b"ok".as_slice(), false)
    );
    assert_eq!(answer.headers["x-answer"], "yes");
    let request = arrivals.recv().await.unwrap();
    assert!(
        request.starts_with("POST /hook?a=b HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nx-mine: 1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (elsewhere, mut nobody) = endpoint(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let answer =
        format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n");
    let (url, _) = endpoint(answer.leak().as_bytes()).await;
    assert_eq!(post(&url, LIMITS).await.unwrap().status, StatusCode::FOUND);
    assert!(nobody.try_recv().is_err());
}

#[tokio::test]
async fn a_long_answer_is_read_only_so_far() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n";
    let answer = format!("{head}{}", "x".repeat(100_000));
    let (url, _) = endpoint(answer.leak().as_bytes()).await;
    let answer = post(&url, LIMITS).await.unwrap();
    assert_eq!((answer.body.len(), answer.cut), (16 * 1024, true));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_cut() {
    let (url, _) = endpoint(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    let answer = post(&url, LIMITS).await.unwrap();
    assert_eq!((answer.body.as_slice(), answer.cut), (&b"half"[..], true));
}

#[tokio::test]
async fn a_connection_that_breaks_off_before_the_body_is_a_failure() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"this is not HTTP\r\n\r\n",
    ] {
        let (url, _) = endpoint(answer).await;
        let outcome = post(&url, LIMITS).await;
        assert!(
            matches!(outcome, Err(Failure::Connection(_))),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let impatient = Limits {
        exchange: Duration::from_millis(200),
        ..LIMITS
    };
    let outcome = post(&url, impatient).await;
    assert!(matches!(outcome, Err(Failure::Timeout(_))), "{outcome:?}");
}

#[tokio::test]
async fn nobody_listens() {
    let outcome = post("http://127.0.0.1:2/", LIMITS).await;
    assert!(
        matches!(outcome, Err(Failure::Connection(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (connected, mut connections) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            connected.send(()).unwrap();
            tokio::spawn(async move {
                while !read_request(&mut stream).await.is_empty() {
                    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    let sender = local(LIMITS);
    for _ in 0..5 {
        let exchange = sender.post(&url, HeaderMap::new(), Bytes::new()).await;
        assert_eq!(exchange.outcome.unwrap().status, StatusCode::NO_CONTENT);
    }
    assert!(connections.recv().await.is_some());
    assert!(connections.try_recv().is_err());
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // No request is sent: the handshake must fail.
            assert!(acceptor.accept(stream).await.is_err());
        }
    });
    match post(&url, LIMITS).await {
        Err(Failure::Connection(cause)) => assert!(cause.contains("certificate"), "{cause}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_usual_sender_can_be_set_up() {
    assert!(Sender::new(policy(""), Limits::default()).is_ok());
}
