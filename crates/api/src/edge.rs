//! What every call of the API has in common, whatever its function does: the methods of a resource, `HEAD` and
//! `OPTIONS`, the forms of responses, entity tags, and the origins that may read responses in a browser.

use http::header::{self, HeaderMap};
use http::{HeaderValue, Method, Response, StatusCode};
use lambda_http::{Body, Request};

use crate::accept::{ErrorForm, accepted};
use crate::{Failure, etag};

/// What a page of an allowed origin may send beside what browsers let it send anyway.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, KeyId, X-Api-Key, X-Bellwire-Client",
);
/// What it may read beside what browsers let it read anyway.
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("Allow, ETag, Link, Location, Retry-After");
/// How long a browser remembers what it may send, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// What is done with every request of a function before and after the function handles it.
#[derive(Clone, Debug)]
pub struct Edge {
    methods: fn(&str) -> Vec<&'static str>,
    origins: Vec<String>,
}

/// What of a request the response depends on.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The form of errors.
    pub form: ErrorForm,
    takes_json: bool,
    head: bool,
    options: bool,
    origin: Option<HeaderValue>,
    if_none_match: Option<HeaderValue>,
}

impl Edge {
    /// `methods` returns the methods of a resource, and none for one that takes any; `origins` are those whose pages may
    /// read responses, separated by commas.
    pub fn new(methods: fn(&str) -> Vec<&'static str>, origins: &str) -> Self {
        let origins = origins.split(',').map(str::trim);
        Self {
            methods,
            origins: origins
                .filter(|origin| !origin.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// What of a request the response depends on. A `HEAD` becomes a `GET`.
    pub(crate) fn asked(&self, request: &mut Request) -> Asked {
        let headers = request.headers();
        let origin = headers.get(header::ORIGIN);
        let (takes_json, form) = accepted(headers);
        let asked = Asked {
            form,
            takes_json,
            head: request.method() == Method::HEAD,
            options: request.method() == Method::OPTIONS,
            origin: origin.filter(|origin| self.allows(origin)).cloned(),
            if_none_match: headers.get(header::IF_NONE_MATCH).cloned(),
        };
        if asked.head {
            *request.method_mut() = Method::GET;
        }
        asked
    }

    /// The response to a request that no function needs to handle: `OPTIONS`.
    ///
    /// # Errors
    /// 405 for a method that the resource doesn't have; 406 when the caller takes no JSON.
    pub(crate) fn before(
        &self,
        asked: &Asked,
        request: &Request,
        resource: &str,
    ) -> Result<Option<Response<Body>>, Failure> {
        let methods = (self.methods)(resource);
        if !methods.is_empty() {
            let allow = allow(&methods);
            if request.method() == Method::OPTIONS {
                return Ok(Some(options(&allow)));
            }
            if !methods.contains(&request.method().as_str()) {
                return Err(Failure::method_not_allowed(
                    request.method().as_str(),
                    &allow,
                ));
            }
        }
        if asked.takes_json {
            Ok(None)
        } else {
            Err(Failure::not_acceptable())
        }
    }

    /// The response as it is returned.
    pub(crate) fn after(&self, asked: Asked, mut response: Response<Body>) -> Response<Body> {
        let unchanged = match (asked.if_none_match, response.headers().get(header::ETAG)) {
            (Some(tags), Some(tag)) if response.status() == StatusCode::OK => {
                tag.to_str().is_ok_and(|tag| etag::names(&tags, tag))
            }
            _ => false,
        };
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(header::CONTENT_TYPE);
        }
        if unchanged || asked.head {
            *response.body_mut() = Body::Empty;
        }
        if !self.origins.is_empty() {
            share(response.headers_mut(), asked.origin, asked.options);
        }
        response
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let mut origins = self.origins.iter();
        origins.any(|it| it.as_bytes() == origin.as_bytes())
    }
}

/// The header `Allow` of a resource with these methods.
fn allow(methods: &[&'static str]) -> HeaderValue {
    let mut all = methods.to_vec();
    if methods.contains(&"GET") {
        all.push("HEAD");
    }
    all.push("OPTIONS");
    HeaderValue::try_from(all.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

/// 204, with the methods of the resource.
fn options(allow: &HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, allow.clone());
    response
}

/// Lets pages of the origin read the response; of an `OPTIONS`, lets them send what the response says.
/// <https://fetch.spec.whatwg.org/#http-cors-protocol>
fn share(headers: &mut HeaderMap, origin: Option<HeaderValue>, options: bool) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    if options && let Some(allow) = headers.get(header::ALLOW).cloned() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, allow);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://app.example.com";

    fn edge() -> Edge {
        let methods = |resource: &str| match resource {
            "/things" => vec!["GET", "POST"],
            _ => Vec::new(),
        };
        Edge::new(methods, &format!("{ORIGIN}, https://other.example.com"))
    }

    /// The response to a request, to which the function returns a body with an entity tag.
    fn response(method: &str, resource: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = http::Request::builder().method(method).uri(resource);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::Empty).unwrap();
        let asked = edge().asked(&mut request);
        let response = match edge().before(&asked, &request, resource) {
            Ok(Some(response)) => response,
            Ok(None) => etag::with(crate::ok(&request.method().as_str()).unwrap(), 1),
            Err(failure) => failure.into_response("r1", asked.form),
        };
        edge().after(asked, response)
    }

    fn status(method: &str, resource: &str, headers: &[(&str, &str)]) -> u16 {
        response(method, resource, headers).status().as_u16()
    }

    fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
        response.headers().get(name)?.to_str().ok()
    }

    #[test]
    fn a_resource_has_its_methods_and_no_others() {
        assert_eq!(status("POST", "/things", &[]), 200);
        for method in ["PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
            let response = response(method, "/things", &[]);
            assert_eq!(response.status(), 405, "{method}");
            assert_eq!(header(&response, "allow"), Some("GET, POST, HEAD, OPTIONS"));
        }
        let options = response("OPTIONS", "/things", &[]);
        assert_eq!(options.status(), 204);
        assert_eq!(header(&options, "allow"), Some("GET, POST, HEAD, OPTIONS"));
        assert_eq!(header(&options, "access-control-allow-origin"), None);
        // Of an unknown path the function says itself that there is none.
        assert_eq!(status("PUT", "/others", &[]), 200);
    }

    #[test]
    fn head_is_get_without_a_body() {
        let get = response("GET", "/things", &[]);
        let head = response("HEAD", "/things", &[]);
        assert_eq!(get.body().as_ref(), b"\"GET\"");
        assert_eq!(head.body().as_ref(), b"");
        assert_eq!(head.headers(), get.headers());
    }

    #[test]
    fn who_takes_no_json_is_told() {
        let refused = response("GET", "/things", &[("accept", "text/html")]);
        assert_eq!(refused.status(), 406);
        assert_eq!(header(&refused, "content-type"), Some("application/json"));
        let problem = [("accept", "application/problem+json")];
        assert_eq!(status("GET", "/things", &problem), 200);
        let refused = response("PUT", "/things", &problem);
        assert_eq!(
            header(&refused, "content-type"),
            Some("application/problem+json")
        );
        let body: serde_json::Value = serde_json::from_slice(refused.body()).unwrap();
        assert_eq!(
            (body["status"].as_u64(), body["title"].as_str()),
            (Some(405), Some("Method Not Allowed"))
        );
    }

    #[test]
    fn what_has_not_changed_is_not_sent_again() {
        let unchanged = response("GET", "/things", &[("if-none-match", "\"1\"")]);
        assert_eq!(
            (unchanged.status().as_u16(), unchanged.body().as_ref()),
            (304, &b""[..])
        );
        assert_eq!(header(&unchanged, "etag"), Some("\"1\""));
        assert_eq!(status("GET", "/things", &[("if-none-match", "\"2\"")]), 200);
    }

    #[test]
    fn pages_of_allowed_origins_may_read_responses() {
        let allowed = response("GET", "/things", &[("origin", ORIGIN)]);
        assert_eq!(
            header(&allowed, "access-control-allow-origin"),
            Some(ORIGIN)
        );
        assert_eq!(header(&allowed, "vary"), Some("Origin"));
        let preflight = response("OPTIONS", "/things", &[("origin", ORIGIN)]);
        assert_eq!(
            header(&preflight, "access-control-allow-methods"),
            Some("GET, POST, HEAD, OPTIONS")
        );
        assert!(
            header(&preflight, "access-control-allow-headers")
                .unwrap()
                .contains("X-Api-Key")
        );
        let stranger = response("GET", "/things", &[("origin", "https://evil.example.com")]);
        assert_eq!(header(&stranger, "access-control-allow-origin"), None);
        let error = response("PUT", "/things", &[("origin", ORIGIN)]);
        assert_eq!(header(&error, "access-control-allow-origin"), Some(ORIGIN));
    }
}
