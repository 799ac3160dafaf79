//! The leases of subscriptions, which are the right to send to them, in the Subscriptions table.
//!
//! The decisions are those of [`bellwire_domain::delivery::lease`]. This module writes the state that results from
//! a decision, on the condition that the state it was made from is still there, and repeats the decision
//! otherwise.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnRefusal};
use bellwire_domain::delivery::lease::{self, Acquire, Acquired, Ending, Release, Then};
use bellwire_domain::delivery::progress::Retry;
use bellwire_domain::delivery::session::Session;
use bellwire_domain::endpoint::EndpointState;
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::timestamp;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use time::{Duration, OffsetDateTime};

use crate::conditional::{Refused, conditional};
use crate::endpoint_state::{StateChange, is_stored_as};
use crate::subscription::Subscription;
use crate::{StoreError, Subscriptions};

/// How often a decision is made, at most, while others change the subscription concurrently. Each time,
/// one of the others succeeds.
pub(crate) const ATTEMPTS: usize = 20;

/// The result of requesting the lease of a subscription.
#[derive(Clone, Debug)]
pub enum Acquisition {
    /// The lease is acquired.
    Held(Box<Held>),
    /// There is nothing to do, or the holder of the lease, or the scheduled retry, will do it.
    Nothing,
    /// An earlier receipt of the same message holds the lease, or concurrent changes kept this one from
    /// it: to be requested again later.
    Busy,
    /// An attempt of the same message failed, and its function may have died before it arranged the
    /// retry: to be arranged now.
    ArrangeRetry(Box<Subscription>, Retry),
    /// The endpoint or its client is disabled.
    Disabled(Box<Subscription>),
    /// The subscription is deleted.
    Gone,
}

/// The lease of a subscription, held by this process.
#[derive(Clone, Debug)]
pub struct Held {
    /// The subscription, as it was last read or written.
    pub subscription: Subscription,
    nonce: u64,
}

/// The result of releasing a lease.
#[derive(Clone, Debug)]
pub enum Released {
    /// The lease is released. What follows is to be done by the caller.
    Done(Box<Subscription>, Then),
    /// The lease is still held: more has been requested.
    GoOn(Session),
    /// The lease wasn't held any more: the subscription is deleted, or the lease had expired and another
    /// holder has acquired it.
    Lost,
}

impl Subscriptions {
    /// Requests the lease of a subscription. If it is held already, or a retry is scheduled, the requested
    /// version is recorded for the holder, or for the retry.
    pub async fn acquire_lease(
        &self,
        id: &SubscriptionId,
        request: Acquire<'_>,
    ) -> Result<Acquisition, StoreError> {
        let held = |subscription| {
            let nonce = request.nonce;
            Acquisition::Held(Box::new(Held {
                subscription,
                nonce,
            }))
        };
        // Usually a message is the first to request a version, and nobody holds the lease. That is
        // tried without reading the item.
        let found = if request.failures == 0 {
            match carry_out(self.acquire_unseen(id, request)).await? {
                Ok(subscription) => return Ok(held(subscription)),
                Err(found) => found,
            }
        } else {
            self.get(id).await?
        };
        let Some(mut found) = found else {
            return Ok(Acquisition::Gone);
        };
        for _ in 0..ATTEMPTS {
            let seen = found.state();
            let (next, granted) = match lease::acquire(&seen, request) {
                Acquired::Granted(next) => (next, true),
                Acquired::Pending(next) => (next, false),
                Acquired::Yours => return Ok(held(found)),
                Acquired::Nothing => return Ok(Acquisition::Nothing),
                Acquired::Busy => return Ok(Acquisition::Busy),
                Acquired::ArrangeRetry(retry) => {
                    return Ok(Acquisition::ArrangeRetry(Box::new(found), retry));
                }
                Acquired::Disabled => return Ok(Acquisition::Disabled(Box::new(found))),
            };
            found = match self.replace(id, &seen, &next, None).await? {
                Ok(subscription) if granted => return Ok(held(subscription)),
                Ok(_) => return Ok(Acquisition::Nothing),
                Err(Some(found)) => found,
                Err(None) => return Ok(Acquisition::Gone),
            };
        }
        Err(StoreError::Conflict)
    }

    /// Releases a lease, unless more has been requested. An endpoint at which every attempt has failed
    /// for at least `disable_after` is disabled when a schedule of retries is exhausted.
    pub async fn release_lease(
        &self,
        held: &mut Held,
        session: Session,
        ending: Ending,
        now: OffsetDateTime,
        disable_after: Duration,
    ) -> Result<Released, StoreError> {
        let id = held.subscription.subscription_id.clone();
        for _ in 0..ATTEMPTS {
            let seen = held.subscription.state();
            let decision = lease::release(&seen, held.nonce, session, ending, now, disable_after);
            let (next, then) = match decision {
                Release::Lost => return Ok(Released::Lost),
                Release::GoOn(session) => return Ok(Released::GoOn(session)),
                Release::Write(next, then) => (next, then),
            };
            let changed_at = (next.disabled != seen.disabled).then_some(now);
            held.subscription = match self.replace(&id, &seen, &next, changed_at).await? {
                Ok(subscription) => return Ok(Released::Done(Box::new(subscription), then)),
                Err(Some(found)) => found,
                Err(None) => return Ok(Released::Lost),
            };
        }
        Err(StoreError::Conflict)
    }

    /// Replaces a subscription's state by the one that `decide` returns, and sets `updated_at` to `now`.
    /// `None` if the subscription is deleted, or `decide` returns `None`.
    pub(crate) async fn change_state(
        &self,
        id: &SubscriptionId,
        now: OffsetDateTime,
        decide: impl Fn(&EndpointState) -> Option<EndpointState>,
    ) -> Result<Option<Subscription>, StoreError> {
        let mut found = self.get(id).await?;
        for _ in 0..ATTEMPTS {
            let Some(subscription) = found else {
                return Ok(None);
            };
            let seen = subscription.state();
            let Some(next) = decide(&seen) else {
                return Ok(None);
            };
            found = match self.replace(id, &seen, &next, Some(now)).await? {
                Ok(changed) => return Ok(Some(changed)),
                Err(found) => found,
            };
        }
        Err(StoreError::Conflict)
    }

    /// The update that acquires the lease if nobody holds it, the version is newer than all that were
    /// requested, no retry is scheduled for later, and the endpoint and its client are enabled:
    /// [`lease::acquire`] grants it in every such state.
    fn acquire_unseen(&self, id: &SubscriptionId, request: Acquire<'_>) -> UpdateItemFluentBuilder {
        self.update(id)
            .update_expression(
                "SET wanted = :version, turn = :me, turn_nonce = :nonce, turn_until = :until \
                 REMOVE retry_at, retry_by",
            )
            .condition_expression(
                "wanted < :version AND attribute_not_exists(turn) AND attribute_not_exists(disabled) \
                 AND attribute_not_exists(client_disabled) \
                 AND (attribute_not_exists(retry_at) OR retry_at <= :now)",
            )
            .expression_attribute_values(":version", number(request.version))
            .expression_attribute_values(":me", text(request.message_id.as_str()))
            .expression_attribute_values(":nonce", number(request.nonce))
            .expression_attribute_values(":until", number(request.until))
            .expression_attribute_values(":now", number(request.now))
    }

    /// Replaces the state `seen` by `next`. Returns the subscription afterwards; as `Err` the one that is
    /// there instead, `None` if it is deleted. Idempotent.
    async fn replace(
        &self,
        id: &SubscriptionId,
        seen: &EndpointState,
        next: &EndpointState,
        changed_at: Option<OffsetDateTime>,
    ) -> Result<Result<Subscription, Option<Subscription>>, StoreError> {
        let mut change = StateChange::new(seen, next)?;
        if let Some(at) = changed_at {
            change.set("updated_at", text(&timestamp::iso(at)));
        }
        let update = self
            .update(id)
            .update_expression(change.expression())
            .condition_expression(change.condition("attribute_exists(subscription_id)"))
            .set_expression_attribute_values(Some(change.values()));
        Ok(match carry_out(update).await? {
            // The SDK has repeated a request whose response was lost.
            Err(Some(found)) if is_stored_as(&found.state(), next)? => Ok(found),
            done => done,
        })
    }
}

/// Runs a conditional update. Returns the item afterwards; as `Err` the item as it is, if its
/// condition doesn't hold, `None` if there is none.
async fn carry_out(
    update: UpdateItemFluentBuilder,
) -> Result<Result<Subscription, Option<Subscription>>, StoreError> {
    let update = update.return_values_on_condition_check_failure(OnRefusal::AllOld);
    Ok(match conditional(update).await? {
        Ok(written) => Ok(from_item(written.attributes.unwrap_or_default())?),
        Err(Refused(found)) => Err(found.map(from_item).transpose()?),
    })
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}
