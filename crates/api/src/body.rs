//! Parses the JSON bodies of requests, and names the field at fault when one is malformed.

use bellwire_domain::topic::document::BadDocument;
use bellwire_domain::topic::json_text::JsonText;
use lambda_http::Request;
use lambda_http::http::header::CONTENT_TYPE;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{Failure, words};

/// The largest body, in bytes, of requests whose longest field is a URL or a token.
const MAX_BYTES: usize = 64 * 1024;
/// The largest body, in bytes, of requests that may have SQL.
const MAX_LARGE_BYTES: usize = 1024 * 1024;

/// Parses the body, of at most 64 KiB, as a JSON object of the shape `T`.
///
/// # Errors
/// 413 for a body that is too large; 400 for one that is missing, not JSON, nested too deep, not an
/// object, or not a `T`. The message names the field at fault.
pub fn json<T: DeserializeOwned>(request: &Request) -> Result<T, Failure> {
    read(request.body().as_ref(), MAX_BYTES)
}

/// As [`json`], for bodies of at most 1 MiB.
///
/// # Errors
/// As [`json`].
pub fn large_json<T: DeserializeOwned>(request: &Request) -> Result<T, Failure> {
    read(request.body().as_ref(), MAX_LARGE_BYTES)
}

/// Checks that the body, of at most 1 MiB, is JSON, of any shape.
///
/// # Errors
/// 413 for a body that is too large; 400 for one that is not JSON, or nested too deep.
pub fn json_text(request: &Request) -> Result<JsonText<'_>, Failure> {
    JsonText::check(request.body().as_ref()).map_err(|bad| match bad {
        BadDocument::TooLong => Failure::too_large(bad.to_string()),
        BadDocument::NotJson(_) => Failure::bad_request(bad.to_string()),
    })
}

/// Requires the `Content-Type` `application/json`, with or without parameters.
///
/// # Errors
/// 415 for any other `Content-Type`, and without one.
pub fn must_be_json(request: &Request) -> Result<(), Failure> {
    must_be(request, &["application/json"])
}

/// Requires one of these media types as `Content-Type`, with or without parameters.
pub(crate) fn must_be(request: &Request, media_types: &[&str]) -> Result<(), Failure> {
    let media_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .unwrap_or_default()
        .trim();
    let mut known = media_types.iter();
    if known.any(|known| media_type.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    let known = media_types.join(" or ");
    Err(Failure::unsupported_media_type(format!("must be {known}")))
}

/// Parses a part of a body, as [`json`] parses the whole.
///
/// # Errors
/// 400 as for [`json`].
pub(crate) fn part<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    read(json.as_bytes(), MAX_LARGE_BYTES)
}

fn read<T: DeserializeOwned>(body: &[u8], max: usize) -> Result<T, Failure> {
    if body.len() > max {
        return Err(Failure::too_large(format!(
            "the body must have at most {max} bytes"
        )));
    }
    // serde would also accept a JSON array for a struct, field by field.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Failure::bad_request("the body must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|e| refused(e, body))?;
    json.end()
        .map_err(|_| Failure::bad_request("the body must be one JSON object and nothing else"))?;
    Ok(value)
}

/// The failure, 400, for a body that is not JSON or not of the wanted shape.
fn refused(error: serde_path_to_error::Error<serde_json::Error>, body: &[u8]) -> Failure {
    let path = error.path().to_string();
    let cause = error.into_inner();
    let is_json = || {
        let text = std::str::from_utf8(body);
        text.is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
    };
    if cause.is_data() || is_json() {
        words::explain(&path, &cause)
    } else {
        Failure::bad_request(BadDocument::not_json(&cause).to_string())
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::Body;
    use serde::Deserialize;

    use super::*;
    use crate::accept::ErrorForm;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shape {
        #[serde(rename = "callbackUrl")]
        callback_url: String,
        #[serde(default)]
        list: Vec<u8>,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        #[allow(dead_code)]
        part: Option<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        One,
        Other,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        #[allow(dead_code)]
        size: u16,
        #[serde(default)]
        #[allow(dead_code)]
        on: bool,
    }

    fn refusal(body: &[u8]) -> (u16, String) {
        let response = read::<Shape>(body, MAX_BYTES)
            .unwrap_err()
            .into_response("r1", ErrorForm::Plain);
        let Body::Text(text) = response.body() else {
            panic!("not a text: {response:?}");
        };
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(json["request_id"], "r1");
        (
            response.status().as_u16(),
            json["message"].as_str().unwrap().to_owned(),
        )
    }

    #[test]
    fn a_body_of_the_right_shape_is_read() {
        let shape: Shape = read(br#" {"callbackUrl": "u", "list": [1]} "#, MAX_BYTES).unwrap();
        assert_eq!((shape.callback_url.as_str(), shape.list), ("u", vec![1]));
        assert!(shape.kind.is_none());
    }

    #[test]
    fn every_mistake_is_named() {
        let deep = format!(r#"{{"list": {}"#, "[".repeat(10_000));
        let with = |rest: &str| format!(r#"{{"callbackUrl": "u", {rest}}}"#);
        let long = "x".repeat(1000);
        for (body, message) in [
            (String::new(), "the body must be a JSON object"),
            ("  ".to_owned(), "the body must be a JSON object"),
            (r#"["u"]"#.to_owned(), "the body must be a JSON object"),
            ("null".to_owned(), "the body must be a JSON object"),
            ("{".to_owned(), "the body is not JSON: line 1, column 1"),
            ("{} x".to_owned(), "callbackUrl: is missing"),
            (
                format!("{} x", with(r#""list": []"#)),
                "the body must be one JSON object and nothing else",
            ),
            (
                r#"{"callbackUrl": 5}"#.to_owned(),
                "callbackUrl: must be a string, and is the number 5",
            ),
            (
                r#"{"callbackUrl": null}"#.to_owned(),
                "callbackUrl: must be a string, and is null",
            ),
            (
                r#"{"callbackUrl": {"a": 1}}"#.to_owned(),
                "callbackUrl: must be a string, and is an object",
            ),
            (
                with(r#""x": 1"#),
                "x: there is no such field; known: callbackUrl, list, kind, part",
            ),
            (with(r#""callbackUrl": "u""#), "callbackUrl: is there twice"),
            (
                with(r#""list": [1, "b"]"#),
                "list[1]: must be a whole number from 0 on, and is the string \"b\"",
            ),
            (
                with(r#""list": {}"#),
                "list: must be an array, and is an object",
            ),
            (
                with(r#""list": [1.5]"#),
                "list[0]: must be a whole number from 0 on, and is the number 1.5",
            ),
            (
                with(r#""list": [256]"#),
                "list[0]: must be a whole number from 0 on, and is the number 256",
            ),
            (with(r#""kind": 1"#), "kind: is of the wrong type"),
            (
                with(r#""kind": "two""#),
                "kind: can't be \"two\"; known: one, other",
            ),
            (
                with(r#""part": []"#),
                "part: must be an object, and is an array",
            ),
            (
                with(r#""part": true"#),
                "part: must be an object, and is true",
            ),
            (with(r#""part": {}"#), "part.size: is missing"),
            (
                with(r#""part": {"size": 1, "on": "yes"}"#),
                "part.on: must be true or false, and is the string \"yes\"",
            ),
            (
                with(r#""part": {"size": 1, "`, expected b": 1}"#),
                "part.`, expected b: there is no such field; known: size, on",
            ),
            (
                with(&format!(r#""kind": "{long}""#)),
                "kind: can't be \"xxxxxx",
            ),
            (
                deep,
                "list[0]: must be a whole number from 0 on, and is an array",
            ),
        ] {
            let (status, text) = refusal(body.as_bytes());
            assert_eq!(status, 400, "{text}");
            assert!(text.starts_with(message), "{text} / {message}");
            assert!(text.chars().count() < 400, "{text}");
        }
        let latin = refusal(b"{\"callbackUrl\": \"\xff\"}");
        assert!(latin.1.starts_with("the body is not JSON"), "{latin:?}");
        let (status, text) = refusal(&[b' '; MAX_BYTES + 1]);
        assert_eq!(status, 413);
        assert!(text.starts_with("the body must have at most"), "{text}");
    }
}
