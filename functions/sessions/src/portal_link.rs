//! `POST /v1/portal-links`: a link with which a customer is signed in to the console, once.

use std::convert::Infallible;
use std::str::FromStr;

use bellwire_api::{Failure, base_url, body, created};
use bellwire_domain::Secret;
use bellwire_domain::client::ClientReference;
use bellwire_domain::object::said;
use bellwire_domain::timestamp::iso_serde;
use bellwire_store::sign_ins::{LINK_LASTS, PortalLink};
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;

use crate::SessionsFunction;

/// The longest `return_url`, in bytes.
const MAX_RETURN_URL: usize = 1024;

/// The body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    client_id: String,
    #[serde(default, deserialize_with = "said")]
    return_url: Option<String>,
    #[serde(default, deserialize_with = "said")]
    theme: Option<Theme>,
}

/// The colours of the console.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Theme {
    Light,
    Dark,
}

impl Theme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// The response. Nothing else has the link's token.
#[derive(Serialize)]
struct LinkView {
    url: String,
    #[serde(with = "iso_serde")]
    expires_at: OffsetDateTime,
}

/// The origins that links may lead back to.
#[derive(Clone, Debug)]
pub struct ReturnOrigins(Vec<String>);

impl FromStr for ReturnOrigins {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let origins = text.split(',').map(|it| it.trim().trim_end_matches('/'));
        let origins = origins.filter(|it| !it.is_empty());
        Ok(Self(origins.map(str::to_owned).collect()))
    }
}

impl ReturnOrigins {
    /// The URL, as it is written by the WHATWG's rules, if it is one of these origins.
    fn check(&self, text: &str) -> Result<String, Failure> {
        let refused = |problem: &str| Failure::field("return_url", problem);
        if text.len() > MAX_RETURN_URL {
            return Err(refused("must have at most 1024 characters"));
        }
        let url = Url::parse(text).map_err(|_| refused("must be an absolute URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("must have no user name and no password"));
        }
        let origin = url.origin().ascii_serialization();
        if matches!(url.scheme(), "https" | "http") && self.0.contains(&origin) {
            Ok(url.into())
        } else {
            Err(refused(
                "must be of one of the origins that the stack's parameter PortalReturnOrigins names",
            ))
        }
    }
}

impl SessionsFunction {
    /// Makes a link for a client.
    ///
    /// # Errors
    /// 400 when the body is refused; 401; 403 when the key is none of an operator's; 404 when there is no such client; 409
    /// when the client is disabled, or is itself a publisher or an operator; 500 when a table fails.
    pub(crate) async fn create_link(&self, request: &Request) -> Result<Response<Body>, Failure> {
        self.authenticator.operator(request).await?;
        let wanted: Wanted = body::json(request)?;
        let client = ClientReference::parse(&wanted.client_id)
            .map_err(|bad| Failure::field("client_id", bad))?;
        let return_url = wanted.return_url.as_deref();
        let return_url = return_url
            .map(|it| self.return_origins.check(it))
            .transpose()?;
        let client = self.clients.get(&client.client_id()).await?;
        let client = client.ok_or_else(|| Failure::not_found("there is no such client"))?;
        tracing::Span::current().record("client", client.client_id.as_str());
        if client.disabled_at.is_some() {
            return Err(Failure::conflict("the client is disabled"));
        }
        if !client.may_have_link() {
            return Err(Failure::conflict(
                "the client is a publisher or an operator: it signs in with its key",
            ));
        }
        let token = Secret::generate("bwl_").map_err(Failure::internal)?;
        let now = OffsetDateTime::now_utc();
        let link = PortalLink {
            client_id: client.client_id,
            created_at: now,
            return_url,
            theme: wanted.theme.map(|theme| theme.as_str().to_owned()),
        };
        self.sign_ins.add_link(&token.hash(), &link, now).await?;
        tracing::info!("portal link made");
        let base = base_url(request, "/v1/portal-links");
        created(&LinkView {
            url: format!("{base}/console/link?token={}", token.expose()),
            expires_at: now + LINK_LASTS,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_back_to_the_named_origins_and_nowhere_else() {
        let origins: ReturnOrigins = "https://app.example.com, http://localhost:3000/"
            .parse()
            .unwrap();
        for good in [
            "https://app.example.com",
            "https://app.example.com/settings?tab=webhooks#top",
            "https://APP.example.com:443/",
            "http://localhost:3000/x",
        ] {
            assert!(origins.check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/settings",
            "app.example.com",
            "https://example.com",
            "https://app.example.com.evil.example",
            "https://app.example.com@evil.example/",
            "https://user@app.example.com/",
            "https://app.example.com:444/",
            "http://app.example.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://evil.example/https://app.example.com",
        ] {
            let refused = origins.check(bad).unwrap_err();
            assert_eq!(refused.status(), 400, "{bad}");
        }
        let none: ReturnOrigins = "".parse().unwrap();
        assert!(none.check("https://app.example.com").is_err());
    }
}
