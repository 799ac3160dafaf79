//! The calls of the API that reach the function.

/// A call, by method and resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// `POST /subscriptions`.
    Create,
    /// `GET /subscriptions`.
    List,
    /// `DELETE /subscriptions`.
    DeleteOfEntity,
    /// `GET /subscriptions/{key}`.
    Show,
    /// `DELETE /subscriptions/{key}`.
    Delete,
    /// `GET /subscriptions/{key}/callbacks`.
    Callbacks,
    /// `POST /subscriptions/{key}/secret/rotate`.
    RotateSecret,
}

impl Route {
    /// The call of a method and a resource, which is a path of `template.yaml`; `None` when there is none.
    pub fn of(method: &str, resource: &str) -> Option<Self> {
        Some(match (method, resource) {
            ("POST", "/subscriptions") => Self::Create,
            ("GET", "/subscriptions") => Self::List,
            ("DELETE", "/subscriptions") => Self::DeleteOfEntity,
            ("GET", "/subscriptions/{key}") => Self::Show,
            ("DELETE", "/subscriptions/{key}") => Self::Delete,
            ("GET", "/subscriptions/{key}/callbacks") => Self::Callbacks,
            ("POST", "/subscriptions/{key}/secret/rotate") => Self::RotateSecret,
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
        let calls = bellwire_template::calls("EntitySubscriptions");
        let routes: HashSet<Route> = calls
            .iter()
            .map(|(method, path)| {
                Route::of(method, path).unwrap_or_else(|| panic!("{method} {path}"))
            })
            .collect();
        assert_eq!(routes.len(), 7);
        assert_eq!(Route::of("PATCH", &calls[0].1), None);
        assert_eq!(Route::of("GET", "/"), None);
    }
}
