//! Endpoints that are given up, and telling their owners.
//!
//! The owner is told by an event on the stack's bus. That it is still to be told is on
//! record with the endpoint's end, so that a step that dies in between is made good by
//! the next message for the same endpoint.

use aws_sdk_eventbridge::Client as EventBridge;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use bellwire_rules::endpoint::DisabledReason;
use bellwire_rules::entity::EntityKey;
use bellwire_rules::timestamp::iso_serde;
use bellwire_runtime::aws::Lazy;
use bellwire_store::Subscriptions;
use bellwire_store::subscription::Subscription;
use lambda_runtime::Error;
use serde::Serialize;
use time::{Duration, OffsetDateTime};

/// The way to the owners of subscriptions.
#[derive(Debug)]
pub struct OwnerNotifications {
    subscriptions: Subscriptions,
    bus: Lazy<EventBridge>,
    bus_name: String,
    /// For how long every attempt fails at an endpoint that is given up.
    pub patience: Duration,
}

/// What an owner is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionDisabled<'a> {
    subscription_id: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_key: Option<&'a EntityKey>,
    reason: DisabledReason,
    #[serde(with = "iso_serde")]
    disabled_at: OffsetDateTime,
}

impl OwnerNotifications {
    /// By way of this bus. An endpoint is given up when it has failed for as long as this.
    pub fn new(
        subscriptions: Subscriptions,
        bus: Lazy<EventBridge>,
        bus_name: String,
        patience: Duration,
    ) -> Self {
        Self {
            subscriptions,
            bus,
            bus_name,
            patience,
        }
    }

    /// Sends no more to an endpoint that every attempt has failed at for too long, at the end of a
    /// schedule, and tells its owner.
    pub async fn give_up(&self, id: &str, now: OffsetDateTime) -> Result<(), Error> {
        let disabled = self.subscriptions.give_up(id, now, self.patience).await?;
        self.notify_if_disabled(disabled).await
    }

    /// Sends no more to an endpoint that answered 410 to a request when it was as in `before`, and
    /// tells its owner.
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

    /// Tells the owner of a disabled endpoint, if that is still to be done.
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
        let answer =
            answer.map_err(|error| format!("EventBridge: {:#}", anyhow::Error::from(error)))?;
        if answer.failed_entry_count > 0 {
            return Err("EventBridge: the event was refused".into());
        }
        self.subscriptions
            .note_owner_notified(&subscription.subscription_id, disabled)
            .await?;
        Ok(())
    }
}
