//! The header `Idempotency-Key`. Publications of one publisher that carry the same key, for the same
//! topic or entity, are one event: the first one counts. For requests that create something see
//! [`crate::idempotency`].

use lambda_http::Request;

use crate::Failure;

/// The longest key, in characters.
const MAX_KEY_LENGTH: usize = 255;

/// The key of a request, if it has one.
///
/// # Errors
/// 400 when it is no text of 1 to 255 visible characters.
pub fn of(request: &Request) -> Result<Option<&str>, Failure> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_KEY_LENGTH).contains(&key.len()))
        .map(Some)
        .ok_or_else(|| {
            Failure::field(
                "Idempotency-Key",
                format!("must have 1 to {MAX_KEY_LENGTH} visible ASCII characters"),
            )
        })
}
