//! The end of subscriptions: their owners delete them, or their topic is deleted.
//!
//! A subscription is counted at the host of its URL, which its owner may change at the same time: it is ended on
//! the condition of the URL by which it is counted.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, ReturnValuesOnConditionCheckFailure as OnRefusal, TransactWriteItem,
    Update,
};
use bellwire_domain::delivery::retry::ON_ITS_WAY_DAYS;
use bellwire_domain::timestamp;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use time::{Duration, OffsetDateTime};

use crate::leases::ATTEMPTS;
use crate::members::segment_key;
use crate::subscription::Subscription;
use crate::subscriptions::{COUNTED, key};
use crate::transaction::{Transacted, transact};
use crate::{StoreError, Subscriptions, usage};

/// How long the subscription to a deleted topic is kept, in days: as long as a delivery may be under way.
const ENDED_KEPT_DAYS: i64 = ON_ITS_WAY_DAYS as i64;

impl Subscriptions {
    /// Ends the subscription to a deleted topic: removes its membership now, and the subscription in 30
    /// days. It receives nothing that is accepted after `ended_at`, the time of the deletion, and deliveries
    /// that are under way are completed. Idempotent.
    pub async fn expire(
        &self,
        subscription: &Subscription,
        ended_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let expires_at = (now + Duration::days(ENDED_KEPT_DAYS)).unix_timestamp();
        let mut known = subscription.clone();
        for _ in 0..ATTEMPTS {
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(&known.subscription_id)))
                .update_expression("SET expires_at = :at, ended_at = :ended_at")
                .condition_expression(COUNTED)
                .expression_attribute_values(":url", AttributeValue::S(known.webhook().url.clone()))
                .expression_attribute_values(
                    ":ended_at",
                    AttributeValue::S(timestamp::iso(ended_at)),
                )
                .expression_attribute_values(":at", AttributeValue::N(expires_at.to_string()))
                .return_values_on_condition_check_failure(OnRefusal::AllOld)
                .build()?;
            let update = TransactWriteItem::builder().update(update).build();
            let member = delete(&self.members, member_key(&known))?;
            let counts = usage::one_less(&self.members, &known)?;
            let writes = [update, member].into_iter().chain(counts).collect();
            match elsewhere(transact(&self.db, writes).await?, &known)? {
                Some(found) => known = found,
                // If the condition doesn't hold, this was done before, or the owner has deleted the
                // subscription.
                None => return Ok(()),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Deletes a subscription; from now on it receives nothing. Idempotent.
    pub async fn delete(&self, subscription: &Subscription) -> Result<(), StoreError> {
        let mut known = subscription.clone();
        for _ in 0..ATTEMPTS {
            match self.delete_counted(&known, None).await? {
                Transacted::Done => return Ok(()),
                refused => match elsewhere(refused, &known)? {
                    Some(found) => known = found,
                    None => return self.delete_uncounted(&known).await,
                },
            }
        }
        Err(StoreError::Conflict)
    }

    /// Deletes a subscription if nobody has changed it since `known` was read. Returns it as it is otherwise;
    /// `None` when it is deleted. Idempotent.
    pub async fn delete_unchanged(
        &self,
        known: &Subscription,
    ) -> Result<Option<Subscription>, StoreError> {
        let unchanged = Some(known.updated_at);
        let refused = match self.delete_counted(known, unchanged).await? {
            Transacted::Done => return Ok(None),
            Transacted::Refused { found, .. } => found,
        };
        let found: Option<Subscription> = refused.map(from_item).transpose()?;
        match found {
            Some(found) if found.ended_at.is_none() => Ok(Some(found)),
            _ => self.delete_uncounted(known).await.map(|()| None),
        }
    }

    /// Deletes a subscription that is counted at its host, if its last change was `unchanged_since`, and counts
    /// one less.
    async fn delete_counted(
        &self,
        known: &Subscription,
        unchanged_since: Option<OffsetDateTime>,
    ) -> Result<Transacted, StoreError> {
        let mut deletion = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key(&known.subscription_id)))
            .condition_expression(COUNTED)
            .expression_attribute_values(":url", AttributeValue::S(known.webhook().url.clone()))
            .return_values_on_condition_check_failure(OnRefusal::AllOld);
        if let Some(at) = unchanged_since {
            deletion = deletion
                .condition_expression(format!("{COUNTED} AND updated_at = :at"))
                .expression_attribute_values(":at", AttributeValue::S(timestamp::iso(at)));
        }
        let deletion = TransactWriteItem::builder()
            .delete(deletion.build()?)
            .build();
        let member = delete(&self.members, member_key(known))?;
        let counts = usage::one_less(&self.members, known)?;
        let writes = [deletion, member].into_iter().chain(counts);
        transact(&self.db, writes.collect()).await
    }

    /// Deletes what is left of a subscription that isn't counted any more.
    async fn delete_uncounted(&self, known: &Subscription) -> Result<(), StoreError> {
        let writes = vec![
            delete(&self.table, key(&known.subscription_id))?,
            delete(&self.members, member_key(known))?,
        ];
        transact(&self.db, writes).await.map(drop)
    }
}

/// The subscription as it is, if the condition didn't hold because its owner has given it another URL since
/// `known` was read, by which it is counted elsewhere.
fn elsewhere(
    transacted: Transacted,
    known: &Subscription,
) -> Result<Option<Subscription>, StoreError> {
    let Transacted::Refused {
        found: Some(found), ..
    } = transacted
    else {
        return Ok(None);
    };
    let found: Subscription = from_item(found)?;
    let is_counted = found.ended_at.is_none() && found.webhook().url != known.webhook().url;
    Ok(is_counted.then_some(found))
}

fn member_key(subscription: &Subscription) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (
            "audience_segment".to_owned(),
            AttributeValue::S(segment_key(
                &subscription.audience_id(),
                subscription.segment,
            )),
        ),
        (
            "subscription_id".to_owned(),
            AttributeValue::S(subscription.subscription_id.to_string()),
        ),
    ])
}

fn delete(
    table: &str,
    key: HashMap<String, AttributeValue>,
) -> Result<TransactWriteItem, StoreError> {
    let delete = Delete::builder()
        .table_name(table)
        .set_key(Some(key))
        .build()?;
    Ok(TransactWriteItem::builder().delete(delete).build())
}
