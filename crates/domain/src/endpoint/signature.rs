//! Signatures after the Standard Webhooks specification.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};

use crate::secret::{Secret, random_bytes, stored};
use crate::timestamp::iso_serde;

/// The prefix of signing secrets.
const PREFIX: &str = "whsec_";

/// A new signing secret: `whsec_` and 32 random bytes in Base64.
///
/// # Errors
/// If the operating system provides no random bytes.
pub fn generate_secret() -> Result<Secret, getrandom::Error> {
    let bytes: [u8; 32] = random_bytes()?;
    Ok(Secret::new(format!("{PREFIX}{}", BASE64.encode(&bytes))))
}

/// How long a replaced secret stays valid.
pub const ROTATION: Duration = Duration::hours(24);
/// The most secrets that a subscription has at once: each adds a signature to every delivery.
const MOST: usize = 5;

/// The signing secrets of a subscription, as they are stored. `Debug` leaves them out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningSecrets {
    #[serde(with = "stored")]
    current: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousSecret>,
    /// Those before the previous one, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<PreviousSecret>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PreviousSecret {
    #[serde(with = "stored")]
    secret: Secret,
    #[serde(with = "iso_serde")]
    valid_until: OffsetDateTime,
}

impl SigningSecrets {
    /// The secrets of a new subscription: this one.
    pub fn new(secret: Secret) -> Self {
        Self {
            current: secret,
            previous: None,
            earlier: Vec::new(),
        }
    }

    /// The secrets after a rotation to `secret`. The one that was current stays valid for
    /// [`ROTATION`], and each one before it until its own time. Of more than five the oldest is
    /// dropped.
    pub fn rotated(self, secret: Secret, now: OffsetDateTime) -> Self {
        let replaced = self.previous.into_iter().chain(self.earlier);
        let valid = replaced.filter(|it| it.valid_until > now);
        Self {
            earlier: valid.take(MOST - 2).collect(),
            current: secret,
            previous: Some(PreviousSecret {
                secret: self.current,
                valid_until: now + ROTATION,
            }),
        }
    }

    /// The value of the header `webhook-signature` for a delivery: one signature for each valid
    /// secret, separated by spaces, the current one's first.
    pub fn sign(
        &self,
        id: &str,
        sent_at: OffsetDateTime,
        body: &[u8],
    ) -> Result<String, BadSigningSecret> {
        let replaced = self.previous.iter().chain(&self.earlier);
        let valid = replaced.filter(|it| it.valid_until > sent_at);
        let signatures: Vec<String> = std::iter::once(&self.current)
            .chain(valid.map(|it| &it.secret))
            .map(|secret| sign_with(secret, id, sent_at, body))
            .collect::<Result<_, _>>()?;
        Ok(signatures.join(" "))
    }
}

/// The secret doesn't have the form of those that [`generate_secret`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is written whsec_ and Base64")]
pub struct BadSigningSecret;

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
        let secrets = SigningSecrets::new(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        let sent_at = OffsetDateTime::from_unix_timestamp(1_614_265_330).unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            secrets
                .sign("msg_p5jXN8AQM9LWM0D4loKWxJek", sent_at, body)
                .unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn during_a_rotation_there_are_two_signatures() {
        let [a, b, c] = std::array::from_fn(|_| generate_secret().unwrap());
        let sign = |secrets: &SigningSecrets, at| secrets.sign("m", at, b"{}").unwrap();
        let alone = |secret: &Secret, at| sign(&SigningSecrets::new(secret.clone()), at);
        let start = OffsetDateTime::UNIX_EPOCH;

        let rotated = SigningSecrets::new(a.clone()).rotated(b.clone(), start);
        let soon = start + Duration::hours(23);
        assert_eq!(
            sign(&rotated, soon),
            format!("{} {}", alone(&b, soon), alone(&a, soon))
        );
        let later = start + ROTATION;
        assert_eq!(sign(&rotated, later), alone(&b, later));
        // After another rotation, each secret stays valid until its own time.
        let again = rotated.rotated(c.clone(), soon);
        let three = [&c, &b, &a].map(|secret| alone(secret, soon));
        assert_eq!(sign(&again, soon), three.join(" "));
        let two = [&c, &b].map(|secret| alone(secret, later));
        assert_eq!(sign(&again, later), two.join(" "));
        let last = soon + ROTATION;
        assert_eq!(sign(&again, last), alone(&c, last));
    }

    #[test]
    fn there_are_five_secrets_at_most_and_none_that_is_over() {
        let start = OffsetDateTime::UNIX_EPOCH;
        let mut secrets = SigningSecrets::new(generate_secret().unwrap());
        for minute in 0..9 {
            let now = start + Duration::minutes(minute);
            secrets = secrets.rotated(generate_secret().unwrap(), now);
        }
        let count = |at| secrets.sign("m", at, b"{}").unwrap().split(' ').count();
        assert_eq!(count(start + Duration::minutes(10)), 5);
        assert_eq!(count(start + ROTATION + Duration::minutes(10)), 1);
        let much_later = start + Duration::days(9);
        let rotated = secrets.rotated(generate_secret().unwrap(), much_later);
        assert!(rotated.earlier.is_empty());
    }

    #[test]
    fn secrets_that_were_stored_before_there_were_earlier_ones_are_read() {
        let text = r#"{"current":"whsec_YQ==","previous":{"secret":"whsec_Yg==","valid_until":"1970-01-02T00:00:00.000000Z"}}"#;
        let read: SigningSecrets = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }

    #[test]
    fn secrets_are_stored_and_do_not_print() {
        let secret = generate_secret().unwrap();
        let secrets =
            SigningSecrets::new(secret.clone()).rotated(secret.clone(), OffsetDateTime::UNIX_EPOCH);
        let stored = serde_json::to_string(&secrets).unwrap();
        assert!(stored.contains(secret.expose()));
        let read: SigningSecrets = serde_json::from_str(&stored).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), stored);
        assert!(!format!("{read:?}").contains("whsec_"));
    }

    #[test]
    fn what_is_no_signing_secret_signs_nothing() {
        for text in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_?"] {
            let secrets = SigningSecrets::new(Secret::new(text));
            let signed = secrets.sign("m", OffsetDateTime::UNIX_EPOCH, b"");
            assert_eq!(signed, Err(BadSigningSecret));
        }
    }
}
