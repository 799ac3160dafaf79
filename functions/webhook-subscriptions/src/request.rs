//! The body of a request to create a subscription.

use std::collections::BTreeMap;

use bellwire_api::Failure;
use bellwire_domain::endpoint::authorization::{Authorization, CreateAuthorization};
use bellwire_domain::endpoint::headers::WebhookHeaders;
use bellwire_domain::topic::Topic;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::{CallbackUrl, UrlPolicy};
use serde::Deserialize;

/// The body, not checked yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CreateWebhookSubscription {
    webhook_url: String,
    webhook_headers: Option<BTreeMap<String, String>>,
    subscription_mode: Option<SubscriptionMode>,
    authorization: Option<CreateAuthorization>,
}

/// A body that was checked.
pub struct Checked {
    /// The URL that deliveries are sent to, in normal form.
    pub webhook_url: CallbackUrl,
    /// The client's own headers of each delivery.
    pub headers: WebhookHeaders,
    /// The form in which publications are delivered.
    pub mode: SubscriptionMode,
    /// How to get the access token of each delivery; `None` for deliveries without one.
    pub authorization: Option<Authorization>,
}

impl CreateWebhookSubscription {
    /// Checks the body against what the stack and the topic allow.
    ///
    /// # Errors
    /// 400, naming the field at fault.
    pub fn check(self, policy: &UrlPolicy, topic: &Topic) -> Result<Checked, Failure> {
        let webhook_url = policy
            .check(&self.webhook_url)
            .map_err(|refused| Failure::field("webhookUrl", refused))?;
        let headers = WebhookHeaders::check(self.webhook_headers.unwrap_or_default())
            .map_err(|refused| Failure::field("webhookHeaders", refused))?;
        let mode = topic
            .modes()
            .and_then(|modes| modes.choose(self.subscription_mode))
            .map_err(|refused| Failure::field("subscriptionMode", refused))?;
        let authorization = self
            .authorization
            .map(|create| Authorization::check(create, policy))
            .transpose()
            .map_err(|bad| Failure::field(bad.field(), &bad))?;
        let twice = headers
            .expose()
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if authorization.is_some() && twice {
            return Err(Failure::field(
                "webhookHeaders",
                "`Authorization` can't be set beside authorization",
            ));
        }
        Ok(Checked {
            webhook_url,
            headers,
            mode,
            authorization,
        })
    }
}
