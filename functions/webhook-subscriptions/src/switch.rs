//! `POST /subscribers/webhook/subscriptions/{subscriptionId}/enable` and `…/disable`: enables and
//! disables an endpoint.

use bellwire_api::Failure;
use bellwire_domain::topic::Topic;
use bellwire_store::subscription::Subscription;
use time::OffsetDateTime;

use crate::WebhookSubscriptionsFunction;

impl WebhookSubscriptionsFunction {
    /// Enables an endpoint, for whatever reason it was disabled. If the topic has a document, a
    /// snapshot of it is delivered at once.
    ///
    /// # Errors
    /// 404 when the subscription is deleted meanwhile; 409 when the client may not see the topic any more; 500 when a
    /// table or the queue fails.
    pub(crate) async fn enable(
        &self,
        subscription: &Subscription,
        topic: &Topic,
    ) -> Result<Subscription, Failure> {
        must_not_be_suspended(subscription)?;
        let id = &subscription.subscription_id;
        let now = OffsetDateTime::now_utc();
        let enabled = self.subscriptions.enable(id, now).await?;
        let enabled = enabled.ok_or_else(gone)?;
        self.send_document(&enabled, topic).await?;
        Ok(enabled)
    }

    /// Disables an endpoint: nothing is sent to it until it is enabled. One that is disabled already
    /// stays as it is.
    ///
    /// # Errors
    /// 404 when the subscription is deleted meanwhile; 500 when the table fails.
    pub(crate) async fn disable(
        &self,
        subscription: &Subscription,
    ) -> Result<Subscription, Failure> {
        let id = &subscription.subscription_id;
        let now = OffsetDateTime::now_utc();
        match self.subscriptions.disable(id, now).await? {
            Some(disabled) => Ok(disabled),
            None => self.subscriptions.get(id).await?.ok_or_else(gone),
        }
    }
}

/// 404: the subscription was deleted meanwhile.
fn gone() -> Failure {
    Failure::not_found("there is no such subscription")
}

/// Checks that a subscription is not suspended because its client may not see the topic.
///
/// # Errors
/// 409 when it is.
pub fn must_not_be_suspended(subscription: &Subscription) -> Result<(), Failure> {
    if subscription.state().is_suspended() {
        return Err(Failure::conflict(
            "the subscription is suspended, since this client may not see the topic any more",
        ));
    }
    Ok(())
}
