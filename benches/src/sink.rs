//! The endpoints: servers on loopback that take everything, and count.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use http::Response;
use http_body_util::{BodyExt, Full};
use tokio::sync::Notify;

use crate::http_server;

/// Endpoints, each at an address of its own.
pub struct Sink {
    /// Where they listen.
    pub addresses: Vec<SocketAddr>,
    arrived: Arc<AtomicU64>,
    stopped: Arc<Notify>,
}

impl Sink {
    /// Starts so many endpoints.
    pub async fn start(endpoints: usize) -> Result<Self> {
        let arrived = Arc::new(AtomicU64::new(0));
        let stopped = Arc::new(Notify::new());
        let mut addresses = Vec::with_capacity(endpoints);
        for number in 0..endpoints {
            let host = format!("127.0.{}.{}:0", number / 250, number % 250 + 1);
            let arrived = Arc::clone(&arrived);
            let address = http_server::serve(&host, Arc::clone(&stopped), move |request| {
                let arrived = Arc::clone(&arrived);
                async move {
                    let _ = request.into_body().collect().await;
                    arrived.fetch_add(1, Ordering::Relaxed);
                    Response::new(Full::default())
                }
            });
            addresses.push(address.await?);
        }
        Ok(Self {
            addresses,
            arrived,
            stopped,
        })
    }

    /// How many requests have arrived.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stopped.notify_waiters();
    }
}
