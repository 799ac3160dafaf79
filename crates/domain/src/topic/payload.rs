//! Payloads of events and documents, as queues and tables carry them.
//!
//! They are compressed, because queues and tables are charged by size. What is still too large for
//! a message or an item is stored in a bucket, and its key takes its place.

use std::io::{Read, Write};

use data_encoding::BASE64;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::topic::document::MAX_DOCUMENT_BYTES;

/// The most bytes, compressed, of a payload that is carried inline. Ten in Base64 fit into one
/// batch of SQS (1 MiB), and several into an item of DynamoDB (400 KB).
pub const MAX_INLINE: usize = 64 * 1024;

/// A payload, or where it is stored.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The payload itself: gzip in Base64.
    Inline(String),
    /// The key of the object in the bucket that holds the payload's gzip.
    Stored(String),
}

/// The text or the bytes are not those of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payload is not written as it should be")]
pub struct Damaged;

/// Compresses a payload with gzip.
#[allow(
    clippy::expect_used,
    reason = "nothing fails when memory is written to, and an empty payload must never be stored"
)]
pub fn compress(payload: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(payload).and_then(|()| encoder.finish());
    written.expect("memory can be written to")
}

/// Decompresses the gzip of a payload.
///
/// # Errors
/// If it is not gzip, or longer than [`MAX_DOCUMENT_BYTES`] when decompressed.
pub fn decompress(gzip: &[u8]) -> Result<Vec<u8>, Damaged> {
    // A patch is no longer than its document, or than 4 KB; nothing else is longer than the longest document.
    let most = u64::try_from(MAX_DOCUMENT_BYTES).map_err(|_| Damaged)?;
    let mut payload = Vec::new();
    GzDecoder::new(gzip)
        .take(most + 1)
        .read_to_end(&mut payload)
        .map_err(|_| Damaged)?;
    if payload.len() > MAX_DOCUMENT_BYTES {
        return Err(Damaged);
    }
    Ok(payload)
}

impl Payload {
    /// How large it is in a message, in bytes.
    pub fn message_bytes(&self) -> u64 {
        let (Self::Inline(text) | Self::Stored(text)) = self;
        u64::try_from(text.len()).unwrap_or(u64::MAX)
    }

    /// A payload, carried inline, from its gzip.
    pub fn inline(gzip: &[u8]) -> Self {
        Self::Inline(BASE64.encode(gzip))
    }

    /// The payload in the text of [`Self::Inline`], decompressed.
    ///
    /// # Errors
    /// If the text is not Base64, or not that of a payload.
    pub fn unpack(base64: &str) -> Result<Vec<u8>, Damaged> {
        decompress(&BASE64.decode(base64.as_bytes()).map_err(|_| Damaged)?)
    }
}

/// Leaves the payload out: only its subscriber may see it.
impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(text) => write!(f, "Inline({} characters)", text.len()),
            Self::Stored(key) => write!(f, "Stored({key})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_payload_comes_out_as_it_went_in(payload: Vec<u8>) {
            let Payload::Inline(text) = Payload::inline(&compress(&payload)) else {
                panic!("it was put inline");
            };
            prop_assert_eq!(Payload::unpack(&text).unwrap(), payload);
        }
    }

    #[test]
    fn what_is_no_payload_is_an_error() {
        assert_eq!(decompress(b"no gzip"), Err(Damaged));
        assert_eq!(Payload::unpack("?"), Err(Damaged));
        assert_eq!(
            decompress(&compress(&vec![0; MAX_DOCUMENT_BYTES + 1])),
            Err(Damaged)
        );
        assert!(decompress(&compress(&vec![0; MAX_DOCUMENT_BYTES])).is_ok());
    }
}
