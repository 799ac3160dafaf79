//! When a topic's document was last published as it is.

use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_rules::timestamp;
use time::OffsetDateTime;

use crate::events::{key, version_key};
use crate::{Events, StoreError};

impl Events {
    /// Notes that a publication accepted at this time was what the current version is already.
    /// Earlier ones change nothing, and neither does a version that has expired.
    ///
    /// A publication that comes back from the dead letters later, and was accepted before, must not
    /// replace the document: its publisher has said since what it is.
    pub async fn confirm(
        &self,
        topic_id: &str,
        version: u64,
        accepted_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let answer = self
            .db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(topic_id, version_key(version))))
            .update_expression("SET confirmed_at = :at")
            // Times in this form are ordered as texts are.
            .condition_expression(
                "attribute_exists(#source) AND (attribute_not_exists(confirmed_at) OR confirmed_at < :at)",
            )
            .expression_attribute_names("#source", "source")
            .expression_attribute_values(":at", AttributeValue::S(timestamp::iso(accepted_at)))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_conditional_check_failed_exception() => Ok(()),
                _ => Err(error.into()),
            },
        }
    }
}
