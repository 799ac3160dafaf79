//! Changes of a subscription by its owner, in the Subscriptions table: URL, headers, authorization, mode, and
//! whether the endpoint is enabled. All are made, or none, by one write; with it the subscription is counted at
//! the host of its new URL (`usage`).

use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure as OnRefusal, TransactWriteItem, Update,
};
use bellwire_domain::endpoint;
use bellwire_domain::timestamp;
use bellwire_domain::topic::modes::SubscriptionMode;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_attribute_value, to_item};
use time::{Duration, OffsetDateTime};

use crate::endpoint_state::StateChange;
use crate::leases::ATTEMPTS;
use crate::subscription::{Subscription, Webhook};
use crate::subscriptions::{COUNTED, key};
use crate::transaction::{Transacted, transact};
use crate::usage::{self, Exceeded, Limits};
use crate::{StoreError, Subscriptions};

/// What a subscription is to be.
#[derive(Clone, Debug)]
pub struct SubscriptionChange {
    /// Where its deliveries go, but for the signing secrets, which stay as they are.
    pub webhook: Webhook,
    /// The form of its deliveries.
    pub mode: SubscriptionMode,
    /// Whether its endpoint is to be enabled or disabled; `None` to leave it as it is.
    pub enabled: Option<bool>,
}

impl SubscriptionChange {
    /// Whether `subscription` is to have another URL.
    pub fn moves(&self, subscription: &Subscription) -> bool {
        subscription.webhook().url != self.webhook.url
    }

    /// Whether `subscription` is as it is to be.
    pub fn is_made(&self, subscription: &Subscription) -> bool {
        let (is, wanted) = (subscription.webhook(), &self.webhook);
        let is_enabled = subscription.disabled.is_none();
        (&is.url, &is.headers, &is.authorization, &is.origin)
            == (
                &wanted.url,
                &wanted.headers,
                &wanted.authorization,
                &wanted.origin,
            )
            && subscription.topic().map(|(_, mode)| mode) == Some(self.mode)
            && self.enabled.is_none_or(|enabled| enabled == is_enabled)
    }
}

/// The result of changing a subscription.
#[derive(Clone, Debug)]
pub enum Changed {
    /// It was changed, and is so.
    Done(Box<Subscription>),
    /// Nothing was written: somebody else has changed it since it was read, and it is so.
    Before(Box<Subscription>),
    /// Nothing was written: the client has reached the limit of the new URL's host.
    TooMany(Exceeded),
    /// Nothing was written: the subscription is deleted, or its topic.
    Gone,
}

impl Subscriptions {
    /// Changes a subscription, unless its owner, or Bellwire, has changed it since `known` was read. What
    /// attempts change at the same time doesn't matter. A new URL, or enabling the endpoint, leaves what the
    /// endpoint has in doubt ([`endpoint::change`]).
    pub async fn change(
        &self,
        known: &Subscription,
        change: &SubscriptionChange,
        limits: &Limits,
        now: OffsetDateTime,
    ) -> Result<Changed, StoreError> {
        // Each change has a time of its own, whatever the clocks of the functions say.
        let at = now.max(known.updated_at + Duration::MICROSECOND);
        let mut known = known.clone();
        for _ in 0..ATTEMPTS {
            let update = self.update_of(&known, change, at)?;
            let counts = usage::moved(&self.members, &known, &change.webhook.url, limits)?;
            let writes = std::iter::once(update).chain(counts).collect();
            let found = match transact(&self.db, writes).await {
                Ok(Transacted::Done) => None,
                Ok(Transacted::Refused {
                    write: 0,
                    found: Some(found),
                }) => Some(from_item::<Subscription>(found)?),
                Ok(Transacted::Refused { write: 0, .. }) => return Ok(Changed::Gone),
                Ok(Transacted::Refused { .. }) => return Ok(Changed::TooMany(Exceeded::AtHost)),
                // It may have been written, and the answer been lost.
                Err(error) => match self.get(&known.subscription_id).await? {
                    Some(found) if is_ours(&found, change, at) => Some(found),
                    _ => return Err(error),
                },
            };
            let found = match found {
                Some(found) => found,
                None => match self.get(&known.subscription_id).await? {
                    Some(found) => return Ok(Changed::Done(Box::new(found))),
                    None => return Ok(Changed::Gone),
                },
            };
            if is_ours(&found, change, at) {
                return Ok(Changed::Done(Box::new(found)));
            }
            if found.ended_at.is_some() {
                return Ok(Changed::Gone);
            }
            if !is_same_time(found.updated_at, known.updated_at) {
                return Ok(Changed::Before(Box::new(found)));
            }
            // An attempt has changed the state from which the change is made.
            known = found;
        }
        Err(StoreError::Conflict)
    }

    /// The write of a change at this time.
    fn update_of(
        &self,
        known: &Subscription,
        change: &SubscriptionChange,
        at: OffsetDateTime,
    ) -> Result<TransactWriteItem, StoreError> {
        let seen = known.state();
        let next = endpoint::change(&seen, change.moves(known), change.enabled, at);
        // Attempts change the state again and again: it is no condition unless it is changed.
        let mut update = if next == seen {
            StateChange::default()
        } else {
            StateChange::new(&seen, &next)?
        };
        let mut webhook = to_item(&change.webhook)?;
        for (attribute, name) in [
            ("webhook_url", "webhook_url"),
            ("webhook_headers", "webhook_headers"),
            ("authorization", "#authorization"),
            ("origin", "origin"),
        ] {
            match webhook.remove(attribute) {
                Some(value) => update.set(name, value),
                None => update.remove(name),
            }
        }
        update.set("#mode", to_attribute_value(change.mode)?);
        update.set("updated_at", AttributeValue::S(timestamp::iso(at)));
        let condition = format!("{COUNTED} AND updated_at = :before");
        let mut values = update.values();
        for (name, value) in [
            (":url", known.webhook().url.clone()),
            (":before", timestamp::iso(known.updated_at)),
        ] {
            values.insert(name.to_owned(), AttributeValue::S(value));
        }
        // Words of SQL are reserved, and need a name of their own in an expression.
        // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(&known.subscription_id)))
            .update_expression(update.expression())
            .condition_expression(update.condition(&condition))
            .expression_attribute_names("#authorization", "authorization")
            .expression_attribute_names("#mode", "mode")
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(OnRefusal::AllOld)
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// Whether this change has made a subscription what it is, which was found where it could not be written: it was
/// written before, and the answer was lost.
fn is_ours(found: &Subscription, change: &SubscriptionChange, at: OffsetDateTime) -> bool {
    is_same_time(found.updated_at, at) && change.is_made(found)
}

/// Whether two times are the same in the table.
fn is_same_time(one: OffsetDateTime, other: OffsetDateTime) -> bool {
    timestamp::iso(one) == timestamp::iso(other)
}
