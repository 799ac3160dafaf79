//! An owner's request for another snapshot of a document, in the Subscriptions table: what the endpoint has is in doubt
//! from then on, so that whoever has the lease sends the current version whole. The decision is
//! [`bellwire_domain::endpoint::ask_again`].

use aws_sdk_dynamodb::types::{
    ReturnValuesOnConditionCheckFailure as OnRefusal, TransactWriteItem, Update,
};
use bellwire_domain::endpoint;
use bellwire_domain::ids::SubscriptionId;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::answers::Together;
use crate::endpoint_state::StateChange;
use crate::leases::ATTEMPTS;
use crate::subscription::Subscription;
use crate::subscriptions::key;
use crate::transaction::{Transacted, transact};
use crate::{StoreError, Subscriptions};

/// The result of asking for a snapshot.
#[derive(Clone, Debug)]
pub enum SnapshotAsked {
    /// It is asked for: the delivery of the current version is to be created.
    Done(Box<Subscription>),
    /// Nothing was written: the endpoint or its client is disabled.
    Disabled,
    /// Nothing was written: the response to the request is on record already.
    Before,
    /// The subscription is deleted.
    Gone,
}

impl Subscriptions {
    /// Asks for another snapshot, and writes the response to the request, if there is one to be recorded, together with
    /// that.
    pub async fn ask_for_snapshot(
        &self,
        id: &SubscriptionId,
        response: Option<Together>,
    ) -> Result<SnapshotAsked, StoreError> {
        let mut found = self.get(id).await?;
        for _ in 0..ATTEMPTS {
            let Some(subscription) = found else {
                return Ok(SnapshotAsked::Gone);
            };
            let seen = subscription.state();
            let Some(next) = endpoint::ask_again(&seen) else {
                return Ok(SnapshotAsked::Disabled);
            };
            let change = StateChange::new(&seen, &next)?;
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(id)))
                .update_expression(change.expression())
                .condition_expression(change.condition("attribute_exists(subscription_id)"))
                .set_expression_attribute_values(Some(change.values()))
                .return_values_on_condition_check_failure(OnRefusal::AllOld)
                .build()?;
            let update = TransactWriteItem::builder().update(update).build();
            let response = response.clone().map(|Together(write)| write);
            let writes = std::iter::once(update).chain(response).collect();
            found = match transact(&self.db, writes).await? {
                Transacted::Done => {
                    let changed = subscription.in_state(next);
                    return Ok(SnapshotAsked::Done(Box::new(changed)));
                }
                Transacted::Refused { write: 0, found } => found.map(from_item).transpose()?,
                Transacted::Refused { .. } => return Ok(SnapshotAsked::Before),
            };
        }
        Err(StoreError::Conflict)
    }
}
