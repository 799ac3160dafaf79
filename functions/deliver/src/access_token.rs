//! Access tokens for endpoints that want them: OAuth 2.0, client credentials.
//!
//! A token is asked for once and used until shortly before it expires. The provider's URL
//! is a stranger's like the endpoint's, and called in the same guarded way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwire_outbound::Sender;
use bellwire_rules::authorization::{Authorization, CredentialsMode};
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, Scope, TokenResponse, TokenUrl,
};
use tokio::sync::Mutex;

/// How long a token is used that doesn't say how long it is valid.
const UNTOLD: Duration = Duration::from_secs(300);
/// How long before its end a token is not used any more, at most.
const MARGIN: Duration = Duration::from_secs(30);
/// How many tokens are remembered.
const REMEMBERED: usize = 1000;

/// There is no token to be had; the text is for the subscription's owner.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TokenRefused(pub String);

/// A token and until when it is used. Missing while it is asked for.
type Slot = Arc<Mutex<Option<(String, Instant)>>>;

/// The tokens that are in use.
#[derive(Debug)]
pub struct AccessTokens {
    sender: Sender,
    slots: Mutex<HashMap<Authorization, Slot>>,
}

impl AccessTokens {
    /// Tokens that are asked for by this sender.
    pub fn new(sender: Sender) -> Self {
        Self {
            sender,
            slots: Mutex::default(),
        }
    }

    /// A token that is valid. Whoever asks for the same one meanwhile waits for it.
    pub async fn get(&self, authorization: &Authorization) -> Result<String, TokenRefused> {
        let slot = self.slot(authorization).await;
        let mut slot = slot.lock().await;
        if let Some((token, until)) = slot.as_ref()
            && *until > Instant::now()
        {
            return Ok(token.clone());
        }
        let (token, valid) = self.ask(authorization).await?;
        let margin = MARGIN.min(valid / 10);
        *slot = Some((token.clone(), Instant::now() + (valid - margin)));
        Ok(token)
    }

    /// Forgets a token that an endpoint didn't take.
    pub async fn forget(&self, authorization: &Authorization) {
        *self.slot(authorization).await.lock().await = None;
    }

    async fn slot(&self, authorization: &Authorization) -> Slot {
        let mut slots = self.slots.lock().await;
        if slots.len() >= REMEMBERED && !slots.contains_key(authorization) {
            slots.clear();
        }
        Arc::clone(slots.entry(authorization.clone()).or_default())
    }

    /// A new token, and how long it is valid.
    async fn ask(&self, authorization: &Authorization) -> Result<(String, Duration), TokenRefused> {
        let provider = TokenUrl::new(authorization.provider.clone())
            .map_err(|cause| TokenRefused(cause.to_string()))?;
        let auth_type = match authorization.mode {
            CredentialsMode::Header => AuthType::BasicAuth,
            CredentialsMode::Body => AuthType::RequestBody,
        };
        let client = BasicClient::new(ClientId::new(authorization.client_id.clone()))
            .set_client_secret(ClientSecret::new(authorization.expose_secret().to_owned()))
            .set_token_uri(provider)
            .set_auth_type(auth_type);
        let scopes = authorization.scope.iter().flat_map(|it| it.split(' '));
        let answer = client
            .exchange_client_credentials()
            .add_scopes(scopes.map(|scope| Scope::new(scope.to_owned())))
            .request_async(&|request| self.pass_on(request))
            .await
            .map_err(|error| TokenRefused(explain(&error)))?;
        let valid = answer.expires_in().unwrap_or(UNTOLD);
        Ok((answer.access_token().secret().clone(), valid))
    }

    async fn pass_on(
        &self,
        request: HttpRequest,
    ) -> Result<HttpResponse, bellwire_outbound::Failure> {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string();
        let answer = self
            .sender
            .post(&url, parts.headers, body.into())
            .await
            .outcome?;
        let mut response = HttpResponse::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

/// What went wrong, without the provider's words: they may repeat the credentials.
fn explain<E, T>(error: &oauth2::RequestTokenError<E, T>) -> String
where
    E: std::error::Error + 'static,
    T: oauth2::ErrorResponse,
{
    match error {
        oauth2::RequestTokenError::Request(cause) => cause.to_string(),
        oauth2::RequestTokenError::ServerResponse(_) => "the provider refuses".to_owned(),
        oauth2::RequestTokenError::Parse(..) | oauth2::RequestTokenError::Other(_) => {
            "the provider's answer is not that of OAuth 2.0".to_owned()
        }
    }
}
