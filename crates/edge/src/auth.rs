//! Who calls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellwire_rules::{Secret, SecretHash};
use bellwire_store::{Client, Clients};
use lambda_http::Request;

use crate::Failure;

/// How long a warm function goes without asking the table again. A key that was
/// disabled or replaced works for at most this long.
const CACHED_FOR: Duration = Duration::from_secs(60);
/// How many clients a warm function remembers.
const CACHED_CLIENTS: usize = 1000;
/// No key is longer; what is needn't be looked up.
const MAX_KEY_LENGTH: usize = 256;

/// Finds the client whose API key a request carries.
#[derive(Debug)]
pub struct Authenticator {
    clients: Clients,
    known: Mutex<HashMap<String, (Client, Instant)>>,
}

impl Authenticator {
    /// Authentication against this table.
    pub fn new(clients: Clients) -> Self {
        Self {
            clients,
            known: Mutex::default(),
        }
    }

    /// The client that sent the request.
    ///
    /// # Errors
    /// 401 when the header `x-api-key` is missing, or its key is unknown or disabled.
    pub async fn client(&self, request: &Request) -> Result<Client, Failure> {
        let key = request
            .headers()
            .get("x-api-key")
            .and_then(|value| value.to_str().ok())
            .filter(|key| !key.is_empty() && key.len() <= MAX_KEY_LENGTH)
            .ok_or_else(Failure::unauthorized)?;
        let hash = Secret::new(key).hash();
        let client = match self.remembered(&hash) {
            Some(client) => client,
            None => self.look_up(&hash).await?,
        };
        tracing::Span::current().record("client", client.client_id.as_str());
        Ok(client)
    }

    /// The publisher that sent the request.
    ///
    /// # Errors
    /// As [`Self::client`]; 403 when the key is a subscriber's.
    pub async fn publisher(&self, request: &Request) -> Result<Client, Failure> {
        let client = self.client(request).await?;
        if client.publisher {
            Ok(client)
        } else {
            Err(Failure::publishers_only())
        }
    }

    fn remembered(&self, hash: &SecretHash) -> Option<Client> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (client, since) = known.get(hash.as_str())?;
        (since.elapsed() < CACHED_FOR).then(|| client.clone())
    }

    async fn look_up(&self, hash: &SecretHash) -> Result<Client, Failure> {
        let client = self
            .clients
            .by_api_key(hash)
            .await?
            .filter(|client| client.disabled_at.is_none())
            .ok_or_else(Failure::unauthorized)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CACHED_CLIENTS {
            known.clear();
        }
        known.insert(hash.as_str().to_owned(), (client.clone(), Instant::now()));
        Ok(client)
    }
}
