//! Calls of the API, and what they come to.

use std::fmt::Write as _;

use bellwire_domain::Secret;
use bellwire_domain::digest::sha256_hex;
use lambda_http::http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What stays as it is in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A call of the API: a method and a path of `template.yaml`, with the values of its parameters.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path, with the names of parameters in place of their values: `/topics/{topicId}`.
    pub resource: &'static str,
    /// The parameters of the path.
    pub parameters: Vec<(&'static str, String)>,
    /// The query string.
    pub query: Vec<(&'static str, String)>,
    /// The body.
    pub body: Option<Value>,
    /// What the form has by which it makes one thing when it is sent twice.
    pub once: Option<String>,
}

impl Call {
    /// A call without parameters and body.
    pub fn new(method: Method, resource: &'static str) -> Self {
        Self {
            method,
            resource,
            parameters: Vec::new(),
            query: Vec::new(),
            body: None,
            once: None,
        }
    }

    /// A `GET`.
    pub fn get(resource: &'static str) -> Self {
        Self::new(Method::GET, resource)
    }

    /// A `POST`.
    pub fn post(resource: &'static str) -> Self {
        Self::new(Method::POST, resource)
    }

    /// With a parameter of the path.
    pub fn at(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.parameters.push((name, value.into()));
        self
    }

    /// With a parameter of the query string, unless it is empty.
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.query.push((name, value));
        }
        self
    }

    /// With a JSON body.
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// As from a form that makes one thing when it is sent twice; `key` is what it has, unless that is empty.
    pub fn once(mut self, key: &str) -> Self {
        self.once = Some(key.to_owned()).filter(|key| !key.is_empty());
        self
    }

    /// The `Idempotency-Key`: a form that is changed and sent again asks for something else.
    pub fn idempotency_key(&self) -> Option<String> {
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        let once = self.once.as_ref()?;
        Some(sha256_hex(&format!("{once} {body}")))
    }

    /// The path with the values of its parameters.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.resource.split('/').skip(1) {
            let name = segment
                .strip_prefix('{')
                .and_then(|it| it.strip_suffix('}'));
            let value = name.and_then(|name| self.parameters.iter().find(|(it, _)| *it == name));
            let segment = value.map_or(segment, |(_, value)| value);
            let _ = write!(path, "/{}", utf8_percent_encode(segment, SEGMENT));
        }
        path
    }
}

/// Who calls: what the API is told beside the call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token of the session; `None` before somebody has signed in.
    pub token: Option<Secret>,
    /// The address that the browser's request came from.
    pub address: String,
    /// The DNS name by which the console was called.
    pub domain: String,
}

/// The response of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// The API can't be called.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Too many requests, of whomever.
    #[error("the function {0} is throttled")]
    Throttled(&'static str),
    /// Anything else.
    #[error("the function {function} can't be invoked: {cause}")]
    Failed {
        /// Its name in the stack.
        function: &'static str,
        /// What is wrong.
        cause: String,
    },
}

/// The API, as consoles call it. On AWS its functions are invoked ([`crate::InvokedApi`]); in tests it answers what
/// the test says.
pub trait Api: Sync {
    /// Makes a call.
    fn call(
        &self,
        caller: &Caller,
        call: Call,
    ) -> impl Future<Output = Result<Response, ApiError>> + Send;
}

/// The function that a path of the API leads to, by its name in the stack.
pub fn function_of(resource: &str) -> &'static str {
    const FUNCTIONS: &[(&str, &str)] = &[
        ("/sessions", "sessions"),
        ("/v1/portal-links", "sessions"),
        ("/v1/clients", "clients"),
        ("/v1/failing-endpoints", "clients"),
        ("/v1/subscribe", "subscribe"),
        ("/v1/publish", "subscribe"),
        ("/v1/unsubscribe", "unsubscribe"),
        ("/v1/queries", "queries"),
        ("/v1/results", "results"),
        ("/v1/scrollResults", "results"),
        ("/v1/stats", "webhook-subscriptions"),
        ("/subscribers", "webhook-subscriptions"),
        ("/subscriptions", "entity-subscriptions"),
        ("/topics", "topics"),
    ];
    let mut functions = FUNCTIONS.iter();
    let found = functions.find(|(prefix, _)| {
        let rest = resource.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    found.map_or("openapi", |(_, function)| function)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_values_of_its_parameters_as_segments() {
        let call = Call::get("/subscriptions/{key}/deliveries/{deliveryKey}")
            .at("key", "a/b")
            .at("deliveryKey", "../x?y#z");
        assert_eq!(
            call.path(),
            "/subscriptions/a%2Fb/deliveries/..%2Fx%3Fy%23z"
        );
        assert_eq!(Call::get("/topics").path(), "/topics");
    }

    #[test]
    fn paths_lead_to_the_functions_that_the_template_names() {
        for (function, logical_id) in [
            ("sessions", "Sessions"),
            ("clients", "Clients"),
            ("unsubscribe", "Unsubscribe"),
            ("queries", "Queries"),
            ("results", "Results"),
            ("topics", "Topics"),
        ] {
            for path in bellwire_template::paths(logical_id) {
                if !path.starts_with("/streams") {
                    assert_eq!(function_of(&path), function, "{path}");
                }
            }
        }
        assert_eq!(function_of("/v1/stats"), "webhook-subscriptions");
        assert_eq!(function_of("/v1/statistics"), "openapi");
    }
}
