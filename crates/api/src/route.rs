//! Routing: which call of the API a request is.

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

use crate::Failure;

/// Declares a function's `Route`: the calls of the API that reach it, each by method and path of `template.yaml`.
/// Where a protocol has several spellings, `under` has what the paths begin with in each, or a call has several paths.
/// Calls behind `beside` have none of these beginnings.
///
/// ```
/// bellwire_api::routes! {
///     under "/streams/hub/api/v1", "";
///     "GET" "/topics" => List,
///     "POST" "/topics" | "/themes" => Create,
///     beside;
///     "GET" "/v1/stats" => Stats,
/// }
/// assert_eq!(Route::of("GET", "/streams/hub/api/v1/topics"), Some(Route::List));
/// assert_eq!(Route::of("POST", "/themes"), Some(Route::Create));
/// assert_eq!(Route::of("GET", "/v1/stats"), Some(Route::Stats));
/// assert_eq!(Route::of("GET", "/streams/hub/api/v1/v1/stats"), None);
/// assert_eq!(Route::of("PATCH", "/topics"), None);
/// assert_eq!(Route::methods("/topics"), ["GET", "POST"]);
/// ```
#[macro_export]
macro_rules! routes {
    ($(under $($prefix:literal),+;)? $($method:literal $path:literal $(| $other:literal)* => $route:ident,)+
        $(beside; $($beside_method:literal $beside_path:literal => $beside:ident,)+)?) => {
        /// A call of the API that reaches the function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Route {
            $(#[doc = concat!("`", $method, " ", $path, "`.")] $route,)+
            $($(#[doc = concat!("`", $beside_method, " ", $beside_path, "`.")] $beside,)+)?
        }

        impl Route {
            /// Every route, for the comparison with the template.
            #[cfg(test)]
            pub const ALL: &[Self] = &[$(Self::$route,)+ $($(Self::$beside,)+)?];

            /// The methods of a resource; none for one that isn't the function's.
            pub fn methods(resource: &str) -> Vec<&'static str> {
                const METHODS: &[&str] = &[$($method),+ $($(, $beside_method)+)?];
                let mut methods: Vec<&str> = Vec::new();
                for method in METHODS {
                    if Self::of(method, resource).is_some() && !methods.contains(method) {
                        methods.push(method);
                    }
                }
                methods
            }

            /// The route of a method and a resource, which is a path of the template; `None` when there is
            /// none.
            pub fn of(method: &str, resource: &str) -> Option<Self> {
                const PREFIXES: &[&str] = &[$($($prefix),+)?];
                $($(if (method, resource) == ($beside_method, $beside_path) {
                    return Some(Self::$beside);
                })+)?
                let path = if PREFIXES.is_empty() {
                    resource
                } else {
                    PREFIXES.iter().find_map(|prefix| resource.strip_prefix(prefix))?
                };
                match (method, path) {
                    $(($method, $path $(| $other)*) => Some(Self::$route),)+
                    _ => None,
                }
            }
        }
    };
}

/// API Gateway sent a request for which the function has no call: the template and the function differ.
#[derive(Debug, thiserror::Error)]
#[error("no call of this function: {method} {resource}")]
struct UnknownCall {
    method: String,
    resource: String,
}

/// The call that `of` returns for the request's method and resource, such as `GET` and
/// `/topics/{topicId}`. The resource is a path of the template, with the names of parameters in place
/// of their values.
///
/// # Errors
/// 500 when it returns none; method and resource are logged.
pub fn route<T>(request: &Request, of: impl Fn(&str, &str) -> Option<T>) -> Result<T, Failure> {
    let (method, resource) = (request.method().as_str(), resource(request));
    of(method, resource).ok_or_else(|| {
        Failure::internal(UnknownCall {
            method: method.to_owned(),
            resource: resource.to_owned(),
        })
    })
}

/// The resource of a request; empty if the event has none.
pub(crate) fn resource(request: &Request) -> &str {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            context.resource_path.as_deref().unwrap_or_default()
        }
        _ => "",
    }
}

/// The value of the path parameter that is called `name` in the template.
///
/// # Errors
/// 500 when the request's path has no such parameter.
pub fn path_parameter(request: &Request, name: &str) -> Result<String, Failure> {
    let parameters = request.path_parameters();
    let value = parameters.first(name).map(str::to_owned);
    value.ok_or_else(|| Failure::internal(format!("the path has no {name}")))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use lambda_http::Body;

    use super::*;

    #[test]
    fn an_unknown_call_is_a_failure_of_ours() {
        let request = http::Request::get("/x").body(Body::Empty).unwrap();
        let failure = route(&request, |_, _| None::<()>).unwrap_err();
        assert_eq!(failure.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            route(&request, |method, _| (method == "GET").then_some(1)).unwrap(),
            1
        );
    }
}
