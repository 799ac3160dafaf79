//! Authentication of requests by API keys.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bellwire_domain::{Secret, SecretHash};
use bellwire_store::{Client, Clients};
use lambda_http::Request;

use crate::Failure;

/// How long a client that was read from the table is cached. A key that was disabled or replaced works
/// for at most this long. Measured by the wall clock, since the monotonic clock stands still while
/// Lambda has a function frozen.
const CACHED_FOR: Duration = Duration::from_secs(60);
/// The most clients in the cache; when it is full, it is emptied.
const CACHED_CLIENTS: usize = 1000;
/// No API key is longer, in bytes: a longer one is refused without a read.
const MAX_KEY_LENGTH: usize = 256;

/// Finds the client whose API key a request has. Caches the clients that it has found.
#[derive(Debug)]
pub struct Authenticator {
    clients: Clients,
    /// The cache: by the hash of the key, the client and when it was read.
    known: Mutex<HashMap<String, (Client, SystemTime)>>,
}

impl Authenticator {
    /// Authenticates against the table `clients`.
    pub fn new(clients: Clients) -> Self {
        Self {
            clients,
            known: Mutex::default(),
        }
    }

    /// The client whose key the request has, in `x-api-key` or as a bearer token. Log lines have its id
    /// from then on.
    ///
    /// # Errors
    /// 401 when there is no key, or one that is unknown or of a disabled client. 500 when the table
    /// can't be read.
    pub async fn client(&self, request: &Request) -> Result<Client, Failure> {
        let key = presented(request)
            .filter(|key| !key.is_empty() && key.len() <= MAX_KEY_LENGTH)
            .ok_or_else(Failure::unauthorized)?;
        let hash = Secret::new(key).hash();
        let client = match self.remembered(&hash) {
            Some(client) => client,
            None => self.find(&hash).await?,
        };
        tracing::Span::current().record("client", client.client_id.as_str());
        Ok(client)
    }

    /// The publisher whose key the request has.
    ///
    /// # Errors
    /// As [`Self::client`]; 403 when the client is not a publisher.
    pub async fn publisher(&self, request: &Request) -> Result<Client, Failure> {
        let client = self.client(request).await?;
        if client.publisher {
            Ok(client)
        } else {
            Err(Failure::publishers_only())
        }
    }

    /// The cached client of a key; `None` if there is none, or it was read too long ago.
    fn remembered(&self, hash: &SecretHash) -> Option<Client> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (client, since) = known.get(hash.as_str())?;
        // If the clock was set back, the age is unknown.
        let age = since.elapsed().ok()?;
        (age < CACHED_FOR).then(|| client.clone())
    }

    /// The client of a key, from the table. Caches it.
    async fn find(&self, hash: &SecretHash) -> Result<Client, Failure> {
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
        known.insert(
            hash.as_str().to_owned(),
            (client.clone(), SystemTime::now()),
        );
        Ok(client)
    }
}

/// The key in the header `x-api-key`, in `KeyId`, which is another name of the same, or in `Authorization: Bearer`; `None`
/// without any of them.
fn presented(request: &Request) -> Option<&str> {
    let header = |name| request.headers().get(name)?.to_str().ok();
    header("x-api-key").or_else(|| header("keyid")).or_else(|| {
        let (scheme, key) = header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::BehaviorVersion;
    use bellwire_domain::ClientId;
    use time::OffsetDateTime;

    use super::*;

    /// An authenticator that has cached one client, so many seconds ago, and can't read the table.
    fn knows(key: &Secret, seconds: u64) -> Authenticator {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .build();
        let table = Clients::new(aws_sdk_dynamodb::Client::from_conf(config), String::new());
        let authenticator = Authenticator::new(table);
        let client = Client {
            client_id: ClientId::generate().unwrap(),
            name: "it".to_owned(),
            publisher: false,
            api_key_sha256: key.hash(),
            client_secret_sha256: key.hash(),
            earlier_client_secrets: Vec::new(),
            created_at: OffsetDateTime::UNIX_EPOCH,
            key_rotated_at: None,
            disabled_at: None,
        };
        let since = SystemTime::now() - Duration::from_secs(seconds);
        let known = HashMap::from([(key.hash().as_str().to_owned(), (client, since))]);
        *authenticator.known.lock().unwrap() = known;
        authenticator
    }

    #[test]
    fn a_client_is_remembered_for_a_minute_and_no_longer() {
        let key = Secret::new("key");
        assert!(knows(&key, 59).remembered(&key.hash()).is_some());
        assert!(knows(&key, 60).remembered(&key.hash()).is_none());
        let other = Secret::new("other");
        assert!(knows(&key, 0).remembered(&other.hash()).is_none());
    }
}
