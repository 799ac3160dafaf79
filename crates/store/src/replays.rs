//! Which replay of a subscription is going on, in the Subscriptions table.
//!
//! `replay_id` and `replay_until`. A replay that makes no progress for [`IDLE`] is taken as over, so that
//! one which became a dead letter is in nobody's way.

use aws_sdk_dynamodb::types::AttributeValue;
use time::{Duration, OffsetDateTime};

use crate::endpoints::changed;
use crate::{StoreError, Subscriptions};

/// How long a replay may wait for its next step: longer than `fanout` waits between repetitions.
const IDLE: Duration = Duration::minutes(15);

impl Subscriptions {
    /// Begins a replay, unless another one is going on. Returns whether it has begun; to begin the same
    /// one again changes nothing.
    pub async fn begin_replay(
        &self,
        id: &str,
        replay_id: &str,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let update = self
            .update(id)
            .update_expression("SET replay_id = :replay, replay_until = :until")
            .condition_expression(
                "attribute_exists(subscription_id) AND (attribute_not_exists(replay_id) \
                 OR replay_id = :replay OR replay_until <= :now)",
            )
            .expression_attribute_values(":replay", AttributeValue::S(replay_id.to_owned()))
            .expression_attribute_values(":until", seconds(now + IDLE))
            .expression_attribute_values(":now", seconds(now));
        Ok(changed(update).await?.is_some())
    }

    /// Notes that a replay goes on. Returns whether there is still a subscription to replay to.
    pub async fn continue_replay(
        &self,
        id: &str,
        replay_id: &str,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let update = self
            .update(id)
            .update_expression("SET replay_id = :replay, replay_until = :until")
            .condition_expression(
                "attribute_exists(subscription_id) AND attribute_not_exists(expires_at)",
            )
            .expression_attribute_values(":replay", AttributeValue::S(replay_id.to_owned()))
            .expression_attribute_values(":until", seconds(now + IDLE));
        Ok(changed(update).await?.is_some())
    }

    /// Notes that a replay is over; another one may begin.
    pub async fn end_replay(&self, id: &str, replay_id: &str) -> Result<(), StoreError> {
        let update = self
            .update(id)
            .update_expression("REMOVE replay_id, replay_until")
            .condition_expression("replay_id = :replay")
            .expression_attribute_values(":replay", AttributeValue::S(replay_id.to_owned()));
        changed(update).await.map(drop)
    }
}

fn seconds(at: OffsetDateTime) -> AttributeValue {
    AttributeValue::N(at.unix_timestamp().to_string())
}
