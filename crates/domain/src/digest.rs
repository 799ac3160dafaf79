//! SHA-256 hashes as text.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// The SHA-256 of a text, in hexadecimal: 64 characters, lower case.
pub fn sha256_hex(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_sha_256() {
        assert_eq!(
            super::sha256_hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
