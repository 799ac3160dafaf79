//! The header `Accept`: which forms of a response the caller takes.
//! <https://www.rfc-editor.org/rfc/rfc9110#name-accept>

use std::str::FromStr;

use headers_accept::Accept;
use http::{HeaderMap, header};
use mediatype::{MediaTypeBuf, Name, ReadParams, names};

/// The form of the responses to a request that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorForm {
    /// `application/json`.
    Plain,
    /// `application/problem+json` (RFC 9457), since the caller names it.
    Problem,
}

/// Whether the caller takes JSON, and the form of errors. A header that can't be parsed counts as none.
pub fn accepted(headers: &HeaderMap) -> (bool, ErrorForm) {
    let said: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter(|value| !value.trim().is_empty())
        .collect();
    if said.is_empty() {
        return (true, ErrorForm::Plain);
    }
    let Ok(accept) = Accept::from_str(&said.join(",")) else {
        return (true, ErrorForm::Plain);
    };
    let problem = quality(&accept, |it| {
        is(it, "problem") && it.suffix() == Some(names::JSON)
    });
    if problem.is_some_and(|quality| quality > 0.0) {
        // What succeeds is plain JSON, of which that is a kind.
        return (true, ErrorForm::Problem);
    }
    // The most specific range counts. Parameters, such as a charset, make no difference to JSON.
    let json = quality(&accept, |it| is(it, "json") && it.suffix().is_none())
        .or_else(|| quality(&accept, |it| is(it, "*")))
        .or_else(|| quality(&accept, |it| it.ty() == names::_STAR));
    let takes_json = json.is_some_and(|quality| quality > 0.0);
    (takes_json, ErrorForm::Plain)
}

/// Whether a range is `application/` with this subtype.
fn is(range: &MediaTypeBuf, subtype: &str) -> bool {
    range.ty() == names::APPLICATION && Name::new(subtype).is_some_and(|it| range.subty() == it)
}

/// The highest quality of the ranges that `fit`; `None` if none does.
fn quality(accept: &Accept, fit: impl Fn(&MediaTypeBuf) -> bool) -> Option<f32> {
    let q = Name::new("q")?;
    let qualities = accept.media_types().filter(|it| fit(it)).map(|it| {
        let said = it.get_param(q).map(|value| value.as_str().parse());
        said.and_then(Result::ok).unwrap_or(1.0)
    });
    qualities.reduce(f32::max)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(accept: &str) -> (bool, ErrorForm) {
        let value = HeaderValue::from_str(accept).unwrap();
        accepted(&HeaderMap::from_iter([(header::ACCEPT, value)]))
    }

    #[test]
    fn what_takes_no_json_says_so() {
        for accept in [
            "",
            "*/*",
            "application/*",
            "application/json",
            "Application/JSON; charset=utf-8",
            "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8",
            "text/html, application/json;q=0.1",
            "nonsense",
        ] {
            assert_eq!(of(accept), (true, ErrorForm::Plain), "{accept}");
        }
        for accept in [
            "text/html",
            "text/*",
            "application/xml, text/csv",
            "application/json;q=0",
            "*/*, application/json;q=0",
        ] {
            assert_eq!(of(accept), (false, ErrorForm::Plain), "{accept}");
        }
        assert_eq!(accepted(&HeaderMap::new()), (true, ErrorForm::Plain));
    }

    #[test]
    fn problems_are_for_those_who_name_them() {
        for accept in [
            "application/problem+json",
            "application/json, application/problem+json",
            "application/problem+json;q=0.5, */*",
        ] {
            assert_eq!(of(accept), (true, ErrorForm::Problem), "{accept}");
        }
        assert_eq!(
            of("application/problem+json;q=0, */*"),
            (true, ErrorForm::Plain)
        );
    }
}
