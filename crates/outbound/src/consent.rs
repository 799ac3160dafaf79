//! The consent of endpoints to deliveries: the handshake of CloudEvents' webhooks.
//!
//! An `OPTIONS` request names who wants to call, and the endpoint names whom it allows. Everything
//! but an explicit yes is a no, whatever the status. The alternative with a URL that is called back
//! later is not offered.
//! <https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md#4-abuse-protection>

use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use bellwire_domain::{CallbackUrl, UrlPolicy};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::{Answer, Failure, Limits, Sender};

const REQUEST_ORIGIN: &str = "webhook-request-origin";
const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";
/// Short, since a caller of the API waits for the handshake.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(3),
    exchange: Duration::from_secs(5),
    body: 0,
};

/// What consent a stack requires of endpoints before it calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointConsent {
    /// No consent.
    None,
    /// The handshake, when a subscription is created.
    Options,
}

impl FromStr for EndpointConsent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "options" => Ok(Self::Options),
            _ => Err("must be none or options"),
        }
    }
}

/// Why an endpoint must not be called; the text is for the client.
#[derive(Debug, thiserror::Error)]
pub enum NoConsent {
    /// It answered, but did not allow the origin.
    #[error(
        "the endpoint must allow deliveries: to OPTIONS with WebHook-Request-Origin: {origin} it answered \
         {status} without that WebHook-Allowed-Origin"
    )]
    Unwilling {
        /// The origin that asked.
        origin: String,
        /// The status of the answer.
        status: StatusCode,
    },
    /// It did not answer.
    #[error("the endpoint must allow deliveries: to OPTIONS there was no answer: {0}")]
    Silent(Failure),
    /// It can't be asked: the origin can't be written into a header, or TLS can't be set up.
    #[error("the endpoint can't be asked: {0}")]
    Unasked(Box<dyn std::error::Error + Send + Sync>),
}

/// Asks endpoints for their consent, if the stack requires it.
#[derive(Debug)]
pub struct Consent {
    needed: EndpointConsent,
    policy: UrlPolicy,
    /// Made when it is first needed, because making it takes part of a function's start.
    sender: OnceLock<Sender>,
}

impl Consent {
    /// Requires the consent that is `needed`, of endpoints at URLs that `policy` allows.
    pub fn new(needed: EndpointConsent, policy: UrlPolicy) -> Self {
        Self {
            needed,
            policy,
            sender: OnceLock::new(),
        }
    }

    /// Asks an endpoint whether `origin`, a DNS name, may call it. Returns the origin that
    /// deliveries have to name from then on; `None` when the stack requires no consent.
    ///
    /// # Errors
    /// If the endpoint doesn't consent, or can't be asked.
    pub async fn ask(&self, url: &CallbackUrl, origin: &str) -> Result<Option<String>, NoConsent> {
        if self.needed == EndpointConsent::None {
            return Ok(None);
        }
        if origin.is_empty() {
            return Err(NoConsent::Unasked("the request names no API".into()));
        }
        let unasked = |error: Box<dyn std::error::Error + Send + Sync>| NoConsent::Unasked(error);
        let sender = match self.sender.get() {
            Some(sender) => sender,
            None => {
                let made = Sender::new(self.policy.clone(), LIMITS);
                let made = made.map_err(|error| unasked(error.into()))?;
                self.sender.get_or_init(|| made)
            }
        };
        let value = HeaderValue::from_str(origin).map_err(|error| unasked(error.into()))?;
        let headers = HeaderMap::from_iter([
            (http::HeaderName::from_static(REQUEST_ORIGIN), value),
            (
                http::header::USER_AGENT,
                HeaderValue::from_static("Bellwire"),
            ),
        ]);
        let exchange = sender
            .send(Method::OPTIONS, url.as_str(), headers, Bytes::new())
            .await;
        let answer = exchange.outcome.map_err(NoConsent::Silent)?;
        if consents(&answer, origin) {
            Ok(Some(origin.to_owned()))
        } else {
            Err(NoConsent::Unwilling {
                origin: origin.to_owned(),
                status: answer.status,
            })
        }
    }
}

/// Whether an answer allows `origin` to call: a 2xx whose `WebHook-Allowed-Origin` is `*` or the
/// origin.
fn consents(answer: &Answer, origin: &str) -> bool {
    answer.status.is_success()
        && answer
            .headers
            .get_all(ALLOWED_ORIGIN)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|allowed| allowed.trim() == "*" || allowed.trim().eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, allowed: &[&str]) -> Answer {
        let mut headers = HeaderMap::new();
        for value in allowed {
            headers.append(ALLOWED_ORIGIN, value.parse().unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Vec::new(),
            cut: false,
        }
    }

    #[test]
    fn only_an_explicit_yes_is_one() {
        let origin = "a1.execute-api.eu-west-1.amazonaws.com";
        for (status, allowed, willing) in [
            (200, vec![origin], true),
            (204, vec!["*"], true),
            (
                200,
                vec![
                    "other.example.com",
                    " A1.execute-api.eu-west-1.amazonaws.com",
                ],
                true,
            ),
            (200, vec![], false),
            (200, vec!["other.example.com"], false),
            (200, vec!["execute-api.eu-west-1.amazonaws.com"], false),
            (200, vec![""], false),
            (405, vec!["*"], false),
            (302, vec![origin], false),
            (500, vec![origin], false),
        ] {
            let said = consents(&answer(status, &allowed), origin);
            assert_eq!(said, willing, "{status} {allowed:?}");
        }
    }
}
