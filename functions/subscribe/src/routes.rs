//! The calls of the API that reach the function.

/// A call, by method and resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// `GET /v1/subscribe`.
    List,
    /// `POST /v1/subscribe`.
    Subscribe,
}

impl Route {
    /// The call of a method and a resource, which is a path of `template.yaml`; `None` when there is none.
    pub fn of(method: &str, resource: &str) -> Option<Self> {
        Some(match (method, resource) {
            ("GET", "/v1/subscribe") => Self::List,
            ("POST", "/v1/subscribe") => Self::Subscribe,
            _ => return None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::panic, clippy::indexing_slicing)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
        let calls = bellwire_template::calls("Subscribe");
        let routes: HashSet<Route> = calls
            .iter()
            .map(|(method, path)| {
                Route::of(method, path).unwrap_or_else(|| panic!("{method} {path}"))
            })
            .collect();
        assert_eq!(routes.len(), 2);
        assert_eq!(Route::of("PATCH", &calls[0].1), None);
        assert_eq!(Route::of("GET", "/"), None);
    }
}
