//! The body of a request to change a subscription, and what becomes of the subscription by it.

use std::collections::BTreeMap;

use bellwire_api::Failure;
use bellwire_domain::endpoint::authorization::{Authorization, PatchAuthorization};
use bellwire_domain::endpoint::headers::WebhookHeaders;
use bellwire_domain::object::{Strict, said};
use bellwire_domain::topic::Topic;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::{CallbackUrl, UrlPolicy};
use bellwire_store::subscription::{Subscription, Webhook};
use bellwire_store::subscription_change::SubscriptionChange;
use serde::Deserialize;
use serde_json::Value;

use crate::request::one_authorization;
use crate::view::{SubscriptionStatus, WebhookSubscriptionView};

/// The body, not checked yet. What is left out stays as it is.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PatchWebhookSubscription {
    #[serde(deserialize_with = "said")]
    webhook_url: Option<String>,
    /// `Some(None)` removes all.
    #[serde(deserialize_with = "said")]
    webhook_headers: Option<Option<BTreeMap<String, Option<String>>>>,
    #[serde(deserialize_with = "said")]
    subscription_mode: Option<SubscriptionMode>,
    #[serde(deserialize_with = "said")]
    subscription_status: Option<SubscriptionStatus>,
    /// `Some(None)` removes it.
    #[serde(deserialize_with = "said")]
    authorization: Option<Option<Strict<PatchAuthorization>>>,
    // What the view has besides, and what can't be changed: it may be there as it is.
    #[serde(deserialize_with = "said")]
    id: Option<Value>,
    #[serde(deserialize_with = "said")]
    topic_id: Option<Value>,
    #[serde(deserialize_with = "said")]
    status: Option<Value>,
    #[serde(deserialize_with = "said")]
    disabled_reason: Option<Value>,
    #[serde(deserialize_with = "said")]
    disabled_timestamp: Option<Value>,
    #[serde(deserialize_with = "said")]
    failing_since: Option<Value>,
    #[serde(deserialize_with = "said")]
    create_timestamp: Option<Value>,
}

impl PatchWebhookSubscription {
    /// The new URL, if there is one.
    ///
    /// # Errors
    /// 400 when the policy refuses it.
    pub fn check_url(&self, policy: &UrlPolicy) -> Result<Option<CallbackUrl>, Failure> {
        let url = self.webhook_url.as_ref().map(|url| policy.check(url));
        url.transpose()
            .map_err(|refused| Failure::field("webhookUrl", refused))
    }

    /// What the subscription is to be. `url` is the new URL, which was checked.
    ///
    /// # Errors
    /// 400, naming the field at fault.
    pub fn apply(
        &self,
        subscription: &Subscription,
        url: Option<&CallbackUrl>,
        topic: &Topic,
        policy: &UrlPolicy,
    ) -> Result<SubscriptionChange, Failure> {
        self.must_leave_the_rest(subscription)?;
        let webhook = subscription.webhook();
        let headers = match &self.webhook_headers {
            None => webhook.headers.clone(),
            Some(None) => WebhookHeaders::default(),
            Some(Some(changes)) => webhook
                .headers
                .merged(changes.clone())
                .map_err(|refused| Failure::field("webhookHeaders", refused))?,
        };
        let authorization = match &self.authorization {
            None => webhook.authorization.clone(),
            Some(None) => None,
            Some(Some(Strict(changes))) => {
                let current = webhook.authorization.as_ref();
                let merged = Authorization::merged(current, changes.clone(), policy);
                Some(merged.map_err(|bad| Failure::field(bad.field(), &bad))?)
            }
        };
        one_authorization(&headers, authorization.as_ref())?;
        let url = url.map_or(webhook.url.as_str(), CallbackUrl::as_str);
        Ok(SubscriptionChange {
            webhook: Webhook {
                url: url.to_owned(),
                headers,
                authorization,
                ..webhook.clone()
            },
            mode: self.mode(subscription, topic)?,
            enabled: self
                .subscription_status
                .map(|status| status == SubscriptionStatus::Active),
        })
    }

    /// Whether the subscription is to be enabled.
    pub fn enables(&self) -> bool {
        self.subscription_status == Some(SubscriptionStatus::Active)
    }

    /// The mode that the subscription is to have. One that it has already may stay, whatever the topic allows
    /// by now.
    fn mode(
        &self,
        subscription: &Subscription,
        topic: &Topic,
    ) -> Result<SubscriptionMode, Failure> {
        let current = subscription.topic().map(|(_, mode)| mode);
        if let Some(current) = current
            && self
                .subscription_mode
                .is_none_or(|wanted| wanted == current)
        {
            return Ok(current);
        }
        topic
            .modes()
            .and_then(|modes| modes.choose(self.subscription_mode))
            .map_err(|refused| Failure::field("subscriptionMode", refused))
    }

    /// Checks that the fields that can't be changed are as they are.
    fn must_leave_the_rest(&self, subscription: &Subscription) -> Result<(), Failure> {
        let view = WebhookSubscriptionView::of(subscription);
        let view = serde_json::to_value(view).map_err(Failure::internal)?;
        for (name, said) in [
            ("id", &self.id),
            ("topicId", &self.topic_id),
            ("status", &self.status),
            ("disabledReason", &self.disabled_reason),
            ("disabledTimestamp", &self.disabled_timestamp),
            ("failingSince", &self.failing_since),
            ("createTimestamp", &self.create_timestamp),
        ] {
            let is = view.get(name).unwrap_or(&Value::Null);
            if said.as_ref().is_some_and(|said| said != is) {
                return Err(Failure::field(name, "can't be changed"));
            }
        }
        Ok(())
    }
}
