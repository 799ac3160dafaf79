//! Beginning a session, by an API key or by a portal link.

use bellwire_api::{Failure, body, created};
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::{ClientId, Secret};
use bellwire_store::sessions::{LASTS, TOKEN_PREFIX};
use bellwire_store::{ApiKey, Client};
use lambda_http::http::{Response, StatusCode};
use lambda_http::{Body, Request};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::SessionsFunction;
use crate::address::counted_address;

/// How many wrong keys an address may present in a quarter of an hour.
const MOST_WRONG_KEYS: u32 = 10;

/// The body: either of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SignIn {
    /// An API key.
    ApiKey(String),
    /// The token of a portal link.
    Link(String),
}

/// A session that was begun. Nothing else has its token.
#[derive(Serialize)]
struct SessionMade<'a> {
    token: &'a str,
    client_id: &'a ClientId,
    name: &'a str,
    operator: bool,
    #[serde(with = "iso_serde")]
    ends_at: OffsetDateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    theme: Option<&'a str>,
}

impl SessionsFunction {
    /// Begins a session.
    ///
    /// # Errors
    /// 400 when the body is refused; 401 when the key is wrong, or its client disabled; 404 when the link is wrong, used up
    /// or expired; 429 when too many wrong keys came from the address; 500 when a table fails.
    pub(crate) async fn sign_in(&self, request: &Request) -> Result<Response<Body>, Failure> {
        match body::json(request)? {
            SignIn::ApiKey(key) => self.by_key(&Secret::new(key.trim()), request).await,
            SignIn::Link(token) => self.by_link(&Secret::new(token)).await,
        }
    }

    async fn by_key(&self, key: &Secret, request: &Request) -> Result<Response<Body>, Failure> {
        let now = OffsetDateTime::now_utc();
        let address = counted_address(request);
        // Counted before it is looked at, so that many at once aren't all let through.
        if self.sign_ins.count_key(&address, now).await? > MOST_WRONG_KEYS {
            let problem =
                "too many wrong keys from your address; please try again in a quarter of an hour";
            return Err(Failure::too_many(problem));
        }
        // A session isn't prolonged by its own token.
        let presented = Some(key.expose()).filter(|key| !key.starts_with(TOKEN_PREFIX));
        let caller = self.authenticator.of_key(presented).await;
        if !caller
            .as_ref()
            .is_err_and(|it| it.status() == StatusCode::UNAUTHORIZED)
        {
            self.sign_ins.uncount_key(&address, now).await?;
        }
        let client = self.client(&caller?).await?;
        // The key may have been looked at some seconds ago.
        if client.disabled_at.is_some() {
            return Err(Failure::unauthorized());
        }
        let token = Secret::generate(TOKEN_PREFIX).map_err(Failure::internal)?;
        let session = ApiKey::of_session(&client, &token, Some(&key.hash()), now);
        self.keys.begin_session(&session).await?;
        tracing::Span::current().record("client", client.client_id.as_str());
        tracing::info!("session begun by a key");
        made(&client, &token, now, None, None)
    }

    async fn by_link(&self, link: &Secret) -> Result<Response<Body>, Failure> {
        let gone = || Failure::not_found("the link has expired, or was used before");
        let now = OffsetDateTime::now_utc();
        let hash = link.hash();
        let found = self.sign_ins.link(&hash, now).await?.ok_or_else(gone)?;
        let client = self.clients.get(&found.client_id).await?;
        let client = client.filter(|it| {
            it.disabled_at.is_none() && it.may_have_link() && it.goes_on_since(found.created_at)
        });
        let client = client.ok_or_else(gone)?;
        tracing::Span::current().record("client", client.client_id.as_str());
        let token = Secret::generate(TOKEN_PREFIX).map_err(Failure::internal)?;
        let session = ApiKey::of_session(&client, &token, None, now);
        let used = self.sign_ins.use_link(&hash, now)?;
        if !self.keys.begin_session_by_link(&session, used).await? {
            return Err(gone());
        }
        tracing::info!("session begun by a link");
        let (return_url, theme) = (found.return_url.as_deref(), found.theme.as_deref());
        made(&client, &token, now, return_url, theme)
    }
}

fn made(
    client: &Client,
    token: &Secret,
    now: OffsetDateTime,
    return_url: Option<&str>,
    theme: Option<&str>,
) -> Result<Response<Body>, Failure> {
    created(&SessionMade {
        token: token.expose(),
        client_id: &client.client_id,
        name: &client.name,
        operator: client.operator,
        ends_at: now + LASTS,
        return_url,
        theme,
    })
}
