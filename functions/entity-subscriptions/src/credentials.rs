//! Authentication of clients by id and secret, which are in the body of a `POST`, and in the query
//! string of other requests; or in the header `Authorization` of any, so that no secret is in a URL.

use bellwire_api::Failure;
use bellwire_domain::basic::Basic;
use bellwire_domain::{ClientId, Secret, SecretHash};
use bellwire_store::{Client, Clients};
use lambda_http::http::header::AUTHORIZATION;
use lambda_http::{Request, RequestExt};
use time::OffsetDateTime;

/// The id and the secret that a request has; empty where it has none.
pub struct Credentials {
    client_id: String,
    client_secret: Secret,
}

/// Authenticates clients by their credentials.
#[derive(Debug)]
pub struct Authenticator {
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
        let client_secret = client_secret.map(Secret::new);
        let Some(basic) = Self::of_header(request)? else {
            return Ok(Self::new(client_id, client_secret));
        };
        let agrees = client_id.is_none_or(|id| id == basic.client_id)
            && client_secret.is_none_or(|secret| secret == basic.client_secret);
        if agrees {
            Ok(basic)
        } else {
            Err(Failure::wrong_credentials())
        }
    }

    /// The credentials in the header `Authorization`; `None` if it is missing, or of another scheme than Basic.
    ///
    /// # Errors
    /// 401 when it is malformed.
    pub fn of_header(request: &Request) -> Result<Option<Self>, Failure> {
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
        Self {
            client_id: client_id.unwrap_or_default(),
            client_secret: client_secret.unwrap_or_else(|| Secret::new("")),
        }
    }
}

impl Authenticator {
    /// Authenticates against the table `clients`.
    ///
    /// # Errors
    /// When the operating system provides no random numbers.
    pub fn new(clients: Clients) -> Result<Self, getrandom::Error> {
        Ok(Self {
            clients,
            nobody: ClientId::generate()?,
            nothing: Secret::generate("")?.hash(),
        })
    }

    /// The client with these credentials. Log lines have its id from then on.
    ///
    /// # Errors
    /// 401, after one read of the table and a comparison in constant time with each of the client's
    /// secrets: one, except in the day after a rotation. 500 when the table can't be read.
    pub async fn client(&self, presented: &Credentials) -> Result<Client, Failure> {
        let id = ClientId::parse(&presented.client_id);
        let found = self
            .clients
            .get(id.as_ref().unwrap_or(&self.nobody))
            .await?;
        let hash = presented.client_secret.hash();
        let right = match &found {
            Some(client) => client.accepts(&hash, OffsetDateTime::now_utc()),
            None => hash == self.nothing,
        };
        let client = found
            .filter(|client| right && client.disabled_at.is_none())
            .ok_or_else(Failure::wrong_credentials)?;
        tracing::Span::current().record("client", client.client_id.as_str());
        Ok(client)
    }
}
