//! Who calls: a client with its id and secret, which stand in the body of a POST and in
//! the query string of the other calls.

use bellwire_edge::Failure;
use bellwire_rules::{ClientId, Secret, SecretHash};
use bellwire_store::{Client, Clients};
use lambda_http::{Error, Request, RequestExt};
use time::OffsetDateTime;

/// What a caller says of itself.
pub struct Credentials {
    client_id: String,
    client_secret: Secret,
}

/// Checks credentials.
pub struct Authenticator {
    clients: Clients,
    /// An id and a secret that nobody has: they are looked up and compared when those of a
    /// request can't be, so that every refusal takes the same steps.
    nobody: ClientId,
    nothing: SecretHash,
}

impl Credentials {
    /// What the body of a POST says.
    pub fn new(client_id: Option<String>, client_secret: Option<String>) -> Self {
        Self {
            client_id: client_id.unwrap_or_default(),
            client_secret: Secret::new(client_secret.unwrap_or_default()),
        }
    }

    /// What the query string says.
    pub fn of_query(request: &Request) -> Self {
        let parameters = request.query_string_parameters();
        let text = |name| parameters.first(name).map(str::to_owned);
        Self::new(text("client_id"), text("client_secret"))
    }
}

impl Authenticator {
    /// Against this table.
    pub fn new(clients: Clients) -> Result<Self, Error> {
        Ok(Self {
            clients,
            nobody: ClientId::generate()?,
            nothing: Secret::generate("")?.hash(),
        })
    }

    /// The client that these credentials are of.
    ///
    /// # Errors
    /// 401, after one look at the table and a comparison in constant time with each of the client's
    /// secrets: one, but for a day after a rotation.
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
