//! Disabling and enabling endpoints, and the failures that lead to it, in the Subscriptions table. The
//! decisions are those of [`bellwire_domain::endpoint`].

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::endpoint::{self, Disabled};
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::timestamp;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_attribute_value};
use time::{Duration, OffsetDateTime};

use crate::conditional::conditional;
use crate::subscription::Subscription;
use crate::{StoreError, Subscriptions};

impl Subscriptions {
    /// Disables an endpoint at its owner's request. `None` if it is disabled already, which stays as it
    /// is, or the subscription is deleted.
    pub async fn disable(
        &self,
        id: &SubscriptionId,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        self.change_state(id, now, |state| endpoint::disable(state, now))
            .await
    }

    /// Disables an endpoint that responded with 410 to a request that was sent when the subscription was
    /// as in `before`. `None` if it is disabled already, was enabled since, or the subscription is deleted.
    pub async fn disable_gone(
        &self,
        before: &Subscription,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        let then = before.state();
        self.change_state(&before.subscription_id, now, |state| {
            endpoint::gone(state, &then, now)
        })
        .await
    }

    /// Disables an endpoint at which every attempt has failed for at least `disable_after`. `None` if that is
    /// not so, if it is disabled already, or the subscription is deleted.
    pub async fn give_up(
        &self,
        id: &SubscriptionId,
        now: OffsetDateTime,
        disable_after: Duration,
    ) -> Result<Option<Subscription>, StoreError> {
        self.change_state(id, now, |state| {
            endpoint::give_up(state, now, disable_after)
        })
        .await
    }

    /// Records that the owner was notified that the endpoint was disabled. Changes nothing unless the
    /// endpoint is disabled for the same reason, since the same time.
    pub async fn note_owner_notified(
        &self,
        id: &SubscriptionId,
        told: &Disabled,
    ) -> Result<(), StoreError> {
        let update = self
            .update(id)
            .update_expression("REMOVE unannounced")
            .condition_expression("disabled = :told")
            .expression_attribute_values(":told", to_attribute_value(told)?);
        changed(update).await.map(drop)
    }

    /// Stops sending to a subscription of a client that is disabled. `None` if nothing changes.
    pub async fn disable_client(
        &self,
        id: &SubscriptionId,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        self.change_state(id, now, endpoint::disable_client).await
    }

    /// Sends to a subscription again whose client was disabled and is enabled. `None` if nothing changes.
    pub async fn enable_client(
        &self,
        id: &SubscriptionId,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        self.change_state(id, now, endpoint::enable_client).await
    }

    /// Enables an endpoint, and forgets its failures; `None` if the subscription is deleted.
    pub async fn enable(
        &self,
        id: &SubscriptionId,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        self.change_state(id, now, |state| Some(endpoint::enable(state)))
            .await
    }

    /// Records that an attempt failed. Returns the subscription, with the time since when every attempt
    /// has; `None` if it is deleted.
    pub async fn note_failure(
        &self,
        id: &SubscriptionId,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        let update = self
            .update(id)
            .update_expression("SET failing_since = if_not_exists(failing_since, :now)")
            .condition_expression("attribute_exists(subscription_id)")
            .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)));
        changed(update).await
    }

    /// Records that an attempt succeeded after one that failed.
    pub async fn note_success(&self, id: &SubscriptionId) -> Result<(), StoreError> {
        let update = self
            .update(id)
            .update_expression("REMOVE failing_since")
            .condition_expression("attribute_exists(subscription_id)");
        changed(update).await.map(drop)
    }
}

/// Runs a conditional update; `None` if its condition doesn't hold.
pub(crate) async fn changed(
    update: UpdateItemFluentBuilder,
) -> Result<Option<Subscription>, StoreError> {
    let written = conditional(update).await?.ok();
    let attributes = written.and_then(|written| written.attributes);
    Ok(attributes.map(from_item).transpose()?)
}
