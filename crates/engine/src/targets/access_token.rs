//! Access tokens for endpoints that want them: OAuth 2.0, client credentials.
//!
//! A token is asked for once and used until shortly before it expires, by the wall clock: the
//! monotonic one stands still while Lambda has a function frozen. The provider's URL
//! is a stranger's like the endpoint's, and called in the same guarded way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bellwire_domain::endpoint::authorization::{Authorization, CredentialsMode};
use bellwire_outbound::Sender;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RequestTokenError, Scope,
    StandardRevocableToken, TokenResponse, TokenUrl,
};
use tokio::sync::Mutex;

use crate::targets::token_refusal::refusal;
use crate::targets::token_response::GrantedToken;

/// How long a token is used, at most.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a token is used that doesn't say how long it is valid.
const WITHOUT_LIFETIME: Duration = Duration::from_secs(300);
/// How long before its end a token is not used any more, at most.
const MARGIN: Duration = Duration::from_secs(30);
/// How many tokens are remembered.
const REMEMBERED: usize = 1000;

/// A client of OAuth 2.0 that reads answers with tokens as providers send them. The types of other
/// requests than those for tokens are not used.
type TokenClient = oauth2::Client<
    BasicErrorResponse,
    GrantedToken,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

/// There is no token to be had; the text is for the subscription's owner.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TokenRefused(pub String);

/// What came of asking for a token.
#[derive(Debug)]
enum Asked {
    /// The value of the header `Authorization`, and until when it is used.
    Granted(HeaderValue, SystemTime),
    /// Why there was none, and when.
    Refused(TokenRefused, SystemTime),
}

/// What is known of a token. Locked while it is asked for.
type Slot = Arc<Mutex<Option<Asked>>>;

/// The tokens that are in use.
#[derive(Debug)]
pub struct AccessTokens {
    sender: Sender,
    limit: Duration,
    slots: Mutex<HashMap<Authorization, Slot>>,
}

impl AccessTokens {
    /// Tokens that are asked for by this sender, and had within this time or not at all.
    pub fn new(sender: Sender, limit: Duration) -> Self {
        Self {
            sender,
            limit,
            slots: Mutex::default(),
        }
    }

    /// The header `Authorization` with a token that is valid. Whoever wants the same one
    /// meanwhile waits for it, and shares what comes of it. To wait for another's and to ask then take
    /// no longer than to ask: the function's time is measured by that.
    pub async fn get(&self, authorization: &Authorization) -> Result<HeaderValue, TokenRefused> {
        let got = tokio::time::timeout(self.limit, self.wait_or_ask(authorization)).await;
        got.unwrap_or_else(|_| Err(TokenRefused("there was none in time".to_owned())))
    }

    async fn wait_or_ask(
        &self,
        authorization: &Authorization,
    ) -> Result<HeaderValue, TokenRefused> {
        let wanted_at = SystemTime::now();
        let slot = self.slot(authorization).await;
        let mut slot = slot.lock().await;
        match slot.as_ref() {
            Some(Asked::Granted(header, until)) if *until > wanted_at => return Ok(header.clone()),
            Some(Asked::Refused(reason, at)) if *at > wanted_at => return Err(reason.clone()),
            _ => {}
        }
        let asked = self.ask(authorization).await;
        let now = SystemTime::now();
        match asked {
            Ok((header, valid)) => {
                let margin = MARGIN.min(valid / 10);
                *slot = Some(Asked::Granted(header.clone(), now + (valid - margin)));
                Ok(header)
            }
            Err(reason) => {
                *slot = Some(Asked::Refused(reason.clone(), now));
                Err(reason)
            }
        }
    }

    /// Forgets a token that an endpoint didn't take, unless there is another one already, or it is
    /// being asked for.
    pub async fn forget(&self, authorization: &Authorization, refused: &HeaderValue) {
        let slot = self.slot(authorization).await;
        let Ok(mut slot) = slot.try_lock() else {
            return;
        };
        if matches!(&*slot, Some(Asked::Granted(header, _)) if header == refused) {
            *slot = None;
        }
    }

    async fn slot(&self, authorization: &Authorization) -> Slot {
        let mut slots = self.slots.lock().await;
        if slots.len() >= REMEMBERED && !slots.contains_key(authorization) {
            slots.clear();
        }
        Arc::clone(slots.entry(authorization.clone()).or_default())
    }

    /// The header with a new token, and how long it is valid.
    async fn ask(
        &self,
        authorization: &Authorization,
    ) -> Result<(HeaderValue, Duration), TokenRefused> {
        let provider = TokenUrl::new(authorization.provider.clone())
            .map_err(|cause| TokenRefused(cause.to_string()))?;
        let auth_type = match authorization.mode {
            CredentialsMode::Header => AuthType::BasicAuth,
            CredentialsMode::Body => AuthType::RequestBody,
        };
        let client = TokenClient::new(ClientId::new(authorization.client_id.clone()))
            .set_client_secret(ClientSecret::new(authorization.expose_secret().to_owned()))
            .set_token_uri(provider)
            .set_auth_type(auth_type);
        let scopes = authorization.scope.iter().flat_map(|it| it.split(' '));
        let answer = client
            .exchange_client_credentials()
            .add_scopes(scopes.map(|scope| Scope::new(scope.to_owned())))
            .request_async(&|request| self.pass_on(request, authorization))
            .await
            .map_err(refused)?;
        // RFC 6749, 7.1: a client must not use a token whose type it doesn't understand.
        if *answer.token_type() != BasicTokenType::Bearer {
            let reason = "the provider's token is not of the type Bearer";
            return Err(TokenRefused(reason.to_owned()));
        }
        let valid = answer.expires_in().unwrap_or(WITHOUT_LIFETIME).min(LONGEST);
        let token = answer.access_token().secret();
        if token.is_empty() {
            return Err(TokenRefused("the provider's token is empty".to_owned()));
        }
        let header = format!("Bearer {token}");
        let mut header = HeaderValue::from_str(&header)
            .map_err(|_| TokenRefused("the token can't be sent in a header".to_owned()))?;
        header.set_sensitive(true);
        Ok((header, valid))
    }

    /// Sends the request of the `oauth2` crate to the provider. That crate wouldn't say which status the
    /// answer had, so a refusal is recognised here.
    async fn pass_on(
        &self,
        request: HttpRequest,
        authorization: &Authorization,
    ) -> Result<HttpResponse, TokenRefused> {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string();
        let sent = parts.headers.get(AUTHORIZATION).cloned();
        let exchange = self.sender.post(&url, parts.headers, body.into()).await;
        let answer = exchange
            .outcome
            .map_err(|failure| TokenRefused(failure.to_string()))?;
        if let Some(reason) = refusal(answer.status, &answer.body, authorization, sent.as_ref()) {
            return Err(TokenRefused(reason));
        }
        let mut response = HttpResponse::new(answer.body);
        // The crate takes no other 2xx, and no other type than application/json; JSON is JSON.
        *response.status_mut() = StatusCode::OK;
        *response.headers_mut() = answer.headers;
        response.headers_mut().remove(CONTENT_TYPE);
        Ok(response)
    }
}

/// Why there is no token. Of an answer that can't be read nothing is shown: there may be a token in it.
fn refused(error: RequestTokenError<TokenRefused, BasicErrorResponse>) -> TokenRefused {
    match error {
        RequestTokenError::Request(refused) => refused,
        RequestTokenError::ServerResponse(_)
        | RequestTokenError::Parse(..)
        | RequestTokenError::Other(_) => {
            let reason = "the provider's answer is not that of OAuth 2.0";
            TokenRefused(reason.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwire_domain::UrlPolicy;
    use bellwire_outbound::Limits;
    use serde_json::json;

    use super::*;

    fn tokens(limit: Duration) -> AccessTokens {
        let sender = Sender::new(UrlPolicy::default(), Limits::default()).unwrap();
        AccessTokens::new(sender, limit)
    }

    fn authorization() -> Authorization {
        let said = json!({
            "type": "oauth2",
            "clientId": "me",
            "clientSecret": "hush",
            "provider": "https://id.example.com/token",
        });
        Authorization::check(serde_json::from_value(said).unwrap(), &UrlPolicy::default()).unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn waiting_for_anothers_token_takes_no_longer_than_asking_for_one() {
        let authorization = authorization();
        let tokens = tokens(Duration::from_millis(20));
        let slot = tokens.slot(&authorization).await;
        // Somebody is asking, and never comes to an end.
        let asking = slot.lock().await;
        let refused = tokens.get(&authorization).await.unwrap_err();
        assert_eq!(refused.to_string(), "there was none in time");
        // Nor does whoever has a token refused meanwhile wait for that.
        let token = HeaderValue::from_static("Bearer 1");
        tokens.forget(&authorization, &token).await;
        drop(asking);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_newer_token_is_not_forgotten_for_the_refusal_of_an_older_one() {
        let authorization = authorization();
        let tokens = tokens(Duration::from_secs(15));
        let [old, new] = ["Bearer 1", "Bearer 2"].map(HeaderValue::from_static);
        let until = SystemTime::now() + Duration::from_secs(60);
        let slot = tokens.slot(&authorization).await;
        *slot.lock().await = Some(Asked::Granted(new.clone(), until));
        tokens.forget(&authorization, &old).await;
        assert_eq!(tokens.get(&authorization).await.unwrap(), new);
        tokens.forget(&authorization, &new).await;
        assert!(slot.lock().await.is_none());
    }
}
