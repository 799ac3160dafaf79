//! Parses the JSON bodies of requests, and names the field at fault when one is malformed.

use bellwire_domain::topic::document::BadDocument;
use bellwire_domain::topic::json_text::JsonText;
use lambda_http::Request;
use lambda_http::http::header::CONTENT_TYPE;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::Failure;

/// The largest body, in bytes, of requests whose longest field is a URL or a token.
const MAX_BYTES: usize = 64 * 1024;
/// The largest body, in bytes, of requests that may have SQL.
const MAX_LARGE_BYTES: usize = 1024 * 1024;
/// The most characters of an error message, which may repeat what the caller wrote.
const MAX_PROBLEM: usize = 200;

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
    let media_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .unwrap_or_default();
    if media_type.trim().eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Failure::unsupported_media_type(
            "Content-Type: must be application/json",
        ))
    }
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
    let value = serde_path_to_error::deserialize(&mut json).map_err(|e| explain(e, body))?;
    json.end()
        .map_err(|_| Failure::bad_request("the body must be one JSON object and nothing else"))?;
    Ok(value)
}

/// The failure, 400, for a body that is not JSON or not of the wanted shape.
fn explain(error: serde_path_to_error::Error<serde_json::Error>, body: &[u8]) -> Failure {
    let path = error.path().to_string();
    let cause = error.into_inner();
    if !cause.is_data() {
        // serde_json reports a number in the place of a variant's name as a syntax error.
        if std::str::from_utf8(body)
            .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
        {
            return Failure::field(path, "is of the wrong type");
        }
        return Failure::bad_request(format!("the body is not JSON: {cause}"));
    }
    let problem = cause.to_string();
    // The name of the field is enough: the line and the column are left out.
    let problem = problem
        .rsplit_once(" at line ")
        .map_or(problem.as_str(), |(problem, _)| problem);
    let problem: String = problem.chars().take(MAX_PROBLEM).collect();
    // The field of a failure is logged. The name of an unknown field is not, since the caller made it
    // up.
    if path == "." || problem.starts_with("unknown field") {
        Failure::bad_request(problem)
    } else {
        Failure::field(path, problem)
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::Body;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shape {
        #[serde(rename = "callbackUrl")]
        callback_url: String,
        #[serde(default)]
        list: Vec<u8>,
        #[serde(default)]
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    enum Kind {}

    fn refused(body: &[u8]) -> (u16, String) {
        let response = read::<Shape>(body, MAX_BYTES)
            .unwrap_err()
            .into_response("r1");
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
        for (body, status, message) in [
            (&b""[..], 400, "the body must be a JSON object"),
            (b"  ", 400, "the body must be a JSON object"),
            (br#"["u"]"#, 400, "the body must be a JSON object"),
            (b"null", 400, "the body must be a JSON object"),
            (b"{", 400, "the body is not JSON"),
            (b"{} x", 400, "missing field `callbackUrl`"),
            (b"{\"callbackUrl\": \"\xff\"}", 400, "the body is not JSON"),
            (
                br#"{"callbackUrl": "u"} x"#,
                400,
                "the body must be one JSON object",
            ),
            (
                br#"{"callbackUrl": 5}"#,
                400,
                "callbackUrl: invalid type: integer `5`, expected a string",
            ),
            (br#"{"callbackUrl": "u", "x": 1}"#, 400, "unknown field `x`"),
            (
                br#"{"callbackUrl": "u", "callbackUrl": "u"}"#,
                400,
                "duplicate field `callbackUrl`",
            ),
            (
                br#"{"callbackUrl": "u", "list": [1, "b"]}"#,
                400,
                "list[1]: invalid type",
            ),
            (
                br#"{"callbackUrl": "u", "kind": 1}"#,
                400,
                "kind: is of the wrong type",
            ),
            (deep.as_bytes(), 400, "list[0]: invalid type"),
            (&[b' '; MAX_BYTES + 1], 413, "the body must have at most"),
        ] {
            let (got, text) = refused(body);
            assert_eq!(got, status, "{text}");
            assert!(text.starts_with(message), "{text} / {message}");
        }
    }
}
