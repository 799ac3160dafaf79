//! The view of a subscription: what its client can read of it.

use bellwire_domain::Secret;
use bellwire_domain::endpoint::DisabledReason;
use bellwire_domain::entity::EntityKey;
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::timestamp::millis;
use bellwire_store::subscription::Subscription;
use serde::Serialize;

/// The view of a subscription, the same in each spelling. Dates are in milliseconds since 1970.
#[derive(Serialize)]
pub struct EntitySubscriptionView<'a> {
    entity_key: Option<&'a EntityKey>,
    date_created: i64,
    date_updated: i64,
    /// The protocol has this field, and defines no more than that it is null.
    subscriber_key: Option<&'a str>,
    callback: &'a str,
    key: &'a SubscriptionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_failing_since: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_disabled: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<DisabledReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> EntitySubscriptionView<'a> {
    /// The view without the signing secret.
    pub fn of(subscription: &'a Subscription) -> Self {
        let disabled = subscription.disabled.as_ref();
        Self {
            entity_key: subscription.entity(),
            date_created: millis(subscription.created_at),
            date_updated: millis(subscription.updated_at),
            subscriber_key: None,
            callback: &subscription.webhook().url,
            key: &subscription.subscription_id,
            date_failing_since: subscription.failing_since.map(millis),
            date_disabled: disabled.map(|disabled| millis(disabled.at)),
            disabled_reason: disabled.map(|disabled| disabled.reason),
            secret: None,
        }
    }

    /// The view with the signing secret that the subscription has just got.
    pub fn with_secret(subscription: &'a Subscription, secret: &'a Secret) -> Self {
        Self {
            secret: Some(secret.expose()),
            ..Self::of(subscription)
        }
    }
}
