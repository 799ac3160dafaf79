//! `GET /v1/failing-endpoints`: the endpoints of all clients that fail, or are disabled.

use bellwire_api::{Failure, list};
use bellwire_domain::endpoint::DisabledReason;
use bellwire_domain::entity::EntityKey;
use bellwire_domain::ids::{SubscriptionId, TopicId};
use bellwire_domain::timestamp::iso_serde;
use bellwire_store::Subscription;
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Serialize;
use time::OffsetDateTime;

use crate::ClientsFunction;

/// The fields that the list can be sorted by.
const SORTED_BY: &[&str] = &["client_id", "url", "failing_since", "disabled_at"];

/// An endpoint. Times are in ISO 8601.
#[derive(Serialize)]
struct EndpointView<'a> {
    subscription_id: &'a SubscriptionId,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<&'a TopicId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_key: Option<&'a EntityKey>,
    url: &'a str,
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    failing_since: Option<OffsetDateTime>,
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    disabled_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<DisabledReason>,
}

impl<'a> From<&'a Subscription> for EndpointView<'a> {
    fn from(subscription: &'a Subscription) -> Self {
        let disabled = subscription.disabled.as_ref();
        Self {
            subscription_id: &subscription.subscription_id,
            client_id: &subscription.client_id,
            topic_id: subscription.topic().map(|(id, _)| id),
            entity_key: subscription.entity(),
            url: &subscription.webhook().url,
            failing_since: subscription.failing_since,
            disabled_at: disabled.map(|it| it.at),
            disabled_reason: disabled.map(|it| it.reason),
        }
    }
}

impl ClientsFunction {
    /// A page of the endpoints, those first that have been in trouble for longest. It reads the whole table of
    /// subscriptions.
    ///
    /// # Errors
    /// 400 when a parameter is refused; 500 when the table fails.
    pub(crate) async fn failing(&self, request: &Request) -> Result<Response<Body>, Failure> {
        let mut found = self.lifecycle.subscriptions.in_trouble().await?;
        found.sort_by_key(|it| {
            let disabled = it.disabled.as_ref().map(|it| it.at);
            let since = it.failing_since.or(disabled).unwrap_or(it.created_at);
            (since, it.subscription_id.clone())
        });
        let views = found.iter().map(EndpointView::from).collect();
        list::page(request, views, SORTED_BY)
    }
}
