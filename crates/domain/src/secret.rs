//! Keys and secrets: generated once, returned once, stored as a hash.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::digest::sha256_hex;

/// What is shown in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Text that must not reach a log: `Debug` leaves it out, and only [`Secret::expose`] gives it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret that somebody presented, or that was stored.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A new secret of 256 random bits: the prefix, then 43 characters that are
    /// safe in a header and a URL.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub fn generate(prefix: &str) -> Result<Self, getrandom::Error> {
        let bytes: [u8; 32] = random_bytes()?;
        Ok(Self(format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes))))
    }

    /// The text itself, for the one place that prints or sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The hash under which the secret is stored.
    pub fn hash(&self) -> SecretHash {
        SecretHash(sha256_hex(&self.0))
    }
}

/// Compares in constant time.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

/// By its text, so that settings that have a secret can be the key of a map in memory.
impl std::hash::Hash for Secret {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// For the fields of stored settings whose secret has to be known to be used: `#[serde(with = "stored")]`.
/// Nothing else writes a secret as text.
pub(crate) mod stored {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Secret;

    pub fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The SHA-256 of a [`Secret`], in hexadecimal. Secrets are random and long, so that a fast hash
/// without salt can't be searched.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretHash(String);

impl SecretHash {
    /// The hash as text: 64 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Compares in constant time.
impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Random bytes from the operating system.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_secrets_differ_and_have_256_bits() {
        let (a, b) = (
            Secret::generate("p_").unwrap(),
            Secret::generate("p_").unwrap(),
        );
        assert_ne!(a.expose(), b.expose());
        let bits = a.expose().strip_prefix("p_").unwrap();
        assert_eq!(BASE64URL_NOPAD.decode(bits.as_bytes()).unwrap().len(), 32);
    }

    #[test]
    fn neither_a_secret_nor_its_hash_prints() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret:?} {:?}", secret.hash()),
            "[redacted] [redacted]"
        );
    }

    #[test]
    fn equal_secrets_have_equal_hashes_and_no_others() {
        assert!(Secret::new("abc").hash() == Secret::new("abc").hash());
        assert!(Secret::new("abc").hash() != Secret::new("abd").hash());
    }
}
