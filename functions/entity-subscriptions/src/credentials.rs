//! Authentication of clients by id and secret, which are in the body of a `POST`, and in the query
//! string of other requests; or in the header `Authorization` of any, so that no secret is in a URL. An operator that acts
//! for a client has its API key instead, and a session of the console its token.

use bellwire_api::{ACTS_FOR, Caller, Failure, presented};
use bellwire_domain::basic::Basic;
use bellwire_domain::{ClientId, Secret, SecretHash};
use bellwire_store::Clients;
use bellwire_store::sessions::TOKEN_PREFIX;
use lambda_http::http::header::AUTHORIZATION;
use lambda_http::{Request, RequestExt};
use time::OffsetDateTime;

/// What a request has to say who makes it.
pub enum Credentials {
    /// The id and the secret of a client; empty where it has none.
    Client {
        client_id: String,
        client_secret: Secret,
    },
    /// In a header, the API key of an operator, with another header that names the client that it acts for; or the token
    /// of a session.
    Key,
}

/// Authenticates clients by their credentials.
#[derive(Debug)]
pub struct Authenticator {
    by_key: bellwire_api::Authenticator,
    clients: Clients,
    /// An id and the hash of a secret that no client has: they are read and compared when those of a
    /// request can't be, so that every refusal takes the same steps.
    nobody: ClientId,
    nothing: SecretHash,
}

impl Credentials {
    /// The credentials of a request whose body or query string has these. The scheme Basic may have them instead, or
    /// the same ones as well; another scheme is ignored.
    ///
    /// # Errors
    /// 401 when the header is malformed, or differs.
    pub fn of(
        request: &Request,
        client_id: Option<String>,
        client_secret: Option<String>,
    ) -> Result<Self, Failure> {
        let said_secret = client_secret.map(Secret::new);
        match Self::of_headers(request)? {
            Some(Self::Client {
                client_id: id,
                client_secret: secret,
            }) => {
                let agrees = client_id.is_none_or(|said| said == id)
                    && said_secret.is_none_or(|said| said == secret);
                if agrees {
                    Ok(Self::new(Some(id), Some(secret)))
                } else {
                    Err(Failure::wrong_credentials())
                }
            }
            Some(Self::Key) => Ok(Self::Key),
            None => Ok(Self::new(client_id, said_secret)),
        }
    }

    /// The credentials in headers: in `Authorization`, or those of an operator or a session; `None` if there are none, or those of
    /// another scheme than Basic.
    ///
    /// # Errors
    /// 401 when they are malformed.
    pub fn of_headers(request: &Request) -> Result<Option<Self>, Failure> {
        let is_of_session = presented(request).is_some_and(|key| key.starts_with(TOKEN_PREFIX));
        if is_of_session || request.headers().contains_key(ACTS_FOR) {
            return Ok(Some(Self::Key));
        }
        let Some(header) = request.headers().get(AUTHORIZATION) else {
            return Ok(None);
        };
        // A client's id and secret are ASCII.
        let header = header.to_str().map_err(|_| Failure::wrong_credentials())?;
        let Some(basic) = Basic::parse(header) else {
            return Ok(None);
        };
        let basic = basic.map_err(|_| Failure::wrong_credentials())?;
        Ok(Some(Self::new(Some(basic.user_id), Some(basic.password))))
    }

    /// The credentials of a request that may have them in the query string.
    ///
    /// # Errors
    /// As for [`Self::of`].
    pub fn of_query(request: &Request) -> Result<Self, Failure> {
        let parameters = request.query_string_parameters();
        let text = |name| parameters.first(name).map(str::to_owned);
        Self::of(request, text("client_id"), text("client_secret"))
    }

    fn new(client_id: Option<String>, client_secret: Option<Secret>) -> Self {
        Self::Client {
            client_id: client_id.unwrap_or_default(),
            client_secret: client_secret.unwrap_or_else(|| Secret::new("")),
        }
    }
}

impl Authenticator {
    /// Authenticates against the table `clients`, and operators by their keys.
    ///
    /// # Errors
    /// When the operating system provides no random numbers.
    pub fn new(
        by_key: bellwire_api::Authenticator,
        clients: Clients,
    ) -> Result<Self, getrandom::Error> {
        Ok(Self {
            by_key,
            clients,
            nobody: ClientId::generate()?,
            nothing: Secret::generate("")?.hash(),
        })
    }

    /// The client with these credentials, or for which an operator acts. Log lines have its id from then on.
    ///
    /// # Errors
    /// 401, after one read of the table and a comparison in constant time with each of the client's
    /// secrets: one, except in the day after a rotation. For an operator as [`bellwire_api::Authenticator::client`].
    /// 500 when a table can't be read.
    pub async fn client(
        &self,
        request: &Request,
        presented: &Credentials,
    ) -> Result<Caller, Failure> {
        let (client_id, client_secret) = match presented {
            Credentials::Key => return self.by_key.client(request).await,
            Credentials::Client {
                client_id,
                client_secret,
            } => (client_id, client_secret),
        };
        let id = ClientId::parse(client_id);
        let found = self
            .clients
            .get(id.as_ref().unwrap_or(&self.nobody))
            .await?;
        let hash = client_secret.hash();
        let right = match &found {
            Some(client) => client.accepts(&hash, OffsetDateTime::now_utc()),
            None => hash == self.nothing,
        };
        let client = found
            .filter(|client| right && client.disabled_at.is_none())
            .ok_or_else(Failure::wrong_credentials)?;
        tracing::Span::current().record("client", client.client_id.as_str());
        Ok(Caller::of(&client))
    }
}
