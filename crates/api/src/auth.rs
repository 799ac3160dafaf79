//! Authentication of requests by API keys and by the tokens of sessions, and operators that act for clients.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bellwire_domain::client::ClientReference;
use bellwire_domain::{ClientId, Secret, timestamp};
use bellwire_store::{ApiKey, Client, Clients, Keys};
use lambda_http::Request;
use time::OffsetDateTime;

use crate::Failure;

/// The header with which an operator names the client that it acts for.
pub const ACTS_FOR: &str = "x-bellwire-client";
/// How long what was read from the tables is cached. A key that was revoked, or whose client was disabled, works
/// for at most this long, and so does a session that has ended. Measured by the wall clock, since the monotonic clock stands still while
/// Lambda has a function frozen.
const CACHED_FOR: Duration = Duration::from_secs(60);
/// The most callers in the cache; when it is full, it is emptied.
const CACHED_CALLERS: usize = 1000;
/// No API key is longer, in bytes: a longer one is refused without a read.
const MAX_KEY_LENGTH: usize = 256;

/// The client that makes a request, or for which an operator makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The client's id.
    pub client_id: ClientId,
    /// Whether it may manage topics, publish, and register queries for other clients.
    pub publisher: bool,
    /// Whether it may manage clients, and do what any publisher may.
    pub operator: bool,
}

impl Caller {
    /// Whether it may do what is for publishers.
    pub fn may_publish(&self) -> bool {
        self.publisher || self.operator
    }

    fn of_key(key: &ApiKey) -> Self {
        Self {
            client_id: key.client_id.clone(),
            publisher: key.publisher,
            operator: key.operator,
        }
    }

    /// The client itself.
    pub fn of(client: &Client) -> Self {
        Self {
            client_id: client.client_id.clone(),
            publisher: client.publisher,
            operator: client.operator,
        }
    }
}

/// Finds out who makes a request. Caches what it has read.
#[derive(Debug)]
pub struct Authenticator {
    clients: Clients,
    keys: Keys,
    /// The cache: by the hash of a key, or the id of a client that an operator acts for, the caller and when it was
    /// read.
    known: Mutex<HashMap<String, (Caller, SystemTime)>>,
}

impl Authenticator {
    /// Authenticates against the table of keys, and that of clients.
    pub fn new(clients: Clients, keys: Keys) -> Self {
        Self {
            clients,
            keys,
            known: Mutex::default(),
        }
    }

    /// The client whose key the request has, in `x-api-key` or as a bearer token; the one that [`ACTS_FOR`] names if
    /// the key is an operator's. Log lines have its id from then on, and the operator's.
    ///
    /// # Errors
    /// 401 when there is no key, or one that is unknown or of a disabled client. With [`ACTS_FOR`]: 400 when it is no
    /// id of a client, 403 when the key is no operator's, 404 when there is no such client, 409 when it is disabled.
    /// 500 when a table can't be read.
    pub async fn client(&self, request: &Request) -> Result<Caller, Failure> {
        let holder = self.holder(request).await?;
        let Some(named) = request.headers().get(ACTS_FOR) else {
            tracing::Span::current().record("client", holder.client_id.as_str());
            return Ok(holder);
        };
        if !holder.operator {
            return Err(Failure::operators_only());
        }
        let named = named.to_str().unwrap_or_default();
        let named = ClientReference::parse(named)
            .map_err(|bad| Failure::field("X-Bellwire-Client", bad))?;
        let client = self.acted_for(&named.client_id()).await?;
        let span = tracing::Span::current();
        span.record("operator", holder.client_id.as_str());
        span.record("client", client.client_id.as_str());
        Ok(client)
    }

    /// The publisher whose key the request has, or the operator.
    ///
    /// # Errors
    /// As [`Self::client`]; 403 when the client is neither.
    pub async fn publisher(&self, request: &Request) -> Result<Caller, Failure> {
        let client = self.client(request).await?;
        if client.may_publish() {
            Ok(client)
        } else {
            Err(Failure::publishers_only())
        }
    }

    /// The client whose key or session's token the request has, whoever it acts for.
    ///
    /// # Errors
    /// 401 as [`Self::client`]; 500 when a table can't be read.
    pub async fn holder(&self, request: &Request) -> Result<Caller, Failure> {
        self.of_key(presented(request)).await
    }

    /// The operator whose key the request has.
    ///
    /// # Errors
    /// 401 as [`Self::client`]; 403 when the client is not an operator; 500 when a table can't be read.
    pub async fn operator(&self, request: &Request) -> Result<Caller, Failure> {
        let holder = self.holder(request).await?;
        tracing::Span::current().record("operator", holder.client_id.as_str());
        if holder.operator {
            Ok(holder)
        } else {
            Err(Failure::operators_only())
        }
    }

    /// The client that has this key, or this token of a session.
    ///
    /// # Errors
    /// 401 when it is unknown, or its client is disabled; 500 when a table can't be read.
    pub async fn of_key(&self, presented: Option<&str>) -> Result<Caller, Failure> {
        let key = presented
            .filter(|key| !key.is_empty() && key.len() <= MAX_KEY_LENGTH)
            .map(Secret::new)
            .ok_or_else(Failure::unauthorized)?;
        let hash = key.hash();
        if let Some(known) = self.remembered(hash.as_str()) {
            return Ok(known);
        }
        let found = match self.keys.find(&hash).await? {
            Some(found) => self.use_key(found).await?,
            None => self.use_earlier_key(&key).await?,
        };
        let caller = found.ok_or_else(Failure::unauthorized)?;
        self.remember(hash.as_str(), &caller);
        Ok(caller)
    }

    /// Whose key it is; `None` if the client is disabled. The first use of a day is recorded.
    async fn use_key(&self, key: ApiKey) -> Result<Option<Caller>, Failure> {
        if key.is_of_session() {
            return self.use_session(&key).await;
        }
        if key.client_disabled {
            return Ok(None);
        }
        let now = OffsetDateTime::now_utc();
        if key.used_on.as_ref() < Some(&timestamp::day(now))
            && let Err(error) = self.keys.note_used(&key.key_sha256, now).await
        {
            tracing::warn!(%error, "the use of a key was not recorded");
        }
        Ok(Some(Caller::of_key(&key)))
    }

    /// Whose session it is; `None` if it has ended.
    async fn use_session(&self, session: &ApiKey) -> Result<Option<Caller>, Failure> {
        let client = self.clients.get(&session.client_id).await?;
        let valid = client.filter(|it| it.allows(session, OffsetDateTime::now_utc()));
        Ok(valid.as_ref().map(Caller::of))
    }

    /// Whose key of an earlier version it is; `None` if nobody's, or the client is disabled.
    async fn use_earlier_key(&self, key: &Secret) -> Result<Option<Caller>, Failure> {
        let found = self.clients.by_api_key(&key.hash()).await?;
        let Some(client) = found.filter(|client| client.disabled_at.is_none()) else {
            return Ok(None);
        };
        let now = OffsetDateTime::now_utc();
        if let Err(error) = self.keys.adopt(&client, key, now).await {
            tracing::warn!(%error, "a key of an earlier version was not recorded");
        }
        Ok(Some(Caller::of(&client)))
    }

    /// The client that an operator acts for.
    async fn acted_for(&self, client_id: &ClientId) -> Result<Caller, Failure> {
        if let Some(known) = self.remembered(client_id.as_str()) {
            return Ok(known);
        }
        let client = self.clients.get(client_id).await?;
        let client = client.ok_or_else(|| Failure::not_found("there is no such client"))?;
        if client.disabled_at.is_some() {
            return Err(Failure::conflict("the client is disabled"));
        }
        // For an operator it acts as a publisher, at most: nobody becomes another operator so.
        let caller = Caller {
            operator: false,
            ..Caller::of(&client)
        };
        self.remember(client_id.as_str(), &caller);
        Ok(caller)
    }

    /// The cached caller; `None` if there is none, or it was read too long ago.
    fn remembered(&self, by: &str) -> Option<Caller> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (caller, since) = known.get(by)?;
        // If the clock was set back, the age is unknown.
        let age = since.elapsed().ok()?;
        (age < CACHED_FOR).then(|| caller.clone())
    }

    fn remember(&self, by: &str, caller: &Caller) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CACHED_CALLERS {
            known.clear();
        }
        known.insert(by.to_owned(), (caller.clone(), SystemTime::now()));
    }
}

/// The key in the header `x-api-key`, in `KeyId`, which is another name of the same, or in `Authorization: Bearer`; `None`
/// without any of them.
pub fn presented(request: &Request) -> Option<&str> {
    let header = |name| request.headers().get(name)?.to_str().ok();
    header("x-api-key").or_else(|| header("keyid")).or_else(|| {
        let (scheme, key) = header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::BehaviorVersion;

    use super::*;

    /// An authenticator that has cached one caller, so many seconds ago, and can't read the tables.
    fn knows(key: &Secret, seconds: u64) -> Authenticator {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .build();
        let db = aws_sdk_dynamodb::Client::from_conf(config);
        let authenticator = Authenticator::new(
            Clients::new(db.clone(), String::new()),
            Keys::new(db, String::new(), String::new()),
        );
        let caller = Caller {
            client_id: ClientId::generate().unwrap(),
            publisher: false,
            operator: false,
        };
        let since = SystemTime::now() - Duration::from_secs(seconds);
        let known = HashMap::from([(key.hash().as_str().to_owned(), (caller, since))]);
        *authenticator.known.lock().unwrap() = known;
        authenticator
    }

    #[test]
    fn a_caller_is_remembered_for_a_minute_and_no_longer() {
        let (key, other) = (Secret::new("key").hash(), Secret::new("other").hash());
        let known = |seconds, hash: &bellwire_domain::SecretHash| {
            knows(&Secret::new("key"), seconds).remembered(hash.as_str())
        };
        assert!(known(59, &key).is_some());
        assert!(known(60, &key).is_none());
        assert!(known(0, &other).is_none());
    }
}
