//! OAuth 2.0 client credentials (RFC 6749, 4.4): how deliveries to a subscriber's endpoint are
//! authorised.

use serde::{Deserialize, Serialize};

use crate::endpoint::callback_url::{UrlPolicy, UrlRefused};
use crate::object::said;
use crate::secret::{REDACTED, Secret, stored};

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

/// Changes of settings as a client sends them: what is left out stays as it is.
/// [`Authorization::merged`] checks them.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PatchAuthorization {
    #[serde(rename = "type", deserialize_with = "said")]
    kind: Option<AuthorizationType>,
    #[serde(deserialize_with = "said")]
    client_id: Option<String>,
    #[serde(deserialize_with = "said")]
    client_secret: Option<String>,
    #[serde(deserialize_with = "said")]
    provider: Option<String>,
    /// `Some(None)` for the default.
    #[serde(deserialize_with = "said")]
    mode: Option<Option<CredentialsMode>>,
    /// `Some(None)` for none.
    #[serde(deserialize_with = "said")]
    scope: Option<Option<String>>,
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
    /// The named field is missing, and there are no settings that have it.
    #[error("is missing")]
    Missing(&'static str),
    /// The provider's URL is not allowed.
    #[error(transparent)]
    Provider(#[from] UrlRefused),
}

impl BadAuthorization {
    /// The field at fault, as a path in the request's JSON: `authorization.clientId`.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Length(field) | Self::Missing(field) => field,
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

    /// The settings after a client's changes of `current`, if there are any. The secret stays as it is unless
    /// there is a new one: [`REDACTED`], which is what clients are shown, is none. Without `current`, the
    /// changes have to be all that settings need.
    pub fn merged(
        current: Option<&Self>,
        changes: PatchAuthorization,
        policy: &UrlPolicy,
    ) -> Result<Self, BadAuthorization> {
        let merge = |new: Option<String>, old: fn(&Self) -> &str, field| {
            new.or_else(|| current.map(|current| old(current).to_owned()))
                .ok_or(BadAuthorization::Missing(field))
        };
        let secret = changes.client_secret.filter(|secret| secret != REDACTED);
        let kind = changes
            .kind
            .or(current.map(|_| AuthorizationType::Oauth2))
            .ok_or(BadAuthorization::Missing("authorization.type"))?;
        let scope = current.and_then(|current| current.scope.clone());
        let mode = current.map(|current| current.mode).unwrap_or_default();
        let merged = CreateAuthorization {
            kind,
            client_id: merge(
                changes.client_id,
                |it| &it.client_id,
                "authorization.clientId",
            )?,
            client_secret: Secret::new(merge(
                secret,
                Self::expose_secret,
                "authorization.clientSecret",
            )?),
            provider: merge(
                changes.provider,
                |it| &it.provider,
                "authorization.provider",
            )?,
            mode: changes.mode.map_or(mode, Option::unwrap_or_default),
            scope: changes.scope.unwrap_or(scope),
        };
        Self::check(merged, policy)
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
            client_secret: REDACTED,
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

    fn merged(current: Option<&Authorization>, changes: Value) -> Result<Authorization, String> {
        let changes = serde_json::from_value(changes).map_err(|error| error.to_string())?;
        Authorization::merged(current, changes, &UrlPolicy::default())
            .map_err(|bad| format!("{}: {bad}", bad.field()))
    }

    #[test]
    fn what_is_not_changed_stays() {
        let before = check(json!({"mode": "body", "scope": "a b"})).unwrap();
        let same = merged(Some(&before), json!({})).unwrap();
        assert_eq!(same, before);
        let shown = serde_json::to_value(before.redacted()).unwrap();
        assert_eq!(merged(Some(&before), shown).unwrap(), before);
        let after = merged(
            Some(&before),
            json!({"clientId": "you", "mode": null, "scope": null}),
        )
        .unwrap();
        assert_eq!(
            (after.client_id.as_str(), after.scope.as_deref()),
            ("you", None)
        );
        assert_eq!(
            (after.mode, after.expose_secret()),
            (CredentialsMode::Header, "hush")
        );
        let after = merged(Some(&before), json!({"clientSecret": "new", "scope": "c"})).unwrap();
        assert_eq!(
            (after.expose_secret(), after.scope.as_deref()),
            ("new", Some("c"))
        );
        assert_eq!((after.mode, after.provider), (before.mode, before.provider));
    }

    #[test]
    fn without_settings_a_change_has_to_be_complete() {
        let complete = json!({"type": "oauth2", "clientId": "me", "clientSecret": "hush", "provider": "https://id.example.com/token"});
        assert_eq!(
            merged(None, complete.clone()).unwrap(),
            check(json!({})).unwrap()
        );
        for field in ["type", "clientId", "clientSecret", "provider"] {
            let mut changes = complete.clone();
            changes.as_object_mut().unwrap().remove(field);
            let error = merged(None, changes).unwrap_err();
            assert_eq!(error, format!("authorization.{field}: is missing"));
        }
        let mut changes = complete;
        changes["clientSecret"] = json!(REDACTED);
        let error = merged(None, changes).unwrap_err();
        assert_eq!(error, "authorization.clientSecret: is missing");
    }

    #[test]
    fn changes_that_make_no_sense_are_named() {
        let before = check(json!({})).unwrap();
        for (changes, problem) in [
            (json!({"clientId": null}), "invalid type: null"),
            (json!({"clientSecret": null}), "invalid type: null"),
            (json!({"type": "basic"}), "unknown variant `basic`"),
            (
                json!({"clientSecret": ""}),
                "authorization.clientSecret: must have 1",
            ),
            (
                json!({"provider": "https://10.0.0.1/"}),
                "authorization.provider: must not point",
            ),
            (json!({"extra": 1}), "unknown field `extra`"),
        ] {
            let error = merged(Some(&before), changes).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
