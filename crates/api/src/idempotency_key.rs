//! The header `Idempotency-Key`. Publications by one publisher with the same key, to the same topic or
//! entity, are one event: the first one counts. For requests that create something see
//! [`crate::idempotency`].

use lambda_http::Request;

use crate::Failure;

/// The most characters of a key.
const MAX_KEY_LENGTH: usize = 255;

/// The key of a request; `None` if it has none.
///
/// # Errors
/// 400 when it isn't 1 to 255 visible ASCII characters.
pub fn of(request: &Request) -> Result<Option<&str>, Failure> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default();
    check("Idempotency-Key", key).map(|()| Some(key))
}

/// Checks a key that stands in the header or in the field `name`.
///
/// # Errors
/// 400 when it isn't 1 to 255 visible ASCII characters.
pub fn check(name: &str, key: &str) -> Result<(), Failure> {
    let is_visible = |c: u8| c == b' ' || c.is_ascii_graphic();
    let is_trimmed = key.trim_ascii().len() == key.len();
    if (1..=MAX_KEY_LENGTH).contains(&key.len()) && is_trimmed && key.bytes().all(is_visible) {
        Ok(())
    } else {
        let problem = format!("must have 1 to {MAX_KEY_LENGTH} visible ASCII characters");
        Err(Failure::field(name, problem))
    }
}
