//! Disabling: nothing more is delivered to a client, and its keys are refused.

use bellwire_runtime::deadline::{Steps, leaves_time};
use bellwire_store::Client;
use time::OffsetDateTime;

use crate::{ClientLifecycle, LifecycleError, for_each};

impl ClientLifecycle {
    /// Has a disabled client's keys refused, and stops deliveries to its subscriptions, to which none can be added.
    pub(crate) async fn disable_all(&self, client: &Client) -> Result<Steps, LifecycleError> {
        self.keys.set_disabled(client, true).await?;
        let now = OffsetDateTime::now_utc();
        let subscriptions = self.subscriptions.of_client(client.client_id.as_str());
        for_each(subscriptions.await?, |subscription| async move {
            if !leaves_time() {
                return Ok(Steps::OutOfTime);
            }
            let id = &subscription.subscription_id;
            self.subscriptions.disable_client(id, now).await?;
            Ok(Steps::Done)
        })
        .await
    }
}
