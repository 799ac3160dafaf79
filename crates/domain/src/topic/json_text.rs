//! JSON that is passed on as it was sent: it is checked, and nothing is made of it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::topic::document::{self, BadDocument};

/// A text that is JSON, and that [`crate::topic::document::Document`] can parse. Subscribers receive this text, so that
/// numbers, order and white space stay as the publisher wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonText<'a>(&'a str);

impl<'a> JsonText<'a> {
    /// Checks a text; refuses what is too long, not JSON, nested deeper than 127 levels, or has a number that no float
    /// can hold.
    pub fn check(bytes: &'a [u8]) -> Result<Self, BadDocument> {
        let (text, Readable) = document::read(bytes)?;
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        self.0.trim_ascii_start().starts_with('{')
    }
}

/// The name of a member that serde_json takes for its own: with it, an object is read as another value than it is.
/// <https://docs.rs/serde_json/latest/serde_json/value/struct.RawValue.html>
const OF_SERDE_JSON: &str = "$serde_json::private::RawValue";

/// Any JSON, read as if a value were made of it. What serde skips ([`serde::de::IgnoredAny`]) it reads less strictly:
/// it takes numbers out of range, broken surrogates, and any depth.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while let Some(Self) = elements.next_element()? {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while let Some((Name, Self)) = members.next_entry()? {}
        Ok(self)
    }
}

/// The name of a member of an object.
struct Name;

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Self)
    }
}

impl Visitor<'_> for Name {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self, E> {
        if name == OF_SERDE_JSON {
            return Err(E::custom("a member has a name that is reserved"));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topic::document::{Document, MAX_DOCUMENT_BYTES};

    /// Whether a text is accepted, as it is by the parser.
    fn agree(bytes: &[u8]) -> bool {
        let (checked, parsed) = (JsonText::check(bytes), Document::parse(bytes));
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(checked.map(drop), parsed.map(drop), "{text:?}");
        checked_is_whole(bytes)
    }

    fn checked_is_whole(bytes: &[u8]) -> bool {
        JsonText::check(bytes).is_ok_and(|json| json.as_str().as_bytes() == bytes)
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        for (open, close) in [("[", "]"), (r#"{"]":"#, "}")] {
            let nested = |depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for depth in [1, 126, 127, 128, 129, 10_000] {
                assert_eq!(agree(nested(depth).as_bytes()), depth <= 127, "{depth}");
            }
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for bad in [
            "",
            " ",
            "{",
            "{} {}",
            "NaN",
            "{\"a\": 1,}",
            "\"\\u12\"",
            "\"\\ud800\"",
            "01",
            "1.",
            "-",
            "\"\n\"",
            "[1 2]",
            "tru",
            "1e",
            "\u{feff}{}",
            "1e309",
            "-2E+308",
            "{1: 2}",
        ] {
            assert!(!agree(bad.as_bytes()), "{bad}");
        }
        assert!(!agree(b"\"\xff\""));
        for good in [
            " {\"a\": [1, \"[\"]} ",
            "1e5",
            "null",
            "\"\\ud83d\\ude00\"",
            "-0",
            "1e308",
            "1e-400",
        ] {
            assert!(agree(good.as_bytes()), "{good}");
        }
        let long = " ".repeat(MAX_DOCUMENT_BYTES);
        assert!(!agree(format!("{long}1").as_bytes()));
        assert!(JsonText::check(b" {}").unwrap().is_object());
        assert!(!JsonText::check(b"[{}]").unwrap().is_object());
    }

    #[test]
    fn a_name_that_the_parser_takes_for_its_own_is_refused() {
        for value in ["1", r#""1""#, r#""{""#, "{}"] {
            for before in ["", r#""b":2,"#] {
                let text = format!(r#"[{{{before}"$serde_json::private::RawValue":{value}}}]"#);
                assert!(JsonText::check(text.as_bytes()).is_err(), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_parser(text in r#"[\[\]{},:"\\0-9eEtrufalsn .+-]{0,24}"#) {
            agree(text.as_bytes());
        }
    }
}
