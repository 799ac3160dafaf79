//! The header `Authorization` of the scheme Basic: a user id and a password.
//! <https://www.rfc-editor.org/rfc/rfc7617>

use data_encoding::BASE64_NOPAD;

use crate::Secret;

/// The longest header that is read, in bytes: the ids and secrets of clients are far shorter.
const MAX_LENGTH: usize = 4096;

/// A user id and a password, as a caller presents them.
#[derive(Debug, PartialEq, Eq)]
pub struct Basic {
    /// The user id: a client's id.
    pub user_id: String,
    /// The password: a client's secret.
    pub password: Secret,
}

/// The header is of the scheme Basic, and what follows is no user id and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the Base64 of a user id, a colon and a password")]
pub struct BadBasic;

impl Basic {
    /// The user id and the password in the value of a header `Authorization`; `None` for another scheme. The user id
    /// ends at the first colon, and both are UTF-8.
    ///
    /// # Errors
    /// When what follows the scheme is not Base64, with or without padding, not UTF-8, or has no colon.
    pub fn parse(authorization: &str) -> Option<Result<Self, BadBasic>> {
        let (scheme, encoded) = authorization
            .trim()
            .split_once(' ')
            .unwrap_or((authorization.trim(), ""));
        scheme
            .eq_ignore_ascii_case("basic")
            .then(|| Self::decode(encoded.trim()))
    }

    fn decode(encoded: &str) -> Result<Self, BadBasic> {
        if encoded.len() > MAX_LENGTH {
            return Err(BadBasic);
        }
        let encoded = encoded.trim_end_matches('=').as_bytes();
        let decoded = BASE64_NOPAD.decode(encoded).map_err(|_| BadBasic)?;
        let text = String::from_utf8(decoded).map_err(|_| BadBasic)?;
        let (user_id, password) = text.split_once(':').ok_or(BadBasic)?;
        Ok(Self {
            user_id: user_id.to_owned(),
            password: Secret::new(password),
        })
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;

    fn parsed(text: &str) -> Option<Result<(String, String), BadBasic>> {
        let parsed = Basic::parse(text)?;
        Some(parsed.map(|it| (it.user_id, it.password.expose().to_owned())))
    }

    #[test]
    fn user_id_and_password_are_around_the_first_colon() {
        for (text, user_id, password) in [
            ("Basic dXNlcjpwYXNz", "user", "pass"),
            ("basic  dXNlcjpwYXNz ", "user", "pass"),
            ("BASIC dTo=", "u", ""),
            ("Basic dTo", "u", ""),
            ("Basic OnA6cQ==", "", "p:q"),
            ("Basic w7w6w7w=", "ü", "ü"),
        ] {
            let expected = (user_id.to_owned(), password.to_owned());
            assert_eq!(parsed(text), Some(Ok(expected)), "{text}");
        }
    }

    #[test]
    fn other_schemes_are_none_of_its_business_and_what_is_malformed_is_an_error() {
        for text in ["", "Bearer dXNlcjpwYXNz", "Basically dTpw", "dTpw"] {
            assert_eq!(parsed(text), None, "{text}");
        }
        let long = format!("Basic {}", BASE64.encode(&[b':'; MAX_LENGTH]));
        for text in [
            "Basic",
            "Basic ",
            "Basic user:pass",
            "Basic dXNlcg==",
            "Basic /zr/",
            "Basic dT pw",
            &long,
        ] {
            assert_eq!(parsed(text), Some(Err(BadBasic)), "{text}");
        }
    }

    #[test]
    fn it_does_not_print_the_password() {
        let basic = Basic::parse("Basic dXNlcjpwYXNz");
        assert!(!format!("{basic:?}").contains("pass:"), "{basic:?}");
        assert!(!format!("{basic:?}").contains("\"pass\""), "{basic:?}");
    }
}
