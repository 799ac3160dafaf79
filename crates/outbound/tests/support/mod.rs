//! Senders whose resolvers answer from a script.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bellwire_domain::UrlPolicy;
use bellwire_outbound::{Limits, Sender};
use hyper_util::client::legacy::connect::dns::Name;
use rustls::ClientConfig;
use tower_service::Service;

/// Answers each lookup with the next list of addresses; the last list is repeated.
#[derive(Clone)]
pub struct Script(Arc<Mutex<VecDeque<Vec<IpAddr>>>>);

impl Script {
    pub fn new(answers: &[&[&str]]) -> Self {
        let parse = |list: &&[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect();
        Self(Arc::new(Mutex::new(answers.iter().map(parse).collect())))
    }
}

impl Service<Name> for Script {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop_front().unwrap()
        } else {
            answers.front().cloned().unwrap_or_default()
        };
        let addresses: Vec<_> = answer
            .into_iter()
            .map(|ip| SocketAddr::new(ip, 0))
            .collect();
        ready(Ok(addresses.into_iter()))
    }
}

/// A policy that allows http, and opens these networks.
pub fn policy(open_networks: &str) -> UrlPolicy {
    UrlPolicy {
        allow_http: true,
        open_networks: open_networks.parse().unwrap(),
    }
}

/// A sender with a scripted resolver, which trusts no root certificate.
pub fn sender(resolver: Script, policy: UrlPolicy, limits: Limits) -> Sender<Script> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Sender::with(resolver, tls, policy, limits)
}
