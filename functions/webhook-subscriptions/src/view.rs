//! The view of a subscription: what its client can read of it.

use std::collections::BTreeMap;

use bellwire_api::{Failure, etag, ok};
use bellwire_domain::Secret;
use bellwire_domain::endpoint::DisabledReason;
use bellwire_domain::endpoint::authorization::AuthorizationView;
use bellwire_domain::ids::{SubscriptionId, TopicId};
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_store::subscription::Subscription;
use lambda_http::Body;
use lambda_http::http::Response;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The view of a subscription. Times are in ISO 8601.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSubscriptionView<'a> {
    id: &'a SubscriptionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<&'a TopicId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_name: Option<&'a str>,
    webhook_url: &'a str,
    webhook_headers: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_mode: Option<SubscriptionMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<AuthorizationView<'a>>,
    status: Status,
    subscription_status: SubscriptionStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<DisabledReason>,
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    disabled_timestamp: Option<OffsetDateTime>,
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    failing_since: Option<OffsetDateTime>,
    #[serde(with = "iso_serde")]
    create_timestamp: OffsetDateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Active,
    Disabled,
}

/// Whether a subscription receives anything, in the words of protocol B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionStatus {
    /// Its endpoint is enabled.
    Active,
    /// Its endpoint is disabled, for whatever reason.
    Suspended,
}

/// The response with a subscription: its view without secrets, and its entity tag.
///
/// # Errors
/// 500 when it can't be written.
pub fn answer(subscription: &Subscription) -> Result<Response<Body>, Failure> {
    let view = ok(&WebhookSubscriptionView::of(subscription))?;
    Ok(etag::with(view, revision(subscription)))
}

/// The revision of a subscription: when it was last changed, in microseconds since 1970.
pub fn revision(subscription: &Subscription) -> i128 {
    revision_at(subscription.updated_at)
}

/// The revision of a subscription that was changed last at this time.
pub fn revision_at(changed_at: OffsetDateTime) -> i128 {
    changed_at.unix_timestamp_nanos().div_euclid(1000)
}

impl<'a> WebhookSubscriptionView<'a> {
    /// The view without secrets: the values of headers and the authorization are redacted.
    pub fn of(subscription: &'a Subscription) -> Self {
        let disabled = subscription.disabled.as_ref();
        let topic = subscription.topic();
        Self {
            id: &subscription.subscription_id,
            topic_id: topic.map(|(id, _)| id),
            topic_name: None,
            webhook_url: &subscription.webhook().url,
            webhook_headers: subscription.webhook().headers.redacted(),
            subscription_mode: topic.map(|(_, mode)| mode),
            authorization: subscription
                .webhook()
                .authorization
                .as_ref()
                .map(|it| it.redacted()),
            status: if disabled.is_some() {
                Status::Disabled
            } else {
                Status::Active
            },
            subscription_status: if disabled.is_some() {
                SubscriptionStatus::Suspended
            } else {
                SubscriptionStatus::Active
            },
            disabled_reason: disabled.map(|disabled| disabled.reason),
            disabled_timestamp: disabled.map(|disabled| disabled.at),
            failing_since: subscription.failing_since,
            create_timestamp: subscription.created_at,
            secret: None,
        }
    }

    /// The view in a list of subscriptions to several topics, with the topic's name.
    pub fn listed(subscription: &'a Subscription, topic_name: &'a str) -> Self {
        Self {
            topic_name: Some(topic_name),
            ..Self::of(subscription)
        }
    }

    /// The view of a subscription that was just created, with its signing secret and the values of its
    /// headers.
    pub fn made(subscription: &'a Subscription, secret: &'a Secret) -> Self {
        Self {
            webhook_headers: subscription.webhook().headers.expose().collect(),
            secret: Some(secret.expose()),
            ..Self::of(subscription)
        }
    }
}
