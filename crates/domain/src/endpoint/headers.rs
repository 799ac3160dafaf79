//! The headers that a subscriber may add to its deliveries.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::secret::REDACTED;

/// The most headers that a subscription may have.
pub const MAX_HEADERS: usize = 100;
/// The most characters of a header's value.
pub const MAX_VALUE_LENGTH: usize = 4096;

/// Headers that Bellwire sets, or that belong to the connection.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    // The origin that an endpoint has allowed to call it.
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // By which a receiver, willing or not, recognises who calls.
    "user-agent",
];
/// Prefixes of Bellwire's own headers, and of those by which a receiver recognises SNS: Bellwire's
/// requests must not be taken for requests of SNS.
/// <https://docs.aws.amazon.com/sns/latest/dg/http-header.html>
const RESERVED_PREFIXES: &[&str] = &["webhook-", "x-amz-sns-", "x-axway-streams-", "x-bellwire-"];

/// Checked headers. Their values may be secrets, so `Debug` leaves them out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookHeaders(BTreeMap<String, String>);

/// Why a header was refused; the text is for the client and repeats no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderRefused {
    /// There are more than [`MAX_HEADERS`].
    #[error("at most {MAX_HEADERS} headers are allowed")]
    TooMany,
    /// RFC 9110 doesn't allow the name.
    #[error("`{0}` is not the name of a header")]
    Name(String),
    /// The header is set by Bellwire, or belongs to the connection.
    #[error("`{0}` can't be set by a subscription")]
    Reserved(String),
    /// The same name is given twice, in different letter case.
    #[error("`{0}` is given twice")]
    Twice(String),
    /// The value is to be kept, and there is no such header.
    #[error("there is no `{0}` whose value could be kept")]
    NothingToKeep(String),
    /// RFC 9110 doesn't allow the value, or it has more than [`MAX_VALUE_LENGTH`] characters.
    #[error(
        "the value of `{0}` must be at most {MAX_VALUE_LENGTH} visible ASCII characters, spaces and tabs"
    )]
    Value(String),
}

impl WebhookHeaders {
    /// Checks headers that a client sent.
    pub fn check(headers: BTreeMap<String, String>) -> Result<Self, HeaderRefused> {
        if headers.len() > MAX_HEADERS {
            return Err(HeaderRefused::TooMany);
        }
        let mut seen = HashSet::new();
        for (name, value) in &headers {
            let short = || name.chars().take(100).collect::<String>();
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| HeaderRefused::Name(short()))?;
            let lower = parsed.as_str();
            if RESERVED.contains(&lower)
                || RESERVED_PREFIXES
                    .iter()
                    .any(|prefix| lower.starts_with(prefix))
            {
                return Err(HeaderRefused::Reserved(short()));
            }
            if value.len() > MAX_VALUE_LENGTH
                || !value.is_ascii()
                || HeaderValue::from_str(value).is_err()
            {
                return Err(HeaderRefused::Value(short()));
            }
            if !seen.insert(parsed) {
                return Err(HeaderRefused::Twice(short()));
            }
        }
        Ok(Self(headers))
    }

    /// The headers after a change by a client: of each name in `changes` the new value, or `None` to remove
    /// the header. Names are compared without regard to letter case. [`REDACTED`], which is what clients
    /// are shown, keeps a value.
    pub fn merged(&self, changes: BTreeMap<String, Option<String>>) -> Result<Self, HeaderRefused> {
        let mut headers = self.0.clone();
        let mut seen = HashSet::new();
        for (name, value) in changes {
            let short = || name.chars().take(100).collect::<String>();
            if !seen.insert(name.to_ascii_lowercase()) {
                return Err(HeaderRefused::Twice(short()));
            }
            let same = |known: &&String| known.eq_ignore_ascii_case(&name);
            let known = headers.keys().find(same).cloned();
            if value.as_deref() == Some(REDACTED) {
                known.ok_or_else(|| HeaderRefused::NothingToKeep(short()))?;
                continue;
            }
            known.and_then(|known| headers.remove(&known));
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
        Self::check(headers)
    }

    /// Names and values, for the one place that sends them.
    pub fn expose(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names, each with `[redacted]` as its value, for responses and logs.
    pub fn redacted(&self) -> BTreeMap<&str, &'static str> {
        self.0
            .keys()
            .map(|name| (name.as_str(), REDACTED))
            .collect()
    }
}

impl fmt::Debug for WebhookHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.redacted().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)]) -> Result<WebhookHeaders, HeaderRefused> {
        WebhookHeaders::check(
            headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn ordinary_headers_pass_as_they_are() {
        let headers = check(&[("Authorization", "Bearer AbCdEf123456"), ("X-Trace", "")]).unwrap();
        let sent: Vec<_> = headers.expose().collect();
        assert_eq!(
            sent,
            [("Authorization", "Bearer AbCdEf123456"), ("X-Trace", "")]
        );
        assert!(!format!("{headers:?}").contains("AbCdEf"));
    }

    #[test]
    fn reserved_and_illegal_ones_are_refused() {
        for name in [
            "Host",
            "content-LENGTH",
            "Transfer-Encoding",
            "Connection",
            "Content-Type",
            "webhook-id",
            "Webhook-Signature",
            "X-Axway-Streams-Topic-Id",
            "X-Amz-Sns-Message-Type",
            "User-Agent",
        ] {
            assert_eq!(
                check(&[(name, "x")]),
                Err(HeaderRefused::Reserved(name.to_owned()))
            );
        }
        for name in ["", "a b", "a:b", "ä", "a\r\nb"] {
            assert_eq!(
                check(&[(name, "x")]),
                Err(HeaderRefused::Name(name.to_owned()))
            );
        }
        for value in ["a\r\nX-Evil: 1", "a\0", "ä", "a\u{7f}", &"x".repeat(4097)] {
            assert_eq!(
                check(&[("a", value)]),
                Err(HeaderRefused::Value("a".to_owned()))
            );
        }
        assert_eq!(
            check(&[("X-A", "1"), ("x-a", "2")]),
            Err(HeaderRefused::Twice("x-a".to_owned()))
        );
    }

    #[test]
    fn changes_are_merged_by_name() {
        let headers = check(&[("Authorization", "Bearer a"), ("X-Trace", "1")]).unwrap();
        let merged = |changes: &[(&str, Option<&str>)]| {
            let changes = changes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
            let merged = headers.merged(changes.collect())?;
            let shown = merged
                .expose()
                .map(|(name, value)| format!("{name}={value}"));
            Ok::<_, HeaderRefused>(shown.collect::<Vec<_>>().join(" "))
        };
        for (changes, expected) in [
            (&[][..], "Authorization=Bearer a X-Trace=1"),
            (&[("X-Trace", None)], "Authorization=Bearer a"),
            (
                &[("x-trace", None), ("X-None", None)],
                "Authorization=Bearer a",
            ),
            (
                &[("authorization", Some("b")), ("X-New", Some(""))],
                "X-New= X-Trace=1 authorization=b",
            ),
            // What the client was shown.
            (
                &[("AUTHORIZATION", Some(REDACTED)), ("X-Trace", Some("2"))],
                "Authorization=Bearer a X-Trace=2",
            ),
        ] {
            assert_eq!(merged(changes).as_deref(), Ok(expected));
        }
        for (changes, expected) in [
            (
                &[("X-A", Some("1")), ("x-a", None)][..],
                HeaderRefused::Twice("x-a".to_owned()),
            ),
            (
                &[("X-A", Some(REDACTED))],
                HeaderRefused::NothingToKeep("X-A".to_owned()),
            ),
            (
                &[("Host", Some("x"))],
                HeaderRefused::Reserved("Host".to_owned()),
            ),
            (&[("a b", Some("x"))], HeaderRefused::Name("a b".to_owned())),
            (
                &[("X-A", Some("\u{e4}"))],
                HeaderRefused::Value("X-A".to_owned()),
            ),
        ] {
            assert_eq!(merged(changes), Err(expected));
        }
        let many = (0..99).map(|n| (format!("x-{n}"), Some(String::new())));
        assert_eq!(headers.merged(many.collect()), Err(HeaderRefused::TooMany));
    }

    #[test]
    fn a_hundred_are_enough() {
        let many = |count: usize| {
            WebhookHeaders::check(
                (0..count)
                    .map(|n| (format!("x-{n}"), String::new()))
                    .collect(),
            )
        };
        assert!(many(100).is_ok());
        assert_eq!(many(101), Err(HeaderRefused::TooMany));
    }
}
