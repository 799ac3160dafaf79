//! `POST /subscribers/webhook/subscriptions/{subscriptionId}/enable` and `…/disable`.

use bellwire_edge::Failure;
use bellwire_store::subscription::Subscription;
use time::OffsetDateTime;

use crate::WebhookSubscriptionsFunction;

impl WebhookSubscriptionsFunction {
    /// Sends to an endpoint again, whyever it was disabled. A document goes on with a
    /// snapshot, at once.
    pub async fn enable(&self, subscription: &Subscription) -> Result<Subscription, Failure> {
        let id = &subscription.subscription_id;
        let now = OffsetDateTime::now_utc();
        let enabled = self.subscriptions.enable(id, now).await?;
        let enabled = enabled.ok_or_else(gone)?;
        self.send_document(&enabled).await?;
        Ok(enabled)
    }

    /// Sends no more to an endpoint, until it is enabled. One that is disabled already stays
    /// as it is.
    pub async fn disable(&self, subscription: &Subscription) -> Result<Subscription, Failure> {
        let id = &subscription.subscription_id;
        let now = OffsetDateTime::now_utc();
        match self.subscriptions.disable(id, now).await? {
            Some(disabled) => Ok(disabled),
            None => self.subscriptions.get(id).await?.ok_or_else(gone),
        }
    }
}

/// 404: it was deleted meanwhile.
fn gone() -> Failure {
    Failure::not_found("there is no such subscription")
}
