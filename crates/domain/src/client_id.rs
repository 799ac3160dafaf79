//! The public id of a client.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

use crate::secret::random_bytes;

/// A client's id: `cl_` and 24 lower-case letters and digits. It is safe in the name of an SNS
/// topic and in a URL, and it is not secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ClientId(String);

/// The text doesn't have the form of a client id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the id of a client")]
pub struct BadClientId;

impl TryFrom<String> for ClientId {
    type Error = BadClientId;

    fn try_from(text: String) -> Result<Self, BadClientId> {
        Self::parse(&text).ok_or(BadClientId)
    }
}

impl ClientId {
    /// A new id of 120 random bits, so that no id is given out twice.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let bytes: [u8; 15] = random_bytes()?;
        Ok(Self(format!(
            "cl_{}",
            BASE32_NOPAD.encode(&bytes).to_lowercase()
        )))
    }

    /// The id in `text`; `None` if the text doesn't have the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("cl_")?;
        let written_as_one = rest.len() == 24
            && rest
                .bytes()
                .all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b));
        written_as_one.then(|| Self(text.to_owned()))
    }

    /// The id with these 24 characters, of the alphabet of ids.
    pub(crate) fn of_digits(digits: &str) -> Self {
        Self(format!("cl_{digits}"))
    }

    /// The id as text, with its prefix `cl_`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_differ_and_parse() {
        let (a, b) = (ClientId::generate().unwrap(), ClientId::generate().unwrap());
        assert_ne!(a, b);
        assert_eq!(ClientId::parse(a.as_str()), Some(a));
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "cl_", "cl_ABC", "cl_aaaaaaaaaaaaaaaaaaaaaaa*", "aaaa"] {
            assert_eq!(ClientId::parse(text), None, "{text}");
        }
    }
}
