//! Entity tags: of two clients that edit the same thing at the same time, the second one learns that it has changed.
//! <https://www.rfc-editor.org/rfc/rfc9110#name-conditional-requests>

use http::{HeaderValue, Response, header};
use lambda_http::{Body, Request};

use crate::Failure;

/// The response with the entity tag `revision`, which has letters and digits alone.
pub fn with(mut response: Response<Body>, revision: impl std::fmt::Display) -> Response<Body> {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Checks that the thing that a request is about has one of the entity tags of its `If-Match`. A request without this
/// header is about it whatever its tag is.
///
/// # Errors
/// 412 when it has none of them.
pub fn must_match(request: &Request, revision: impl std::fmt::Display) -> Result<(), Failure> {
    let Some(wanted) = request.headers().get(header::IF_MATCH) else {
        return Ok(());
    };
    if names(wanted, &format!("\"{revision}\"")) {
        Ok(())
    } else {
        Err(Failure::changed_since())
    }
}

/// Whether a list of entity tags has this one, or stands for all.
pub(crate) fn names(tags: &HeaderValue, tag: &str) -> bool {
    let Ok(tags) = tags.to_str() else {
        return false;
    };
    // Compression makes API Gateway pass a strong tag on as it is, and others make a weak one of it.
    let mut tags = tags.split(',').map(str::trim);
    tags.any(|it| it == "*" || it.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn a_request_says_which_revisions_it_is_about() {
        for (wanted, is_right) in [
            ("\"3\"", true),
            ("\"2\", \"3\"", true),
            ("W/\"3\"", true),
            ("*", true),
            ("\"2\"", false),
            ("3", false),
            ("", false),
        ] {
            let request = http::Request::get("/").header("if-match", wanted);
            let request = request.body(Body::Empty).unwrap();
            let result = must_match(&request, 3);
            assert_eq!(result.is_ok(), is_right, "{wanted}");
            if let Err(failure) = result {
                assert_eq!(failure.status(), StatusCode::PRECONDITION_FAILED);
            }
        }
        let request = http::Request::get("/").body(Body::Empty).unwrap();
        assert!(must_match(&request, 3).is_ok());
    }
}
