//! Segments of paths as texts.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The text of a segment of a path.
///
/// A REST API of API Gateway passes it on as it was called, percent-encoded
/// (<https://github.com/serverless/serverless/issues/5037>); an HTTP API decodes it first
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>), as the local AWS does.
/// What has characters that an encoded segment can't have was decoded already. What isn't UTF-8 stays encoded.
pub(crate) fn decoded(segment: &str) -> Cow<'_, str> {
    if is_encoded(segment.as_bytes()) {
        let text = percent_decode_str(segment).decode_utf8();
        text.unwrap_or(Cow::Borrowed(segment))
    } else {
        Cow::Borrowed(segment)
    }
}

/// Whether a text is a segment of a path as RFC 3986 writes it.
/// <https://www.rfc-editor.org/rfc/rfc3986#section-3.3>
fn is_encoded(segment: &[u8]) -> bool {
    match segment {
        [] => true,
        [b'%', high, low, rest @ ..] => {
            high.is_ascii_hexdigit() && low.is_ascii_hexdigit() && is_encoded(rest)
        }
        [first, rest @ ..] => {
            (first.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(first))
                && is_encoded(rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_encoded_or_not() {
        for (segment, name) in [
            ("orders", "orders"),
            ("all%20orders", "all orders"),
            ("all orders", "all orders"),
            ("a+b", "a+b"),
            ("K%C3%A4ufe", "Käufe"),
            ("Käufe", "Käufe"),
            ("50%25%20off", "50% off"),
            ("50% off", "50% off"),
            ("50%25 off", "50%25 off"),
            ("%2541", "%41"),
            ("a%2Fb", "a/b"),
            ("%FF", "%FF"),
            ("%", "%"),
            ("%4", "%4"),
            ("", ""),
        ] {
            assert_eq!(decoded(segment), name, "{segment}");
        }
    }
}
