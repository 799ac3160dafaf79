//! Which URLs a client may register, and [`CallbackUrl`], the type of a URL that was checked.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;
use url::{Host, Url};

use crate::endpoint::host_name::{is_localhost, is_name, is_private_name};
use crate::endpoint::network::{OpenNetworks, is_global};

/// The longest URL that is accepted, in characters.
pub const MAX_URL_LENGTH: usize = 2048;

/// Which callback URLs a stack allows. The default allows `https` to public addresses only.
#[derive(Debug, Clone, Default)]
pub struct UrlPolicy {
    /// Whether `http` is allowed beside `https`.
    pub allow_http: bool,
    /// Networks that are not globally reachable and that callback URLs may point at all the same.
    pub open_networks: OpenNetworks,
}

/// Why a URL was refused; the text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text has more than [`MAX_URL_LENGTH`] characters.
    #[error("must have at most {MAX_URL_LENGTH} characters")]
    TooLong,
    /// The text holds white space, a control character or a backslash, which HTTP clients read in
    /// different ways.
    #[error("must not contain white space, control characters or backslashes")]
    Characters,
    /// The text is not an absolute URL with a host.
    #[error("must be an absolute URL such as https://example.com/callback")]
    NotAUrl,
    /// The scheme is not allowed.
    #[error("must use {allowed}, not {found}")]
    Scheme {
        /// The schemes that this stack allows.
        allowed: &'static str,
        /// The scheme of the URL.
        found: String,
    },
    /// The URL carries a user name or a password.
    #[error("must not contain a user name or password")]
    Credentials,
    /// The URL has a fragment, which HTTP requests don't carry.
    #[error("must not contain a fragment (#…)")]
    Fragment,
    /// The host is a non-global address, or a name that can't be public.
    #[error("must not point at a private, local or reserved address")]
    Address,
    /// The host is not a name that the domain name system could have.
    #[error(
        "must have a host name of letters, digits and hyphens between dots, of at most 253 characters"
    )]
    Name,
    /// The port belongs to another protocol, whose servers might take an HTTP request for one of
    /// theirs.
    #[error("must not use port {0}, which belongs to another protocol")]
    Port(u16),
}

/// The ports that browsers refuse: those of protocols other than HTTP.
/// <https://fetch.spec.whatwg.org/#port-blocking>
const BAD_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
];
/// A callback URL that has passed a [`UrlPolicy`], in the normal form of the WHATWG URL standard.
///
/// The normal form is both stored and called, so that no two HTTP clients can read it differently.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CallbackUrl(String);

impl CallbackUrl {
    /// The URL as text, in normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }
}

impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl UrlPolicy {
    /// Checks a URL that a client wants to be called at, and puts it into normal form.
    pub fn check(&self, text: &str) -> Result<CallbackUrl, UrlRefused> {
        let url = parse(text)?;
        self.check_scheme(&url)?;
        self.check_host(&url)?;
        if let Some(port) = url.port()
            && BAD_PORTS.contains(&port)
        {
            return Err(UrlRefused::Port(port));
        }
        Ok(CallbackUrl(url.into()))
    }

    /// Whether a connection to `address` is allowed.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        is_global(address) || self.open_networks.contains(address)
    }

    fn check_scheme(&self, url: &Url) -> Result<(), UrlRefused> {
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.allow_http => Ok(()),
            other => Err(UrlRefused::Scheme {
                allowed: if self.allow_http {
                    "https or http"
                } else {
                    "https"
                },
                found: other.to_owned(),
            }),
        }
    }

    fn check_host(&self, url: &Url) -> Result<(), UrlRefused> {
        let allowed = match url.host() {
            None => return Err(UrlRefused::NotAUrl),
            Some(Host::Ipv4(ip)) => self.allows_address(ip.into()),
            Some(Host::Ipv6(ip)) => self.allows_address(ip.into()),
            Some(Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                if !is_name(name) {
                    return Err(UrlRefused::Name);
                }
                if is_localhost(name) {
                    self.opens_loopback()
                } else {
                    // Where a stack opens a network, private names are allowed, since they may lie
                    // in it.
                    !is_private_name(name) || !self.open_networks.is_empty()
                }
            }
        };
        if allowed {
            Ok(())
        } else {
            Err(UrlRefused::Address)
        }
    }

    fn opens_loopback(&self) -> bool {
        self.allows_address(Ipv4Addr::LOCALHOST.into())
            || self.allows_address(Ipv6Addr::LOCALHOST.into())
    }
}

/// The normal form of a URL, whether or not a stack allows it: to find what was registered under a
/// policy that has changed since.
pub fn normal_form(text: &str) -> Result<String, UrlRefused> {
    parse(text).map(String::from)
}

/// The host of a URL in normal form, without the dot that may end a name: `example.com`,
/// `192.0.2.1`, `[2001:db8::1]`. Empty for a text that is not a URL.
pub fn host_of(url: &str) -> String {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    host.trim_end_matches('.').to_owned()
}

/// Parses a URL, with the checks that don't depend on a policy.
fn parse(text: &str) -> Result<Url, UrlRefused> {
    if text.is_empty() {
        return Err(UrlRefused::Empty);
    }
    if text.chars().count() > MAX_URL_LENGTH {
        return Err(UrlRefused::TooLong);
    }
    if text
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == '\\')
    {
        return Err(UrlRefused::Characters);
    }
    let url = Url::parse(text).map_err(|_| UrlRefused::NotAUrl)?;
    if !url.username().is_empty() || url.password().is_some() || has_user(text) {
        return Err(UrlRefused::Credentials);
    }
    if url.fragment().is_some() {
        return Err(UrlRefused::Fragment);
    }
    if url.as_str().len() > MAX_URL_LENGTH {
        return Err(UrlRefused::TooLong);
    }
    Ok(url)
}

/// Whether a user name precedes the host. An empty one counts too, although the normal form leaves
/// it out.
fn has_user(text: &str) -> bool {
    let behind_the_scheme = text.split_once(':').map_or(text, |(_, rest)| rest);
    let authority = behind_the_scheme.trim_start_matches('/');
    let authority = authority.split(['/', '?', '#']).next();
    authority.is_some_and(|authority| authority.contains('@'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strict() -> UrlPolicy {
        UrlPolicy::default()
    }

    fn local() -> UrlPolicy {
        UrlPolicy {
            allow_http: true,
            open_networks: "127.0.0.0/8,::1/128".parse().unwrap(),
        }
    }

    #[test]
    fn ordinary_urls_pass_and_are_normalised() {
        for (text, normal) in [
            (
                "https://example.com/callback",
                "https://example.com/callback",
            ),
            ("HTTPS://EXAMPLE.com:443/a?b=c", "https://example.com/a?b=c"),
            ("https://example.com", "https://example.com/"),
            ("https://example.com:8443/x", "https://example.com:8443/x"),
            ("https://example.com./x", "https://example.com./x"),
            ("https://a_b.example.com/@", "https://a_b.example.com/@"),
            ("https://8.8.8.8/x", "https://8.8.8.8/x"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
            (
                "https://localhost.example.com/",
                "https://localhost.example.com/",
            ),
        ] {
            assert_eq!(strict().check(text).unwrap().as_str(), normal);
        }
    }

    #[test]
    fn a_host_is_the_same_however_it_is_written() {
        for (url, host) in [
            ("https://example.com/a?b=c", "example.com"),
            ("https://example.com.:8443/", "example.com"),
            ("https://8.8.8.8/x", "8.8.8.8"),
            ("https://[2606:4700::1111]/", "[2606:4700::1111]"),
            ("nothing", ""),
        ] {
            assert_eq!(host_of(url), host);
        }
    }

    #[test]
    fn bad_urls_are_refused_with_their_reason() {
        let long = format!("https://example.com/{}", "a".repeat(3000));
        let long_label = format!("https://{}.example.com/", "a".repeat(64));
        let long_name = format!("https://{}example.com/", "a.".repeat(130));
        for (text, reason) in [
            ("", UrlRefused::Empty),
            (long.as_str(), UrlRefused::TooLong),
            ("https://example.com/a b", UrlRefused::Characters),
            (" https://example.com/", UrlRefused::Characters),
            ("https://exam\nple.com/", UrlRefused::Characters),
            ("https:\\\\example.com\\", UrlRefused::Characters),
            ("example.com/callback", UrlRefused::NotAUrl),
            ("/callback", UrlRefused::NotAUrl),
            ("https://", UrlRefused::NotAUrl),
            ("https://exa%00mple/", UrlRefused::NotAUrl),
            ("https://example.com:99999/", UrlRefused::NotAUrl),
            ("https://user:pw@example.com/", UrlRefused::Credentials),
            ("https://user@example.com/", UrlRefused::Credentials),
            ("https://:pw@example.com/", UrlRefused::Credentials),
            ("https://@example.com/", UrlRefused::Credentials),
            ("https:@example.com/", UrlRefused::Credentials),
            ("https://:@example.com/", UrlRefused::Credentials),
            ("https://example.com/#top", UrlRefused::Fragment),
            ("https://example.com/#", UrlRefused::Fragment),
            ("https://localhost/", UrlRefused::Address),
            ("https://LOCALHOST./", UrlRefused::Address),
            ("https://api.localhost/", UrlRefused::Address),
            ("https://intranet/", UrlRefused::Address),
            ("https://printer.local/", UrlRefused::Address),
            ("https://db.prod.internal./", UrlRefused::Address),
            ("https://example..com/", UrlRefused::Name),
            ("https://.example.com/", UrlRefused::Name),
            ("https://example.com../", UrlRefused::Name),
            ("https://-a.example.com/", UrlRefused::Name),
            ("https://a!b.example.com/", UrlRefused::Name),
            (long_label.as_str(), UrlRefused::Name),
            (long_name.as_str(), UrlRefused::Name),
            ("https://example.com:25/", UrlRefused::Port(25)),
            ("https://example.com:6667/", UrlRefused::Port(6667)),
            ("https://8.8.8.8:22/", UrlRefused::Port(22)),
            ("https://example.com:0/", UrlRefused::Port(0)),
            ("https://127.0.0.1/", UrlRefused::Address),
            ("https://127.1/", UrlRefused::Address),
            ("https://0x7f000001/", UrlRefused::Address),
            ("https://2130706433/", UrlRefused::Address),
            ("https://0177.0.0.1/", UrlRefused::Address),
            ("https://10.1.2.3/", UrlRefused::Address),
            ("https://169.254.169.254/latest/", UrlRefused::Address),
            ("https://[::1]/", UrlRefused::Address),
            ("https://[::ffff:169.254.169.254]/", UrlRefused::Address),
            ("https://[fd00:ec2::254]/", UrlRefused::Address),
            ("https://１２７.0.0.1/", UrlRefused::Address),
        ] {
            assert_eq!(strict().check(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn schemes_depend_on_the_stack() {
        let refused = strict().check("http://example.com/").unwrap_err();
        assert_eq!(refused.to_string(), "must use https, not http");
        let refused = local().check("ftp://example.com/").unwrap_err();
        assert_eq!(refused.to_string(), "must use https or http, not ftp");
        assert!(local().check("http://example.com/").is_ok());
        assert!(strict().check("javascript:alert(1)").is_err());
        assert!(strict().check("file:///etc/passwd").is_err());
    }

    #[test]
    fn an_opened_network_is_reachable_and_no_other() {
        for text in [
            "http://127.0.0.1:8080/x",
            "http://localhost:3000/",
            "http://[::1]:3000/",
            "http://app:3000/",
            "http://app.internal/",
        ] {
            assert!(local().check(text).is_ok(), "{text}");
        }
        assert_eq!(local().check("http://10.0.0.1/"), Err(UrlRefused::Address));
    }

    #[test]
    fn the_normal_form_does_not_ask_the_policy() {
        assert_eq!(normal_form("HTTP://10.1/").unwrap(), "http://10.0.0.1/");
        assert_eq!(normal_form("http://a:b@c/"), Err(UrlRefused::Credentials));
    }

    #[test]
    fn percent_encoding_counts_towards_the_length() {
        let text = format!("https://example.com/{}", "é".repeat(1000));
        assert_eq!(strict().check(&text), Err(UrlRefused::TooLong));
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".{0,60}") {
            let _ = strict().check(&text);
        }

        #[test]
        fn checking_twice_changes_nothing(path in "[a-zé/?=&%.]{0,40}") {
            if let Ok(url) = strict().check(&format!("https://example.com/{path}")) {
                prop_assert_eq!(strict().check(url.as_str()), Ok(url.clone()));
                prop_assert_eq!(url.scheme(), "https");
            }
        }

        #[test]
        fn no_spelling_of_a_private_ipv4_address_passes(b: u8, c: u8, d: u8) {
            let number = u32::from_be_bytes([10, b, c, d]);
            for host in [
                format!("10.{b}.{c}.{d}"),
                format!("{number}"),
                format!("{number:#x}"),
                format!("0{number:o}"),
                format!("[::ffff:10.{b}.{c}.{d}]"),
            ] {
                let text = format!("https://{host}/");
                prop_assert_eq!(strict().check(&text), Err(UrlRefused::Address));
            }
        }
    }
}
