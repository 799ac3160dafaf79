//! The calls of the API that reach the function.

/// The two prefixes that the protocol's paths may have.
const PREFIXES: [&str; 2] = [
    "/subscribers/webhook",
    "/streams/subscribers/webhook/api/v1",
];

/// A call, by method and resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// `POST …/topics/{topicId}/subscriptions`.
    Create,
    /// `GET …/topics/{topicId}/subscriptions`.
    List,
    /// `GET …/subscriptions/{subscriptionId}`.
    Show,
    /// `DELETE …/subscriptions/{subscriptionId}`.
    Delete,
    /// `POST …/subscriptions/{subscriptionId}/test`.
    Test,
    /// `GET …/subscriptions/{subscriptionId}/exchanges`.
    Exchanges,
    /// `POST …/subscriptions/{subscriptionId}/secret/rotate`.
    RotateSecret,
    /// `POST …/subscriptions/{subscriptionId}/enable`.
    Enable,
    /// `POST …/subscriptions/{subscriptionId}/disable`.
    Disable,
    /// `POST …/subscriptions/{subscriptionId}/replay`.
    Replay,
}

impl Route {
    /// The call of a method and a resource, which is a path of `template.yaml`; `None` when there is none.
    pub fn of(method: &str, resource: &str) -> Option<Self> {
        let resource = PREFIXES
            .iter()
            .find_map(|prefix| resource.strip_prefix(prefix))?;
        Some(match (method, resource) {
            ("POST", "/topics/{topicId}/subscriptions") => Self::Create,
            ("GET", "/topics/{topicId}/subscriptions") => Self::List,
            ("GET", "/subscriptions/{subscriptionId}") => Self::Show,
            ("DELETE", "/subscriptions/{subscriptionId}") => Self::Delete,
            ("POST", "/subscriptions/{subscriptionId}/test") => Self::Test,
            ("GET", "/subscriptions/{subscriptionId}/exchanges") => Self::Exchanges,
            ("POST", "/subscriptions/{subscriptionId}/secret/rotate") => Self::RotateSecret,
            ("POST", "/subscriptions/{subscriptionId}/enable") => Self::Enable,
            ("POST", "/subscriptions/{subscriptionId}/disable") => Self::Disable,
            ("POST", "/subscriptions/{subscriptionId}/replay") => Self::Replay,
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
        let calls = bellwire_template::calls("WebhookSubscriptions");
        let routes: HashSet<Route> = calls
            .iter()
            .map(|(method, path)| {
                Route::of(method, path).unwrap_or_else(|| panic!("{method} {path}"))
            })
            .collect();
        assert_eq!(routes.len(), 10);
        assert_eq!(Route::of("PATCH", &calls[0].1), None);
        assert_eq!(Route::of("GET", "/"), None);
    }
}
