//! Where in a console a request leads, and how its links are written.

use lambda_http::{Request, RequestExt};
use percent_encoding::percent_decode_str;

/// A page, by the segments of its path below that of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segments, decoded: `/console/subscriptions/x` has two.
    pub segments: Vec<String>,
    /// The path below that of the console, as it was called.
    pub page: String,
    /// What leads back to the console itself: links are relative, since a stage or the base path of a domain may stand
    /// before the console's own path.
    pub root: String,
}

impl Place {
    /// The place of a request; `None` for the console's own path, without a page. The template leads all pages of a console
    /// to its function by a path that ends with `{proxy+}`.
    pub fn of(request: &Request) -> Option<Self> {
        let parameters = request.path_parameters();
        let page = parameters.first("proxy").filter(|page| !page.is_empty());
        page.map(Self::at)
    }

    /// The place of a page below the console.
    pub fn at(page: &str) -> Self {
        let segments: Vec<&str> = page.split('/').collect();
        let root = "../".repeat(segments.len() - 1);
        let segments = segments.into_iter().map(decoded).collect();
        let page = page.to_owned();
        Self {
            segments,
            page,
            root,
        }
    }

    /// The segments as texts.
    pub fn parts(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The path of a page below the console that somebody may be led to after signing in, as it was written; `None` if it may
/// lead elsewhere.
pub fn safe_page(text: &str) -> Option<&str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%/?&=+:@,".contains(&byte);
    let path = text.split('?').next().unwrap_or_default();
    let first = path.split('/').next().unwrap_or_default();
    let inside = first
        .bytes()
        .all(|it| it.is_ascii_lowercase() || it == b'-')
        && !first.is_empty();
    let climbs = path
        .split('/')
        .any(|segment| matches!(decoded(segment).as_str(), "" | "." | ".."));
    (inside && !climbs && text.bytes().all(allowed)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_back_from_any_depth() {
        let at = |page| {
            let place = Place::at(page);
            (place.segments.join("|"), place.root)
        };
        assert_eq!(at("overview"), ("overview".into(), String::new()));
        assert_eq!(at("a/b%2Fc"), ("a|b/c".into(), "../".into()));
        assert_eq!(at("a/"), ("a|".into(), "../".into()));
    }

    #[test]
    fn nobody_is_led_elsewhere() {
        for good in [
            "overview",
            "subscriptions/a%2Fb?x=1&y=2",
            "deliveries?start=2026-01-01T00:00",
        ] {
            assert_eq!(safe_page(good), Some(good));
        }
        for bad in [
            "",
            "/overview",
            "//evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "../x",
            "a/../../x",
            "a//b",
            "a\\b",
            "a\nb",
            "evil.example",
            "a/%2e%2E/%2e./b",
            "a/b?x=<script>",
        ] {
            assert_eq!(safe_page(bad), None, "{bad}");
        }
    }
}
