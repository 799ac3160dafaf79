//! Endpoints that nothing is sent to, and the way back, in the Subscriptions table. The decisions are
//! those of [`bellwire_rules::endpoint`].

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_rules::endpoint::{self, Disabled};
use bellwire_rules::timestamp;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_attribute_value};
use time::{Duration, OffsetDateTime};

use crate::patience::patiently;
use crate::subscription::Subscription;
use crate::{StoreError, Subscriptions};

impl Subscriptions {
    /// Sends no more to an endpoint, as its owner wants. `None` when it is disabled already, which it
    /// stays as it is, and when it is gone.
    pub async fn disable(
        &self,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        self.change_state(id, now, |state| endpoint::disable(state, now))
            .await
    }

    /// Sends no more to an endpoint that answered 410 to a request when it was as in `before`. `None`
    /// when it is disabled already, was enabled since, or is gone.
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

    /// Sends no more to an endpoint that every attempt has failed at for as long as `patience`. `None`
    /// when there is another one, when it is disabled already, and when it is gone.
    pub async fn give_up(
        &self,
        id: &str,
        now: OffsetDateTime,
        patience: Duration,
    ) -> Result<Option<Subscription>, StoreError> {
        self.change_state(id, now, |state| endpoint::give_up(state, now, patience))
            .await
    }

    /// Notes that the owner was told that the endpoint was disabled; of another time than this one
    /// nothing is noted.
    pub async fn note_owner_notified(&self, id: &str, told: &Disabled) -> Result<(), StoreError> {
        let update = self
            .update(id)
            .update_expression("REMOVE unannounced")
            .condition_expression("disabled = :told")
            .expression_attribute_values(":told", to_attribute_value(told)?);
        changed(update).await.map(drop)
    }

    /// Sends no more to a subscription of a client that is shut out. `None` when nothing changes.
    pub async fn disable_client(
        &self,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        self.change_state(id, now, endpoint::disable_client).await
    }

    /// Sends to a subscription of a client again that was shut out. `None` when nothing changes.
    pub async fn enable_client(
        &self,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        self.change_state(id, now, endpoint::enable_client).await
    }

    /// Sends to an endpoint again, as if nothing had ever failed; `None` when it is gone.
    pub async fn enable(
        &self,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        self.change_state(id, now, |state| Some(endpoint::enable(state)))
            .await
    }

    /// Notes that an attempt failed. Returns the subscription, with the time since when
    /// every attempt has; `None` when it is gone.
    pub async fn note_failure(
        &self,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        let update = self
            .update(id)
            .update_expression("SET failing_since = if_not_exists(failing_since, :now)")
            .condition_expression("attribute_exists(subscription_id)")
            .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)));
        changed(update).await
    }

    /// Notes that an attempt succeeded after one that failed.
    pub async fn note_success(&self, id: &str) -> Result<(), StoreError> {
        let update = self
            .update(id)
            .update_expression("REMOVE failing_since")
            .condition_expression("attribute_exists(subscription_id)");
        changed(update).await.map(drop)
    }
}

/// Carries out an update; `None` when its condition doesn't hold.
pub(crate) async fn changed(
    update: UpdateItemFluentBuilder,
) -> Result<Option<Subscription>, StoreError> {
    match patiently(update).await {
        Ok(answer) => Ok(answer.attributes.map(from_item).transpose()?),
        Err(error) => match error.as_service_error() {
            Some(refused) if refused.is_conditional_check_failed_exception() => Ok(None),
            _ => Err(error.into()),
        },
    }
}
