//! Name resolution that leaves out addresses that the stack doesn't allow.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bellwire_domain::UrlPolicy;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// The name resolves to no address that the stack allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has no address that may be called")]
pub struct NoAllowedAddress;

/// A resolver that filters the answers of another one.
#[derive(Debug, Clone)]
pub struct Guard<R> {
    inner: R,
    policy: Arc<UrlPolicy>,
}

impl<R> Guard<R> {
    /// Leaves out of the answers of `inner` the addresses that `policy` doesn't allow.
    pub fn new(inner: R, policy: Arc<UrlPolicy>) -> Self {
        Self { inner, policy }
    }
}

impl<R> Service<Name> for Guard<R>
where
    R: Service<Name>,
    R::Response: Iterator<Item = SocketAddr>,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
    R::Future: Send + 'static,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolved = self.inner.call(name);
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let allowed: Vec<SocketAddr> = resolved
                .await
                .map_err(Into::into)?
                .filter(|address| policy.allows_address(address.ip()))
                .collect();
            if allowed.is_empty() {
                return Err(NoAllowedAddress.into());
            }
            Ok(allowed.into_iter())
        })
    }
}
