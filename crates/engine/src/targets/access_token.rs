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
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use bellwire_domain::UrlPolicy;
    use bellwire_outbound::Limits;
    use serde_json::json;

    use super::*;

    /// Providers on loopback are called as well.
    fn policy() -> UrlPolicy {
        UrlPolicy {
            allow_http: true,
            open_networks: "127.0.0.0/8".parse().unwrap(),
        }
    }

    fn tokens(limit: Duration) -> AccessTokens {
        let sender = Sender::new(policy(), Limits::default()).unwrap();
        AccessTokens::new(sender, limit)
    }

    fn authorization() -> Authorization {
        at("https://id.example.com/token")
    }

    fn at(provider: &str) -> Authorization {
        let said = json!({
            "type": "oauth2",
            "clientId": "me",
            "clientSecret": "hush",
            "provider": provider,
        });
        Authorization::check(serde_json::from_value(said).unwrap(), &policy()).unwrap()
    }

    /// What comes of a provider that answers each request with this status line, header and body, and how
    /// often it was asked for two tokens.
    async fn asked_twice(
        status: &str,
        header: &str,
        body: &str,
    ) -> (Result<String, String>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let (count, counted) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                // The request is short: it arrives as one.
                let _ = connection.read(&mut [0; 4096]).unwrap();
                count.send(()).unwrap();
                connection.write_all(answer.as_bytes()).unwrap();
            }
        });
        let (tokens, authorization) = (tokens(Duration::from_secs(15)), at(&url));
        let _ = tokens.get(&authorization).await;
        let got = tokens.get(&authorization).await;
        let got = got.map(|header| header.to_str().unwrap().to_owned());
        (
            got.map_err(|refused| refused.to_string()),
            counted.try_iter().count(),
        )
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_token_is_granted_however_the_provider_writes_it() {
        for (status, header, body, asked) in [
            (
                "200 OK",
                "Content-Type: application/json\r\n",
                r#"{"access_token": "t", "token_type": "BEARER", "expires_in": "3599.9"}"#,
                1,
            ),
            (
                "201 Created",
                "Content-Type: text/javascript\r\n",
                r#"{"access_token": "t", "expires_in": null, "scope": ["a", "b"]}"#,
                1,
            ),
            (
                "200 OK",
                "",
                r#"{"access_token": "t", "expires_in": -1}"#,
                1,
            ),
            (
                "200 OK",
                "",
                r#"{"access_token": "t", "expires_in": "1e99"}"#,
                1,
            ),
            (
                "200 OK",
                "",
                r#"{"access_token": "t", "expires_in": "0"}"#,
                2,
            ),
        ] {
            let got = asked_twice(status, header, body).await;
            assert_eq!(got, (Ok("Bearer t".to_owned()), asked), "{body}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn without_a_token_the_reason_is_given() {
        for (status, body, reason) in [
            (
                "401 Unauthorized",
                r#"{"error": "invalid_client", "error_description": "Who?"}"#,
                "the provider answered 401 UNAUTHORIZED: invalid_client: Who?",
            ),
            (
                "401 Unauthorized",
                r#"{"error": "invalid_client", "error_description": "not Basic bWU6aHVzaA=="}"#,
                "the provider answered 401 UNAUTHORIZED, in words that repeat credentials",
            ),
            (
                "500 Oops",
                "<html>",
                "the provider answered 500 INTERNAL_SERVER_ERROR",
            ),
            (
                "200 OK",
                "[]",
                "the provider's answer is not that of OAuth 2.0",
            ),
            (
                "200 OK",
                "",
                "the provider's answer is not that of OAuth 2.0",
            ),
            (
                "200 OK",
                r#"{"access_token": ""}"#,
                "the provider's token is empty",
            ),
            (
                "200 OK",
                r#"{"access_token": "t", "token_type": "mac"}"#,
                "the provider's token is not of the type Bearer",
            ),
            (
                "200 OK",
                r#"{"access_token": "t\nx: y"}"#,
                "the token can't be sent in a header",
            ),
        ] {
            let got = asked_twice(status, "", body).await;
            assert_eq!(got, (Err(reason.to_owned()), 2), "{body}");
        }
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
