//! Disabling endpoints, and notifying their owners.
//!
//! The owner is notified by an event on the stack's bus. That this is still to be done is recorded with
//! the disabling, in one write: when a function dies in between, the next message for the same endpoint
//! completes it.

use aws_sdk_eventbridge::Client as EventBridge;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use bellwire_domain::endpoint::DisabledReason;
use bellwire_domain::entity::EntityKey;
use bellwire_domain::ids::{SubscriptionId, TopicId};
use bellwire_domain::timestamp::iso_serde;
use bellwire_runtime::aws::Lazy;
use bellwire_store::Subscriptions;
use bellwire_store::subscription::Subscription;
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::Error;

/// The endpoints, and the event bus on which their owners are notified.
#[derive(Debug)]
pub struct OwnerNotifications {
    subscriptions: Subscriptions,
    bus: Lazy<EventBridge>,
    bus_name: String,
    /// How long every attempt has to fail before an endpoint is disabled.
    pub disable_after: Duration,
}

/// The detail of the event `Subscription Disabled`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionDisabled<'a> {
    subscription_id: &'a SubscriptionId,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<&'a TopicId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_key: Option<&'a EntityKey>,
    reason: DisabledReason,
    #[serde(with = "iso_serde")]
    disabled_at: OffsetDateTime,
}

impl OwnerNotifications {
    /// `bus_name` is the name of the bus; `disable_after` how long every attempt has to fail before an endpoint is
    /// disabled.
    pub fn new(
        subscriptions: Subscriptions,
        bus: Lazy<EventBridge>,
        bus_name: String,
        disable_after: Duration,
    ) -> Self {
        Self {
            subscriptions,
            bus,
            bus_name,
            disable_after,
        }
    }

    /// Disables an endpoint at which every attempt has failed for too long, at the end of a schedule, and
    /// notifies its owner.
    pub async fn give_up(&self, id: &SubscriptionId, now: OffsetDateTime) -> Result<(), Error> {
        let disabled = self
            .subscriptions
            .give_up(id, now, self.disable_after)
            .await?;
        self.notify_if_disabled(disabled).await
    }

    /// Disables an endpoint that answered 410 to a request when it was as in `before`, and notifies its
    /// owner.
    pub async fn gone(&self, before: &Subscription, now: OffsetDateTime) -> Result<(), Error> {
        let disabled = self.subscriptions.disable_gone(before, now).await?;
        self.notify_if_disabled(disabled).await
    }

    async fn notify_if_disabled(&self, disabled: Option<Subscription>) -> Result<(), Error> {
        match disabled {
            Some(subscription) => self.notify_owner(&subscription).await,
            None => Ok(()),
        }
    }

    /// Notifies the owner of a disabled endpoint, if that is still to be done.
    pub async fn notify_owner(&self, subscription: &Subscription) -> Result<(), Error> {
        let (Some(disabled), true) = (&subscription.disabled, subscription.owner_unnotified) else {
            return Ok(());
        };
        tracing::warn!(reason = ?disabled.reason, "endpoint disabled");
        let detail = SubscriptionDisabled {
            subscription_id: &subscription.subscription_id,
            client_id: &subscription.client_id,
            topic_id: subscription.topic().map(|(id, _)| id),
            entity_key: subscription.entity(),
            reason: disabled.reason,
            disabled_at: disabled.at,
        };
        let event = PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus_name)
            .source("bellwire.subscriptions")
            .detail_type("Subscription Disabled")
            .detail(serde_json::to_string(&detail)?)
            .build();
        let answer = self.bus.put_events().entries(event).send().await;
        let answer = answer.map_err(|error| Error::EventBridge(anyhow::Error::from(error)))?;
        if answer.failed_entry_count > 0 {
            return Err(Error::EventBridge(anyhow::anyhow!("the event was refused")));
        }
        self.subscriptions
            .note_owner_notified(&subscription.subscription_id, disabled)
            .await?;
        Ok(())
    }
}
