//! Changing the spelling of a subscription to an entity, in the Subscriptions table.

use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::entity::Spelling;
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::timestamp;
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;
use time::OffsetDateTime;

use crate::endpoints::changed;
use crate::{StoreError, Subscription, Subscriptions};

impl Subscriptions {
    /// Gives the callbacks of a subscription to an entity another spelling, from the next attempt on. `None` if the
    /// subscription is deleted. Idempotent.
    pub async fn set_spelling(
        &self,
        id: &SubscriptionId,
        spelling: Spelling,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        let update = self
            .update(id)
            .condition_expression("attribute_exists(subscription_id)")
            .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)));
        let update = if spelling.is_default() {
            update.update_expression("SET updated_at = :now REMOVE spelling")
        } else {
            update
                .update_expression("SET updated_at = :now, spelling = :spelling")
                .expression_attribute_values(":spelling", to_attribute_value(spelling)?)
        };
        changed(update).await
    }
}
