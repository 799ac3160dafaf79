//! Bodies that are JSON merge patches (RFC 7396, which replaces RFC 7386): what they name is changed, what is null in them
//! is removed, and everything else stays.
//! <https://www.rfc-editor.org/rfc/rfc7396>

use lambda_http::Request;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Failure, body};

/// The content types of a merge patch.
const CONTENT_TYPES: [&str; 2] = ["application/json", "application/merge-patch+json"];

/// A merge patch of a JSON object.
#[derive(Clone, Debug, PartialEq)]
pub struct MergePatch(Map<String, Value>);

impl MergePatch {
    /// Parses the body, of at most 64 KiB.
    ///
    /// # Errors
    /// 415 for a `Content-Type` other than `application/merge-patch+json` and `application/json`; else as
    /// [`body::json`].
    pub fn of(request: &Request) -> Result<Self, Failure> {
        must_be_merge_patch(request)?;
        body::json(request).map(Self)
    }

    /// What it makes of a JSON value, parsed as a `T`.
    ///
    /// # Errors
    /// 400 when the result is not a `T`; the message names the field at fault.
    pub fn apply<T: DeserializeOwned>(self, mut to: Value) -> Result<T, Failure> {
        json_patch::merge(&mut to, &Value::Object(self.0));
        body::part(&to.to_string())
    }
}

/// Requires the `Content-Type` of a merge patch, with or without parameters.
///
/// # Errors
/// 415 for any other than `application/merge-patch+json` and `application/json`, and without one.
pub fn must_be_merge_patch(request: &Request) -> Result<(), Failure> {
    body::must_be(request, &CONTENT_TYPES)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use lambda_http::Body;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shape {
        name: String,
        #[serde(default)]
        more: Map<String, Value>,
    }

    fn request(content_type: &str, body: &str) -> Request {
        let request = http::Request::patch("/").header("content-type", content_type);
        request.body(Body::from(body)).unwrap()
    }

    fn patch(body: &str) -> MergePatch {
        MergePatch::of(&request("application/json", body)).unwrap()
    }

    #[test]
    fn it_changes_what_it_names_and_removes_what_is_null() {
        let before = json!({"name": "a", "more": {"x": {"y": 1, "z": 2}, "list": [1, 2]}});
        let body = r#"{"more": {"x": {"y": null, "w": 3}, "list": [3]}}"#;
        let after: Shape = patch(body).apply(before.clone()).unwrap();
        let more = json!({"x": {"z": 2, "w": 3}, "list": [3]});
        assert_eq!(
            (after.name.as_str(), Value::Object(after.more)),
            ("a", more)
        );
        let after: Shape = patch("{}").apply(before.clone()).unwrap();
        assert_eq!(Value::Object(after.more), before["more"]);
    }

    #[test]
    fn what_it_makes_has_to_have_the_shape() {
        for (body, field) in [
            (r#"{"name": null}"#, "name"),
            (r#"{"name": 5}"#, "name"),
            (r#"{"more": [1]}"#, "more"),
            (r#"{"other": 1}"#, "other"),
        ] {
            let before = json!({"name": "a"});
            let failure = patch(body).apply::<Shape>(before).unwrap_err();
            assert_eq!(failure.status(), StatusCode::BAD_REQUEST);
            assert_eq!(failure.named_field(), Some(field), "{body}");
        }
    }

    #[test]
    fn it_is_an_object_of_a_type_that_says_so() {
        for content_type in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/merge-patch+json",
        ] {
            assert!(MergePatch::of(&request(content_type, "{}")).is_ok());
            for body in ["", "[]", "null", "{", "[{\"op\": \"remove\"}]"] {
                let failure = MergePatch::of(&request(content_type, body)).unwrap_err();
                assert_eq!(failure.status(), StatusCode::BAD_REQUEST, "{body}");
            }
        }
        for content_type in ["", "text/plain", "application/json-patch+json"] {
            let failure = MergePatch::of(&request(content_type, "{}")).unwrap_err();
            assert_eq!(failure.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
    }
}
