//! Enabling: a client's keys are accepted again, and deliveries to it are resumed.

use bellwire_runtime::deadline::{Steps, leaves_time};
use bellwire_store::{Client, Subscription};
use time::OffsetDateTime;

use crate::{ClientLifecycle, LifecycleError, for_each};

impl ClientLifecycle {
    /// Has an enabled client's keys accepted, and resumes deliveries to its subscriptions. Documents continue with a
    /// snapshot.
    pub(crate) async fn enable_all(&self, client: &Client) -> Result<Steps, LifecycleError> {
        self.keys.set_disabled(client, false).await?;
        let subscriptions = self.subscriptions.of_client(client.client_id.as_str());
        for_each(subscriptions.await?, |subscription| async move {
            if !leaves_time() {
                return Ok(Steps::OutOfTime);
            }
            self.resume(&subscription).await?;
            Ok(Steps::Done)
        })
        .await
    }

    /// Resumes deliveries to a subscription. If what its endpoint has is in doubt, asks for the current document, also
    /// where deliveries are resumed already: whoever did that may have been cut off before.
    async fn resume(&self, listed: &Subscription) -> Result<(), LifecycleError> {
        let (id, now) = (&listed.subscription_id, OffsetDateTime::now_utc());
        let resumed = match self.subscriptions.enable_client(id, now).await? {
            Some(resumed) => Some(resumed),
            None => self.subscriptions.get(id).await?,
        };
        let waiting = resumed.filter(|it| it.progress.in_doubt && !it.state().is_silent());
        if let Some(subscription) = waiting {
            self.access.resume_client(&subscription).await?;
        }
        Ok(())
    }
}
