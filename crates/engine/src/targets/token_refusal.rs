//! What a provider says that refuses an access token (RFC 6749, 5.2), for the subscription's owner.
//!
//! Providers explain a refusal in their own words, and some repeat what they were sent. Words in which
//! there are credentials are left out as a whole: what remained of them might still give them away.

use std::collections::HashSet;

use bellwire_domain::delivery::outcome::status_message;
use bellwire_domain::endpoint::authorization::Authorization;
use http::{HeaderValue, StatusCode};
use oauth2::url::form_urlencoded::byte_serialize;
use serde_json::{Map, Value};

/// The most characters that are shown of an `error` and of an `error_description`.
const SHOWN: usize = 200;
/// So many characters of a credential are a part of it that must not be shown either.
const PART: usize = 8;

/// Why an answer grants no token: the text names its status and its `error` and `error_description`, if it
/// has them. `None` when it grants one, or means something else by its 2xx.
///
/// `sent` is the header `Authorization` of the request. Providers such as Slack refuse with a 200, so the
/// body counts as well.
pub(super) fn refusal(
    status: StatusCode,
    body: &[u8],
    authorization: &Authorization,
    sent: Option<&HeaderValue>,
) -> Option<String> {
    let fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let text = |name| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (error, description) = (text("error"), text("error_description"));
    if status.is_success() && (error.is_empty() || !text("access_token").is_empty()) {
        return None;
    }
    let answered = format!("the provider answered {}", status_message(status));
    let issued = ["access_token", "refresh_token", "id_token"].map(text);
    let credentials = Credentials::of(authorization, sent, &issued);
    let mut words = Vec::new();
    for said in [error, description] {
        let line = one_line(said);
        if credentials.are_in(said) || credentials.are_in(&line) {
            return Some(format!("{answered}, in words that repeat credentials"));
        }
        if !line.is_empty() {
            words.push(shortened(&line));
        }
    }
    Some(if words.is_empty() {
        answered
    } else {
        format!("{answered}: {}", words.join(": "))
    })
}

/// A text without line breaks and other control characters, which would tear a line of a log apart.
fn one_line(text: &str) -> String {
    let spaced = text.replace(char::is_control, " ");
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The secrets of a request and its answer, in lower case and in each form in which they are sent.
struct Credentials(Vec<String>);

impl Credentials {
    fn of(authorization: &Authorization, sent: Option<&HeaderValue>, issued: &[&str]) -> Self {
        let secret = authorization.expose_secret();
        let encoded: String = byte_serialize(secret.as_bytes()).collect();
        let basic = sent
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Basic "));
        let mut forms = vec![secret.to_owned(), encoded.replace('+', "%20"), encoded];
        forms.extend(basic.map(str::to_owned));
        forms.extend(issued.iter().map(|token| (*token).to_owned()));
        forms.retain(|form| !form.is_empty());
        Self(forms.iter().map(|it| it.to_ascii_lowercase()).collect())
    }

    /// Whether a text has one of them in it, or a part of one.
    fn are_in(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.0.iter().any(|form| {
            let length = form.len().min(PART);
            let parts: HashSet<&[u8]> = form.as_bytes().windows(length).collect();
            text.as_bytes()
                .windows(length)
                .any(|part| parts.contains(part))
        })
    }
}

#[cfg(test)]
mod tests {
    use bellwire_domain::UrlPolicy;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "S3cret/ä & more";

    fn authorization(secret: &str) -> Authorization {
        let said = json!({
            "type": "oauth2",
            "clientId": "me",
            "clientSecret": secret,
            "provider": "https://id.example.com/token",
        });
        Authorization::check(serde_json::from_value(said).unwrap(), &UrlPolicy::default()).unwrap()
    }

    fn explain(status: u16, body: &str) -> Option<String> {
        let status = StatusCode::from_u16(status).unwrap();
        // me:S3cret%2F%C3%A4+%26+more
        let sent = HeaderValue::from_static("Basic bWU6UzNjcmV0JTJGJUMzJUE0KyUyNittb3Jl");
        refusal(status, body.as_bytes(), &authorization(SECRET), Some(&sent))
    }

    #[test]
    fn a_refusal_names_the_status_and_what_the_provider_says() {
        for (status, body, expected) in [
            (
                400,
                json!({"error": "invalid_scope"}).to_string(),
                "400 BAD_REQUEST: invalid_scope",
            ),
            (
                401,
                json!({"error": "invalid_client", "error_description": "Unknown client me"})
                    .to_string(),
                "401 UNAUTHORIZED: invalid_client: Unknown client me",
            ),
            (
                403,
                json!({"error_description": "Not\r\n from\u{7}\there \u{1b}[31m"}).to_string(),
                "403 FORBIDDEN: Not from here [31m",
            ),
            (
                400,
                json!({"error": "unsupported_grant_type", "error_description": ""}).to_string(),
                "400 BAD_REQUEST: unsupported_grant_type",
            ),
            (
                200,
                json!({"ok": false, "error": "invalid_client_id"}).to_string(),
                "200 OK: invalid_client_id",
            ),
            (
                400,
                json!({"error": {"code": 1}, "error_description": 5}).to_string(),
                "400 BAD_REQUEST",
            ),
            (
                500,
                "<html>Oops</html>".to_owned(),
                "500 INTERNAL_SERVER_ERROR",
            ),
            (429, String::new(), "429 TOO_MANY_REQUESTS"),
            (302, String::new(), "302 FOUND"),
            (503, "[]".to_owned(), "503 SERVICE_UNAVAILABLE"),
            (599, "null".to_owned(), "599 UNKNOWN"),
            (
                400,
                json!({"error": "e", "access_token": "granted-all-the-same"}).to_string(),
                "400 BAD_REQUEST: e",
            ),
        ] {
            let found = explain(status, &body).unwrap();
            assert_eq!(found, format!("the provider answered {expected}"), "{body}");
        }
    }

    #[test]
    fn what_is_no_refusal_is_none() {
        for body in [
            json!({"access_token": "t"}).to_string(),
            json!({"access_token": "t", "error": "", "error_description": "all is well"})
                .to_string(),
            json!({"access_token": "t", "error": "none"}).to_string(),
            json!({"error": null}).to_string(),
            "oops".to_owned(),
            String::new(),
        ] {
            assert_eq!(explain(200, &body), None, "{body}");
        }
    }

    #[test]
    fn long_words_are_shortened() {
        let long = "ä".repeat(16_000);
        let body = json!({"error": long, "error_description": long}).to_string();
        let shown = format!("{}…", "ä".repeat(200));
        let expected = format!("the provider answered 401 UNAUTHORIZED: {shown}: {shown}");
        assert_eq!(explain(401, &body).unwrap(), expected);
        let exact = json!({"error": "e".repeat(200)}).to_string();
        assert!(explain(401, &exact).unwrap().ends_with('e'));
    }

    #[test]
    fn words_that_repeat_credentials_are_left_out() {
        for words in [
            SECRET.to_owned(),
            format!("the secret '{SECRET}' is wrong"),
            SECRET.to_uppercase(),
            "S3cret%2F%C3%A4+%26+more".to_owned(),
            "s3cret%2f%c3%a4%20%26%20more".to_owned(),
            "S3cret/ä\n&\tmore".to_owned(),
            "S3cret/ä …".to_owned(),
            "Authorization: Basic bWU6UzNjcmV0JTJGJUMzJUE0KyUyNittb3Jl".to_owned(),
            format!("{} {SECRET}", "x".repeat(1_000)),
            "for granted-token".to_owned(),
            "to refresh: another-token".to_owned(),
        ] {
            for field in ["error", "error_description"] {
                let mut body = json!({
                    "error": "invalid_client", "error_description": "no",
                    "access_token": "granted-token", "refresh_token": "another-token",
                });
                body[field] = json!(words);
                let found = explain(401, &body.to_string()).unwrap();
                let expected =
                    "the provider answered 401 UNAUTHORIZED, in words that repeat credentials";
                assert_eq!(found, expected, "{words}");
            }
        }
    }

    #[test]
    fn a_short_secret_is_not_repeated_either() {
        let body = json!({"error": "no", "error_description": "x7 is wrong"}).to_string();
        let found = refusal(
            StatusCode::UNAUTHORIZED,
            body.as_bytes(),
            &authorization("x7"),
            None,
        );
        assert!(!found.unwrap().contains("x7"));
    }
}
