//! Where deliveries go: one file for each kind of target.

mod access_token;
#[cfg(test)]
mod providers_test;
mod token_refusal;
mod token_response;
pub mod webhook;

use bellwire_store::subscription::{Subscription, Target};

use crate::rendered::Rendered;
use crate::targets::webhook::AttemptResult;
use crate::{Engine, Error};

impl Engine {
    /// Attempts a delivery at its subscription's target, after so many attempts that failed.
    ///
    /// # Errors
    /// When there can be no attempt. What the target does is an outcome.
    pub(crate) async fn attempt(
        &self,
        subscription: &Subscription,
        rendered: Rendered,
        failures: usize,
    ) -> Result<AttemptResult, Error> {
        match &subscription.target {
            Target::Webhook(webhook) => {
                let webhooks = &self.webhooks;
                webhooks
                    .attempt(subscription, webhook, rendered, failures)
                    .await
            }
        }
    }
}
