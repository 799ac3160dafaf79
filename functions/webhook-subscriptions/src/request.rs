//! The body of a request to create a subscription.

use std::collections::BTreeMap;

use bellwire_api::{Failure, Mistakes};
use bellwire_domain::endpoint::authorization::{Authorization, CreateAuthorization};
use bellwire_domain::endpoint::headers::WebhookHeaders;
use bellwire_domain::object::optional_object;
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
    #[serde(default, deserialize_with = "optional_object")]
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
    /// 400, naming all fields at fault.
    pub fn check(self, policy: &UrlPolicy, topic: &Topic) -> Result<Checked, Failure> {
        let mut mistakes = Mistakes::default();
        let url = policy.check(&self.webhook_url);
        let url = mistakes.check(url.map_err(|refused| Failure::field("webhookUrl", refused)));
        let headers = WebhookHeaders::check(self.webhook_headers.unwrap_or_default());
        let headers =
            mistakes.check(headers.map_err(|refused| Failure::field("webhookHeaders", refused)));
        let mode = topic.modes();
        let mode = mode.and_then(|modes| modes.choose(self.subscription_mode));
        let mode =
            mistakes.check(mode.map_err(|refused| Failure::field("subscriptionMode", refused)));
        let authorization = self.authorization;
        let authorization = authorization.map(|create| Authorization::check(create, policy));
        let authorization = authorization.transpose();
        let authorization =
            mistakes.check(authorization.map_err(|bad| Failure::field(bad.field(), &bad)));
        let (Some(webhook_url), Some(headers), Some(mode), Some(authorization)) =
            (url, headers, mode, authorization)
        else {
            return Err(mistakes.into_failure());
        };
        one_authorization(&headers, authorization.as_ref())?;
        Ok(Checked {
            webhook_url,
            headers,
            mode,
            authorization,
        })
    }
}

/// Checks that deliveries get the header `Authorization` from one place at most.
///
/// # Errors
/// 400 when it is among the headers, and there is an authorization.
pub fn one_authorization(
    headers: &WebhookHeaders,
    authorization: Option<&Authorization>,
) -> Result<(), Failure> {
    let twice = headers
        .expose()
        .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if authorization.is_some() && twice {
        return Err(Failure::field(
            "webhookHeaders",
            "`Authorization` can't be set beside authorization",
        ));
    }
    Ok(())
}
