//! Suspending a subscription whose client may not see the topic any more, and resuming it when it may again, in the
//! Subscriptions table.
//!
//! The decision follows from the topic and from the client's labels. It is written in a transaction with the conditions
//! that both are as they were when they were read, so that no judgement overwrites a newer one.

use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure as OnRefusal, TransactWriteItem, Update,
};
use bellwire_domain::endpoint;
use bellwire_domain::timestamp;
use time::{Duration, OffsetDateTime};

use crate::answers::Together;
use crate::endpoint_state::StateChange;
use crate::subscription::Subscription;
use crate::subscriptions::key;
use crate::transaction::{Transacted, transact};
use crate::{StoreError, Subscriptions};

/// The outcome of settling a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is as it should be, and was before.
    Already,
    /// It was suspended.
    Suspended,
    /// It was resumed: what its endpoint has is in doubt.
    Resumed,
    /// Nothing was written: the subscription, the topic or the client has changed since it was read.
    Changed,
}

impl Subscriptions {
    /// Makes the state of a subscription, which was read as `known`, what it has to be for a client that may receive the
    /// topic's publications, or may not. `conditions` are what the judgement is based on.
    pub async fn settle_access(
        &self,
        known: &Subscription,
        permitted: bool,
        conditions: Vec<Together>,
        now: OffsetDateTime,
    ) -> Result<Settled, StoreError> {
        let seen = known.state();
        let Some(next) = endpoint::settle_access(&seen, permitted, now) else {
            return Ok(Settled::Already);
        };
        let at = now.max(known.updated_at + Duration::MICROSECOND);
        let mut change = StateChange::new(&seen, &next)?;
        change.set("updated_at", AttributeValue::S(timestamp::iso(at)));
        let update =
            Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(&known.subscription_id)))
                .update_expression(change.expression())
                .condition_expression(change.condition(
                    "attribute_exists(subscription_id) AND attribute_not_exists(ended_at)",
                ))
                .set_expression_attribute_values(Some(change.values()))
                .return_values_on_condition_check_failure(OnRefusal::None)
                .build()?;
        let update = TransactWriteItem::builder().update(update).build();
        let conditions = conditions.into_iter().map(|Together(write)| write);
        let writes = std::iter::once(update).chain(conditions).collect();
        Ok(match transact(&self.db, writes).await? {
            Transacted::Refused { .. } => Settled::Changed,
            Transacted::Done if permitted => Settled::Resumed,
            Transacted::Done => Settled::Suspended,
        })
    }
}
