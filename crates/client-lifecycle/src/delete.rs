//! Deletion: all that belongs to a client is removed, and the client last.
//!
//! Deliveries to it that are in queues end when they find no subscription. Functions that know one of its keys accept it
//! for up to a minute (`bellwire_api::Authenticator`); no subscription can be added in that time, and of a query or a
//! callback URL that is registered when the client is gone nobody is notified.

use std::sync::atomic::{AtomicUsize, Ordering};

use bellwire_domain::topic::shards::Shards;
use bellwire_runtime::backoff::Backoff;
use bellwire_runtime::deadline::{Steps, leaves_time};
use bellwire_store::topics::Found;
use bellwire_store::{Client, Subscription};

use crate::{ClientLifecycle, LifecycleError, Watch, for_each};

impl ClientLifecycle {
    /// Removes a client that is being deleted, and all that belongs to it.
    pub(crate) async fn remove_all(
        &self,
        client: &Client,
        watch: Watch<'_>,
    ) -> Result<Steps, LifecycleError> {
        let id = &client.client_id;
        self.keys.set_disabled(client, true).await?;
        if self.remove_subscriptions(client, watch).await? == Steps::OutOfTime {
            return Ok(Steps::OutOfTime);
        }
        if !self.is_still_deleted(client).await? {
            return Ok(Steps::Done);
        }
        self.notifications.delete_topic(id).await?;
        for callback in self.callbacks.list(id).await? {
            self.callbacks.remove(id, &callback).await?;
        }
        if self.queries.remove_all(id).await? == Steps::OutOfTime
            || self.subscriptions.forget_counts(id.as_str()).await? == Steps::OutOfTime
        {
            return Ok(Steps::OutOfTime);
        }
        self.keys.remove_all(client).await?;
        self.clients.end_deletion(client).await?;
        Ok(Steps::Done)
    }

    /// Removes a client's subscriptions, until none is counted any more: what was created shortly before the deletion may
    /// be missing in the index that lists them.
    async fn remove_subscriptions(
        &self,
        client: &Client,
        watch: Watch<'_>,
    ) -> Result<Steps, LifecycleError> {
        let client_id = client.client_id.as_str();
        let removed = AtomicUsize::new(0);
        let mut backoff = Backoff::new();
        loop {
            let listed = self.subscriptions.of_client(client_id).await?;
            let all = removed.load(Ordering::Relaxed) + listed.len();
            let removed = &removed;
            let steps = for_each(listed, |subscription| async move {
                let steps = self.remove_subscription(&subscription).await?;
                if steps == Steps::Done {
                    watch(removed.fetch_add(1, Ordering::Relaxed) + 1, all);
                }
                Ok(steps)
            });
            if steps.await? == Steps::OutOfTime {
                return Ok(Steps::OutOfTime);
            }
            if !self.subscriptions.has_any(client_id).await? {
                return Ok(Steps::Done);
            }
            if !backoff.pause().await {
                return Ok(Steps::OutOfTime);
            }
        }
    }

    /// Removes a subscription, after all that is on record of its deliveries.
    async fn remove_subscription(
        &self,
        subscription: &Subscription,
    ) -> Result<Steps, LifecycleError> {
        if !leaves_time() {
            return Ok(Steps::OutOfTime);
        }
        let shards = self.shards_of(subscription).await?;
        let id = &subscription.subscription_id;
        if self.attempts.remove_all(id, shards).await? == Steps::OutOfTime
            || self.counts.remove_all(id).await? == Steps::OutOfTime
        {
            return Ok(Steps::OutOfTime);
        }
        self.subscriptions.delete(subscription).await?;
        Ok(Steps::Done)
    }

    /// The shards of the subscription's topic.
    async fn shards_of(&self, subscription: &Subscription) -> Result<Shards, LifecycleError> {
        let Some((topic_id, _)) = subscription.topic() else {
            return Ok(Shards::ONE);
        };
        Ok(match self.topics.get(topic_id).await? {
            Found::Live(topic) => topic.shards,
            Found::Deleted { shards, .. } => shards,
            Found::Unknown => Shards::ONE,
        })
    }

    /// Whether this deletion is still going on. If somebody else has ended it, a client may have been created anew with
    /// the same id, which keeps what it has.
    async fn is_still_deleted(&self, client: &Client) -> Result<bool, LifecycleError> {
        let found = self.clients.get(&client.client_id).await?;
        Ok(found.is_some_and(|found| found.deleting_since == client.deleting_since))
    }
}
