//! OAuth 2.0 client credentials (RFC 6749, 4.4): how deliveries to a subscriber's endpoint are
//! authorised.

use serde::{Deserialize, Serialize};

use crate::endpoint::callback_url::{UrlPolicy, UrlRefused};
use crate::secret::{Secret, stored};

/// The longest client id, client secret and scope, in characters.
const MAX_FIELD_LENGTH: usize = 2048;

/// The settings as a client sends them. [`Authorization::check`] checks them.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CreateAuthorization {
    #[serde(rename = "type")]
    kind: AuthorizationType,
    client_id: String,
    #[serde(with = "stored")]
    client_secret: Secret,
    provider: String,
    #[serde(default)]
    mode: CredentialsMode,
    scope: Option<String>,
}

/// The kinds of authorization that an endpoint can ask for: `type` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorizationType {
    /// OAuth 2.0 client credentials; `oauth2` in JSON.
    Oauth2,
}

/// How the client id and secret are presented to the provider when a token is requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CredentialsMode {
    /// As HTTP Basic authentication, in the header `Authorization`.
    #[default]
    Header,
    /// As fields of the form in the request's body.
    Body,
}

/// Checked settings of OAuth 2.0, as they are stored. `Debug` leaves the secret out.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Authorization {
    /// The client id that the provider knows.
    pub client_id: String,
    #[serde(with = "stored")]
    client_secret: Secret,
    /// The URL of the provider's token endpoint, in normal form.
    pub provider: String,
    /// How the client id and secret are presented to the provider.
    pub mode: CredentialsMode,
    /// The scopes to ask for, separated by spaces; `None` for the provider's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// Why settings were refused; the text gives the reason, for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthorization {
    /// The named field is empty or has more than `MAX_FIELD_LENGTH` characters.
    #[error("must have 1 to {MAX_FIELD_LENGTH} characters")]
    Length(&'static str),
    /// The provider's URL is not allowed.
    #[error(transparent)]
    Provider(#[from] UrlRefused),
}

impl BadAuthorization {
    /// The field at fault, as a path in the request's JSON: `authorization.clientId`.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Length(field) => field,
            Self::Provider(_) => "authorization.provider",
        }
    }
}

/// The settings as the API returns them, with `[redacted]` in place of the secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationView<'a> {
    #[serde(rename = "type")]
    kind: AuthorizationType,
    client_id: &'a str,
    client_secret: &'static str,
    provider: &'a str,
    mode: CredentialsMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

impl Authorization {
    /// Checks settings that a client sent. The provider's URL must pass the policy of callback
    /// URLs, because Bellwire calls it too.
    pub fn check(
        create: CreateAuthorization,
        policy: &UrlPolicy,
    ) -> Result<Self, BadAuthorization> {
        let AuthorizationType::Oauth2 = create.kind;
        for (field, text) in [
            ("authorization.clientId", Some(create.client_id.as_str())),
            (
                "authorization.clientSecret",
                Some(create.client_secret.expose()),
            ),
            ("authorization.scope", create.scope.as_deref()),
        ] {
            if text.is_some_and(|text| text.is_empty() || text.chars().count() > MAX_FIELD_LENGTH) {
                return Err(BadAuthorization::Length(field));
            }
        }
        Ok(Self {
            provider: policy.check(&create.provider)?.as_str().to_owned(),
            client_id: create.client_id,
            client_secret: create.client_secret,
            mode: create.mode,
            scope: create.scope,
        })
    }

    /// The client secret in plain text, for the request of an access token and nothing else.
    pub fn expose_secret(&self) -> &str {
        self.client_secret.expose()
    }

    /// The settings without the secret, for responses and logs.
    pub fn redacted(&self) -> AuthorizationView<'_> {
        AuthorizationView {
            kind: AuthorizationType::Oauth2,
            client_id: &self.client_id,
            client_secret: "[redacted]",
            provider: &self.provider,
            mode: self.mode,
            scope: self.scope.as_deref(),
        }
    }
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.redacted().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(change: Value) -> Result<Authorization, String> {
        let mut create = json!({"type": "oauth2", "clientId": "me", "clientSecret": "hush", "provider": "https://id.example.com/token"});
        for (key, value) in change.as_object().unwrap() {
            create[key] = value.clone();
        }
        let create = serde_json::from_value(create).map_err(|error| error.to_string())?;
        Authorization::check(create, &UrlPolicy::default())
            .map_err(|bad| format!("{}: {bad}", bad.field()))
    }

    #[test]
    fn the_header_is_the_usual_way_and_the_secret_is_not_shown() {
        let authorization = check(json!({})).unwrap();
        assert_eq!(authorization.mode, CredentialsMode::Header);
        assert_eq!(authorization.expose_secret(), "hush");
        let view = format!(
            "{authorization:?}{}",
            serde_json::to_string(&authorization.redacted()).unwrap()
        );
        assert!(!view.contains("hush"), "{view}");
        assert_eq!(
            check(json!({"mode": "body", "scope": "a b"})).unwrap().mode,
            CredentialsMode::Body
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (change, problem) in [
            (json!({"type": "basic"}), "unknown variant `basic`"),
            (
                json!({"clientId": ""}),
                "authorization.clientId: must have 1",
            ),
            (
                json!({"clientSecret": "x".repeat(2049)}),
                "authorization.clientSecret: must have 1",
            ),
            (json!({"scope": ""}), "authorization.scope: must have 1"),
            (
                json!({"provider": "https://10.0.0.1/"}),
                "authorization.provider: must not point",
            ),
            (
                json!({"provider": "ftp://example.com/"}),
                "authorization.provider: must use https",
            ),
            (
                json!({"provider": "http://id.example.com/token"}),
                "authorization.provider: must use https",
            ),
            (json!({"mode": "query"}), "unknown variant `query`"),
            (json!({"extra": 1}), "unknown field `extra`"),
        ] {
            let error = check(change).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
