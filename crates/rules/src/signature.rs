//! Signatures after the Standard Webhooks specification.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;

use crate::secret::{Secret, random_bytes};

/// What signing secrets begin with.
const PREFIX: &str = "whsec_";

/// A new signing secret: `whsec_` and 32 random bytes in Base64.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn generate_secret() -> Result<Secret, getrandom::Error> {
    let bytes: [u8; 32] = random_bytes()?;
    Ok(Secret::new(format!("{PREFIX}{}", BASE64.encode(&bytes))))
}

/// The secret is not one of [`generate_secret`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is written whsec_ and Base64")]
pub struct BadSigningSecret;

/// The value of the header `webhook-signature` for a delivery: one signature for
/// each valid secret (two during a rotation), separated by spaces.
pub fn sign(
    secrets: &[Secret],
    id: &str,
    sent_at: OffsetDateTime,
    body: &[u8],
) -> Result<String, BadSigningSecret> {
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| sign_with(secret, id, sent_at, body))
        .collect::<Result<_, _>>()?;
    Ok(signatures.join(" "))
}

fn sign_with(
    secret: &Secret,
    id: &str,
    sent_at: OffsetDateTime,
    body: &[u8],
) -> Result<String, BadSigningSecret> {
    let key = secret
        .expose()
        .strip_prefix(PREFIX)
        .and_then(|text| BASE64.decode(text.as_bytes()).ok())
        .ok_or(BadSigningSecret)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| BadSigningSecret)?;
    mac.update(format!("{id}.{}.", sent_at.unix_timestamp()).as_bytes());
    mac.update(body);
    Ok(format!(
        "v1,{}",
        BASE64.encode(&mac.finalize().into_bytes())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn the_specifications_example_is_signed_as_there() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let sent_at = OffsetDateTime::from_unix_timestamp(1_614_265_330).unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            sign(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", sent_at, body).unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn during_a_rotation_there_are_two_signatures() {
        let secrets = [generate_secret().unwrap(), generate_secret().unwrap()];
        let both = sign(&secrets, "m", OffsetDateTime::UNIX_EPOCH, b"{}").unwrap();
        let each: Vec<_> = secrets
            .iter()
            .map(|one| {
                sign(
                    std::slice::from_ref(one),
                    "m",
                    OffsetDateTime::UNIX_EPOCH,
                    b"{}",
                )
                .unwrap()
            })
            .collect();
        assert_eq!(both, each.join(" "));
        assert_ne!(each[0], each[1]);
    }

    #[test]
    fn other_texts_are_no_secrets() {
        for text in ["", "MfKQ9r8G", "whsec_*", "WHSEC_MfKQ9r8G"] {
            let secret = Secret::new(text);
            assert_eq!(
                sign(&[secret], "m", OffsetDateTime::UNIX_EPOCH, b""),
                Err(BadSigningSecret)
            );
        }
    }
}
