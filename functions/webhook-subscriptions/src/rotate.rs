//! `POST /subscribers/webhook/subscriptions/{subscriptionId}/secret/rotate`.

use bellwire_edge::Failure;
use bellwire_rules::signature::{ROTATION, generate_secret};
use bellwire_rules::timestamp;
use bellwire_store::subscription::Subscription;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::Function;

impl Function {
    /// Gives a subscription a new signing secret. For a day, deliveries are signed with the
    /// one before it too.
    pub async fn rotate(&self, subscription: &Subscription) -> Result<Value, Failure> {
        let secret = generate_secret().map_err(Failure::internal)?;
        let now = OffsetDateTime::now_utc();
        let secrets = subscription.secrets.clone().rotated(secret.clone(), now);
        if self
            .subscriptions
            .rotate(subscription, &secrets, now)
            .await?
            .is_none()
        {
            return Err(Failure::conflict(
                "another request changes the same subscription; please look at it and try again",
            ));
        }
        Ok(json!({
            "id": subscription.subscription_id,
            "secret": secret.expose(),
            "previousSecretValidUntil": timestamp::iso(now + ROTATION),
        }))
    }
}
