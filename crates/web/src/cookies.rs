//! The cookies of the consoles: the token of the session, and what a portal link has said.
//!
//! Without `Path`, a cookie belongs to the folder of the page that sets it
//! (<https://www.rfc-editor.org/rfc/rfc6265#section-5.1.4>): that of the console, whatever the stage or the base path of a
//! domain is. So they are set by pages that lie directly in it.

use bellwire_domain::Secret;
use bellwire_domain::digest::sha256_hex;
use form_urlencoded::Serializer;
use lambda_http::Request;
use lambda_http::http::header::COOKIE;
use url::Url;

/// The cookie that has the token.
const SESSION: &str = "bellwire-session";
/// The cookie that says how the console looks and where it leads back to.
const PORTAL: &str = "bellwire-portal";
/// What all cookies have: no script reads them, and no other site's forms bring them along.
const ATTRIBUTES: &str = "HttpOnly; Secure; SameSite=Lax";
/// How long they last, in seconds: as long as a session.
const LASTS: u32 = 8 * 60 * 60;

/// What is shown of who is signed in. It comes from the browser: it is shown, and nothing else follows from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Portal {
    /// The name of the client.
    pub name: String,
    /// The colours, `light` or `dark`; `None` for those that the browser prefers.
    pub theme: Option<&'static str>,
    /// Where the console leads back to.
    pub return_url: Option<String>,
}

impl Portal {
    /// What an answer of the function `sessions` says.
    pub fn new(name: &str, theme: Option<&str>, return_url: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            theme: match theme {
                Some("light") => Some("light"),
                Some("dark") => Some("dark"),
                _ => None,
            },
            return_url: return_url.filter(|url| is_web(url)).map(str::to_owned),
        }
    }

    fn of(text: &str) -> Self {
        let value = |name: &str| {
            let mut fields = form_urlencoded::parse(text.as_bytes());
            let found = fields.find(|(it, _)| it == name);
            found.map(|(_, value)| value.into_owned())
        };
        Self::new(
            &value("name").unwrap_or_default(),
            value("theme").as_deref(),
            value("return").as_deref(),
        )
    }

    fn text(&self) -> String {
        let mut text = Serializer::new(String::new());
        text.append_pair("name", &self.name);
        if let Some(theme) = self.theme {
            text.append_pair("theme", theme);
        }
        if let Some(url) = &self.return_url {
            text.append_pair("return", url);
        }
        text.finish()
    }
}

/// Whether it is the address of a page, and no script.
fn is_web(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
}

/// The token in the request's cookie.
pub fn token(request: &Request) -> Option<Secret> {
    let token = cookie(request, SESSION)?;
    (!token.is_empty()).then(|| Secret::new(token))
}

/// What the request's cookie says of the portal.
pub fn portal(request: &Request) -> Portal {
    cookie(request, PORTAL).map_or_else(Portal::default, Portal::of)
}

fn cookie<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let all = request.headers().get_all(COOKIE).into_iter();
    let pairs = all
        .filter_map(|header| header.to_str().ok())
        .flat_map(|it| it.split(';'));
    let mut named = pairs.filter_map(|pair| pair.trim().split_once('='));
    named.find(|(it, _)| *it == name).map(|(_, value)| value)
}

/// The values of `Set-Cookie` that begin a session.
pub fn begin(token: &Secret, portal: &Portal) -> [String; 2] {
    let token = token.expose();
    [
        format!("{SESSION}={token}; Max-Age={LASTS}; {ATTRIBUTES}"),
        format!("{PORTAL}={}; Max-Age={LASTS}; {ATTRIBUTES}", portal.text()),
    ]
}

/// The values of `Set-Cookie` that end it. How the console looks stays, and where it leads back to.
pub fn end() -> [String; 1] {
    [format!("{SESSION}=; Max-Age=0; {ATTRIBUTES}")]
}

/// What forms have, so that another site can't send them: it follows from the token, which no other site knows.
pub fn form_token(token: &Secret) -> String {
    sha256_hex(&format!("form of the session {}", token.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(header: &str) -> Request {
        lambda_http::http::Request::get("/")
            .header(COOKIE, header)
            .body(lambda_http::Body::Empty)
            .unwrap()
    }

    #[test]
    fn what_is_set_comes_back() {
        let portal = Portal::new("Ä; b=c", Some("dark"), Some("https://a.example/?x=1&y=2"));
        let set = begin(&Secret::new("bwt_x"), &portal);
        let sent: Vec<&str> = set.iter().filter_map(|it| it.split(';').next()).collect();
        let request = with(&format!("other=1; {}", sent.join("; ")));
        assert_eq!(token(&request).unwrap().expose(), "bwt_x");
        assert_eq!(super::portal(&request), portal);
        for cookie in set {
            assert!(cookie.contains("HttpOnly; Secure; SameSite=Lax"));
            assert!(!cookie.contains("Path"));
        }
    }

    #[test]
    fn a_portal_leads_back_to_pages_alone() {
        for url in ["javascript:alert(1)", "data:text/html,x", "/x", ""] {
            assert_eq!(Portal::new("x", None, Some(url)).return_url, None);
        }
        let text = "bellwire-portal=theme=x%22&return=javascript%3Aalert(1)";
        assert_eq!(super::portal(&with(text)), Portal::default());
    }

    #[test]
    fn no_cookie_is_no_session() {
        for header in ["", "bellwire-session=", "x", "bellwire-session"] {
            assert!(token(&with(header)).is_none(), "{header}");
        }
    }
}
