//! Documents: the JSON that publishers send, parsed to be compared.

use serde::Deserialize;
use serde_json::{Number, Value};

/// The largest publication, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// A publication that is JSON, with its text. Subscribers receive this text, so that numbers, order
/// and white space stay as the publisher wrote them.
#[derive(Debug, Clone)]
pub struct Document {
    text: String,
    value: Value,
    exact: bool,
}

/// Why a publication was refused; the text is for the publisher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDocument {
    /// It has more than [`MAX_DOCUMENT_BYTES`] bytes.
    #[error("the body must have at most {MAX_DOCUMENT_BYTES} bytes")]
    TooLong,
    /// It is not JSON, or nests deeper than 128 levels.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
}

impl Document {
    /// Parses a publication; refuses what is too long or not JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadDocument> {
        let (text, value) = read(bytes)?;
        Ok(Self {
            text: text.to_owned(),
            value,
            exact: numbers(text).all(is_exact),
        })
    }

    /// The text as it was published.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The parsed JSON.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Whether [`Self::value`] holds every number exactly: false when a number has more digits than
    /// a 64-bit integer or float can hold.
    pub fn is_exact(&self) -> bool {
        self.exact
    }
}

/// A publication as text, and what its JSON is read as.
pub(super) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(&'a str, T), BadDocument> {
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(BadDocument::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|cause| {
        BadDocument::NotJson(format!("no UTF-8 at byte {}", cause.valid_up_to()))
    })?;
    let value = serde_json::from_str(text).map_err(|cause| BadDocument::not_json(&cause))?;
    Ok((text, value))
}

impl BadDocument {
    /// The refusal of a text that can't be parsed: it says where, and why if that is more than JSON's grammar.
    pub fn not_json(cause: &serde_json::Error) -> Self {
        let text = cause.to_string();
        let reason = text.rsplit_once(" at line ").map_or(&*text, |(it, _)| it);
        let place = format!("line {}, column {}", cause.line(), cause.column());
        Self::NotJson(match reason {
            "recursion limit exceeded" => format!("it nests too deep ({place})"),
            "number out of range" => format!("a number is out of range ({place})"),
            _ if cause.is_data() => format!("{reason} ({place})"),
            _ => place,
        })
    }
}

/// The numbers in a JSON text, as they are written.
fn numbers(json: &str) -> impl Iterator<Item = &str> {
    // Outside of strings, any other character than these begins or ends a token. JSON is ASCII
    // there, and decoding it as UTF-8 would take longer than all the rest.
    outside_strings(json)
        .flat_map(|part| {
            let bytes = part.as_bytes();
            bytes.split(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
        })
        .filter(|token| matches!(token.first(), Some(b'-' | b'0'..=b'9')))
        .filter_map(|token| std::str::from_utf8(token).ok())
}

/// The parts of a JSON text that lie between its strings.
fn outside_strings(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(json);
    std::iter::from_fn(move || {
        let (part, behind) = match rest?.split_once('"') {
            Some((part, behind)) => (part, Some(behind)),
            None => (rest?, None),
        };
        rest = behind.and_then(after_string);
        Some(part)
    })
}

/// The text after the quote that ends a string; `None` when the string doesn't end.
fn after_string(text: &str) -> Option<&str> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    text.get(end + 1..)
}

/// Whether a 64-bit integer or float holds the number as it is written. A float distinguishes all
/// numbers of up to 15 digits. A longer one counts as exact if reading and writing it
/// gives the same digits, as it does with numbers that programs write.
fn is_exact(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let vanishes = mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
        && number.parse::<f64>() == Ok(0.0);
    let written = || Some(number.parse::<Number>().ok()?.to_string());
    (digits <= 15 && !vanishes) || written().as_deref() == Some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(text: &str) -> bool {
        Document::parse(text.as_bytes()).unwrap().is_exact()
    }

    #[test]
    fn numbers_that_fit_are_exact() {
        for text in [
            "0",
            "-1",
            "18446744073709551615",
            "-9223372036854775808",
            "0.1",
            "1e5",
            "1E+300",
            "0.30000000000000004",
            "[1.50, 2.0]",
            r#"{"123456789012345678901234567890": "12345678901234567890123"}"#,
            r#""a\"12345678901234567890123\\" "#,
        ] {
            assert!(exact(text), "{text}");
        }
        for text in [
            "18446744073709551616",
            "-9223372036854775809",
            "0.12345678901234567890",
            "1e-400",
            r#"["\\", 123456789012345678901]"#,
            r#"{"a": {"b": [1, 2, 99999999999999999999]}}"#,
        ] {
            assert!(!exact(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for bytes in [
            &b""[..],
            b" ",
            b"{",
            b"\xff",
            b"{} {}",
            b"NaN",
            b"{\"a\": 1,}",
        ] {
            let refused = Document::parse(bytes).unwrap_err();
            assert!(matches!(refused, BadDocument::NotJson(_)), "{bytes:?}");
        }
        assert!(Document::parse("[".repeat(10_000).as_bytes()).is_err());
        let long = [b' '].repeat(MAX_DOCUMENT_BYTES);
        assert_eq!(
            Document::parse(&[&long[..], b"1"].concat()).unwrap_err(),
            BadDocument::TooLong
        );
        assert!(Document::parse(&[&long[1..], b"1"].concat()).is_ok());
    }

    proptest! {
        #[test]
        fn floats_as_programs_write_them_are_exact(number: f64) {
            prop_assume!(number.is_finite());
            let text = serde_json::to_string(&number).unwrap();
            prop_assert!(exact(&text), "{}", text);
        }
    }
}
