//! A customer's endpoint on loopback, over real HTTP.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// An endpoint. It answers 200, unless it was told to answer otherwise.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its URL.
    pub url: String,
    answers: Arc<Mutex<VecDeque<u16>>>,
    received: Arc<Mutex<Vec<Request>>>,
}

/// A request that an endpoint has received.
#[derive(Clone, Debug)]
pub struct Request {
    /// The names, in lower case, and the values of its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Endpoint {
    /// Starts an endpoint.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Self {
            url: format!("http://{}/", listener.local_addr().unwrap()),
            answers: Arc::default(),
            received: Arc::default(),
        };
        let serving = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let endpoint = serving.clone();
                tokio::spawn(async move { endpoint.serve(connection).await });
            }
        });
        endpoint
    }

    /// The next requests are answered with these statuses, those behind them with 200.
    pub fn answer(&self, statuses: &[u16]) {
        self.answers.lock().unwrap().extend(statuses);
    }

    /// The requests so far, in order.
    pub fn received(&self) -> Vec<Request> {
        self.received.lock().unwrap().clone()
    }

    async fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut connection = BufReader::new(connection);
        loop {
            let mut headers = Vec::new();
            let mut line = String::new();
            // The request line comes first, and has no colon before a space.
            connection
                .read_line(&mut line)
                .await
                .ok()
                .filter(|read| *read > 0)?;
            loop {
                line.clear();
                connection.read_line(&mut line).await.ok()?;
                let Some((name, value)) = line.split_once(':') else {
                    break;
                };
                headers.push((name.to_lowercase(), value.trim().to_owned()));
            }
            let mut request = Request {
                headers,
                body: Vec::new(),
            };
            let length = request
                .header("content-length")
                .and_then(|it| it.parse().ok());
            request.body = vec![0; length.unwrap_or(0)];
            connection.read_exact(&mut request.body).await.ok()?;
            self.received.lock().unwrap().push(request);
            let status = self.answers.lock().unwrap().pop_front().unwrap_or(200);
            let answer = format!("HTTP/1.1 {status} Answer\r\ncontent-length: 2\r\n\r\nok");
            connection.write_all(answer.as_bytes()).await.ok()?;
        }
    }
}
