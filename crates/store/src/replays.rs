//! The replay of a subscription that is running, in the Subscriptions table.
//!
//! Attributes `replay_id` and `replay_until`. A replay that makes no progress for [`IDLE`] counts as
//! over, so that one that was dead-lettered doesn't keep others from beginning.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::ids::SubscriptionId;
use time::{Duration, OffsetDateTime};

use crate::endpoints::changed;
use crate::seconds::seconds;
use crate::{StoreError, Subscriptions};

/// How long a replay may wait for its next step: longer than the pause after which a message that
/// `fanout` failed on is received again.
const IDLE: Duration = Duration::minutes(15);

impl Subscriptions {
    /// Begins a replay, unless another one is running. Returns whether it has begun. Idempotent for the
    /// same replay.
    pub async fn begin_replay(
        &self,
        id: &SubscriptionId,
        replay_id: &str,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let update = self
            .hold(id, replay_id, now)
            .condition_expression(
                "attribute_exists(subscription_id) AND (attribute_not_exists(replay_id) \
                 OR replay_id = :replay OR replay_until <= :now)",
            )
            .expression_attribute_values(":now", seconds(now));
        Ok(changed(update).await?.is_some())
    }

    /// Records that a replay continues. Returns whether its subscription, and the topic, still exist.
    pub async fn continue_replay(
        &self,
        id: &SubscriptionId,
        replay_id: &str,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let update = self.hold(id, replay_id, now).condition_expression(
            "attribute_exists(subscription_id) AND attribute_not_exists(expires_at)",
        );
        Ok(changed(update).await?.is_some())
    }

    /// The update by which a replay holds its subscription until it has been idle for [`IDLE`].
    fn hold(
        &self,
        id: &SubscriptionId,
        replay_id: &str,
        now: OffsetDateTime,
    ) -> UpdateItemFluentBuilder {
        self.update(id)
            .update_expression("SET replay_id = :replay, replay_until = :until")
            .expression_attribute_values(":replay", AttributeValue::S(replay_id.to_owned()))
            .expression_attribute_values(":until", seconds(now + IDLE))
    }

    /// Records that a replay is over, so that another one may begin. Changes nothing if another one is
    /// running.
    pub async fn end_replay(&self, id: &SubscriptionId, replay_id: &str) -> Result<(), StoreError> {
        let update = self
            .update(id)
            .update_expression("REMOVE replay_id, replay_until")
            .condition_expression("replay_id = :replay")
            .expression_attribute_values(":replay", AttributeValue::S(replay_id.to_owned()));
        changed(update).await.map(drop)
    }
}
