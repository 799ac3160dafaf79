//! The answer of a provider that grants an access token (RFC 6749, 5.1), read as providers send it.
//!
//! The `oauth2` crate's own type takes no more than the RFC allows, and its author advises one of one's
//! own for providers that send something else: <https://github.com/ramosbugs/oauth2-rs/issues/85>. What is
//! read here is what a delivery needs: the token, its type and its lifetime. All else in the answer,
//! such as `scope`, is ignored whatever its form.

use std::time::Duration;

use oauth2::basic::BasicTokenType;
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A token that was granted. `Debug` and serialised forms leave the token out.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct GrantedToken {
    #[serde(skip_serializing)]
    access_token: AccessToken,
    #[serde(default = "bearer", deserialize_with = "token_type")]
    token_type: BasicTokenType,
    #[serde(default, deserialize_with = "lifetime")]
    expires_in: Option<Duration>,
}

impl TokenResponse for GrantedToken {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        None
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

fn bearer() -> BasicTokenType {
    BasicTokenType::Bearer
}

/// The type of the token, in any case. Providers that leave it out grant bearer tokens, and Apigee calls
/// them `BearerToken`.
fn token_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BasicTokenType, D::Error> {
    let said = Value::deserialize(deserializer)?;
    let name = match &said {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        other => other.to_string(),
    };
    Ok(match name.as_str() {
        "" | "bearer" | "bearertoken" => bearer(),
        _ => BasicTokenType::Extension(name),
    })
}

/// How long the token is valid, from a number of seconds or a text with one. `None` when the answer doesn't
/// say so: what is no number, or is negative, by which providers mean that they don't know
/// (<https://developer.broadcom.com/xapis/vmware-identity-manager-api/latest/data-structures/OAuth2Token>).
fn lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let seconds = match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let known = seconds.filter(|seconds| *seconds >= 0.0);
    Ok(known.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is read from an answer with this field beside the token.
    fn with(field: &str, value: &Value) -> GrantedToken {
        serde_json::from_value(json!({"access_token": "t", field: value})).unwrap()
    }

    #[test]
    fn a_lifetime_is_read_in_every_form_in_which_providers_send_it() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (said, expected) in [
            (json!(3600), seconds(3600)),
            (json!("3600"), seconds(3600)),
            (json!(" 3600 "), seconds(3600)),
            (json!(3600.0), seconds(3600)),
            (json!(0), seconds(0)),
            (json!("0"), seconds(0)),
            (json!(3599.5), Some(Duration::from_millis(3_599_500))),
            (json!("3599.5"), Some(Duration::from_millis(3_599_500))),
            (json!(u64::MAX), Some(Duration::MAX)),
            (json!(1e300), Some(Duration::MAX)),
            (json!("1e400"), Some(Duration::MAX)),
            (json!(null), None),
            (json!(""), None),
            (json!("soon"), None),
            (json!("NaN"), None),
            (json!(-1), None),
            (json!("-1"), None),
            (json!(-1e300), None),
            (json!(true), None),
            (json!([3600]), None),
            (json!({"seconds": 3600}), None),
        ] {
            let found = with("expires_in", &said).expires_in();
            assert_eq!(found, expected, "{said}");
        }
        // Whole seconds are as exact as they were sent, but for those of millennia.
        let long = with("expires_in", &json!(10_u64.pow(12))).expires_in();
        assert_eq!(long, seconds(10_u64.pow(12)));
    }

    #[test]
    fn a_token_is_a_bearer_token_unless_it_is_said_to_be_another() {
        for (said, is_bearer) in [
            (json!("bearer"), true),
            (json!("Bearer"), true),
            (json!("BEARER"), true),
            (json!(" bearer "), true),
            (json!("BearerToken"), true),
            (json!(""), true),
            (json!(null), true),
            (json!("mac"), false),
            (json!("DPoP"), false),
            (json!("bearer mac"), false),
            (json!(1), false),
            (json!(["bearer"]), false),
        ] {
            let found = with("token_type", &said);
            let bearer = *found.token_type() == BasicTokenType::Bearer;
            assert_eq!(bearer, is_bearer, "{said}");
        }
    }

    #[test]
    fn nothing_but_the_token_is_needed_and_the_rest_may_have_any_form() {
        for more in [
            json!({}),
            json!({"scope": ["read", "write"]}),
            json!({"scope": 1, "refresh_token": null, "issued_at": "1", "error": null}),
        ] {
            let mut answer = json!({"access_token": "hush"});
            for (name, value) in more.as_object().unwrap() {
                answer[name] = value.clone();
            }
            let found: GrantedToken = serde_json::from_value(answer).unwrap();
            assert_eq!(found.access_token().secret(), "hush");
            assert_eq!(*found.token_type(), BasicTokenType::Bearer);
            let shown = format!("{found:?}{}", json!(found));
            assert!(!shown.contains("hush"), "{shown}");
        }
    }

    #[test]
    fn without_a_token_there_is_none() {
        for answer in [
            json!({}),
            json!([]),
            json!(null),
            json!({"access_token": null}),
            json!({"access_token": 1}),
            json!({"access_token": ["t"]}),
            json!({"accessToken": "t"}),
        ] {
            let found = serde_json::from_value::<GrantedToken>(answer.clone());
            assert!(found.is_err(), "{answer}");
        }
    }
}
