//! Who may send to a subscription, in the Subscriptions table.
//!
//! The decisions are those of [`bellwire_rules::lease`]. This writes the state that one comes to, on
//! the condition that the state it was made from is still there, and has it made anew otherwise.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnRefusal};
use bellwire_rules::endpoint::EndpointState;
use bellwire_rules::lease::{self, Acquire, Acquired, Ending, Release, Retry, Session, Then};
use bellwire_rules::timestamp;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_attribute_value};
use time::{Duration, OffsetDateTime};

use crate::patience::patiently;
use crate::subscription::Subscription;
use crate::{StoreError, Subscriptions};

/// How often a decision is made anew because others were quicker. Each time one of them got on.
const ATTEMPTS: usize = 20;

/// What asking for the lease came to.
#[derive(Clone, Debug)]
pub enum Acquisition {
    /// It is held.
    Held(Box<Held>),
    /// There is nothing to do, or whoever has the lease, or the pending retry, will do it.
    Nothing,
    /// An earlier receipt of the same message has it: to be asked again later.
    Busy,
    /// The same message failed and may have died before its retry was arranged: to be arranged now.
    ArrangeRetry(Box<Subscription>, Retry),
    /// The endpoint is disabled.
    Disabled(Box<Subscription>),
    /// There is no such subscription any more.
    Gone,
}

/// The lease of a subscription.
#[derive(Clone, Debug)]
pub struct Held {
    /// The subscription, as it was last seen.
    pub subscription: Subscription,
    nonce: u64,
}

/// What releasing a lease came to.
#[derive(Clone, Debug)]
pub enum Released {
    /// It is released, and this follows.
    Done(Box<Subscription>, Then),
    /// It is not: more is wanted.
    GoOn(Session),
    /// It wasn't there any more: the subscription is gone, or it took too long.
    Lost,
}

impl Subscriptions {
    /// Asks for the lease of a subscription.
    pub async fn acquire_lease(
        &self,
        id: &str,
        request: Acquire<'_>,
    ) -> Result<Acquisition, StoreError> {
        let held = |subscription| {
            let nonce = request.nonce;
            Acquisition::Held(Box::new(Held {
                subscription,
                nonce,
            }))
        };
        // Most often a message is the first to want a version, and nobody has the lease. That is
        // tried without a look at the item.
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
        Ok(Acquisition::Busy)
    }

    /// Releases a lease, unless more is wanted. An endpoint that every attempt has failed at for as
    /// long as `patience` is disabled at the end of a schedule.
    pub async fn release_lease(
        &self,
        held: &mut Held,
        session: Session,
        ending: Ending,
        now: OffsetDateTime,
        patience: Duration,
    ) -> Result<Released, StoreError> {
        let id = held.subscription.subscription_id.clone();
        for _ in 0..ATTEMPTS {
            let seen = held.subscription.state();
            let decision = lease::release(&seen, held.nonce, session, ending, now, patience);
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
        Err(too_often())
    }

    /// Changes a subscription's state as `decide` says, at this time. `None` when it is gone, or when
    /// `decide` changes nothing.
    pub(crate) async fn change_state(
        &self,
        id: &str,
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
        Err(too_often())
    }

    /// Acquires the lease if nobody has it, nobody wants as much, and no retry is pending: what
    /// [`lease::acquire`] grants in every such state.
    fn acquire_unseen(&self, id: &str, request: Acquire<'_>) -> UpdateItemFluentBuilder {
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
            .expression_attribute_values(":me", text(request.message_id))
            .expression_attribute_values(":nonce", number(request.nonce))
            .expression_attribute_values(":until", number(request.until))
            .expression_attribute_values(":now", number(request.now))
    }

    /// Writes `next` in the place of `seen`. Otherwise gives what is there instead. To do so again
    /// changes nothing.
    async fn replace(
        &self,
        id: &str,
        seen: &EndpointState,
        next: &EndpointState,
        changed_at: Option<OffsetDateTime>,
    ) -> Result<Result<Subscription, Option<Subscription>>, StoreError> {
        let (seen, next) = (attributes(seen)?, attributes(next)?);
        let mut update = self.update(id);
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        let mut condition = vec!["attribute_exists(subscription_id)".to_owned()];
        for name in NAMES {
            match seen.get(name) {
                // Who changes it changes `disabled` too, or has told the owner.
                _ if name == "unannounced" => {}
                Some(value) => {
                    condition.push(format!("{name} = :seen_{name}"));
                    let value = value.clone();
                    update = update.expression_attribute_values(format!(":seen_{name}"), value);
                }
                None => condition.push(format!("attribute_not_exists({name})")),
            }
            match next.get(name) {
                value if value == seen.get(name) => {}
                Some(value) => {
                    set.push(format!("{name} = :{name}"));
                    update = update.expression_attribute_values(format!(":{name}"), value.clone());
                }
                None => remove.push(name),
            }
        }
        if let Some(at) = changed_at {
            set.push("updated_at = :updated_at".to_owned());
            update = update.expression_attribute_values(":updated_at", text(&timestamp::iso(at)));
        }
        let mut expression = String::new();
        if !set.is_empty() {
            expression.push_str(&format!("SET {} ", set.join(", ")));
        }
        if !remove.is_empty() {
            expression.push_str(&format!("REMOVE {}", remove.join(", ")));
        }
        let update = update
            .update_expression(expression)
            .condition_expression(condition.join(" AND "));
        Ok(match carry_out(update).await? {
            // The SDK has repeated a request whose answer got lost.
            Err(Some(found)) if attributes(&found.state())? == next => Ok(found),
            done => done,
        })
    }
}

/// The attributes of an item that an [`EndpointState`] is kept in.
const NAMES: [&str; 15] = [
    "wanted",
    "acknowledged",
    "in_doubt",
    "snapshots_asked",
    "turn",
    "turn_nonce",
    "turn_until",
    "failures",
    "retry_at",
    "retry_by",
    "schedule_wanted",
    "disabled",
    "unannounced",
    "client_disabled",
    "failing_since",
];

/// A state, as attributes of an item.
fn attributes(state: &EndpointState) -> Result<HashMap<&'static str, AttributeValue>, StoreError> {
    let progress = &state.progress;
    let mut found = HashMap::from([
        ("wanted", number(progress.wanted)),
        ("acknowledged", number(progress.acknowledged)),
        ("in_doubt", AttributeValue::Bool(progress.in_doubt)),
        ("snapshots_asked", number(progress.snapshots_asked)),
        ("failures", AttributeValue::N(progress.failures.to_string())),
    ]);
    if let Some(lease) = &progress.lease {
        found.insert("turn", text(&lease.message_id));
        found.insert("turn_nonce", number(lease.nonce));
        found.insert("turn_until", number(lease.until));
    }
    if let Some(retry) = &progress.retry {
        found.insert("retry_at", number(retry.at));
        found.insert("retry_by", text(&retry.message_id));
    }
    if let Some(schedule) = &progress.schedule {
        found.insert("schedule_wanted", number(schedule.wanted));
    }
    if let Some(disabled) = &state.disabled {
        found.insert("disabled", to_attribute_value(disabled)?);
    }
    if state.owner_unnotified {
        found.insert("unannounced", AttributeValue::Bool(true));
    }
    if state.client_disabled {
        found.insert("client_disabled", AttributeValue::Bool(true));
    }
    if let Some(since) = state.failing_since {
        found.insert("failing_since", text(&timestamp::iso(since)));
    }
    Ok(found)
}

/// The item after the update; or, when its condition doesn't hold, the item as it is.
async fn carry_out(
    update: UpdateItemFluentBuilder,
) -> Result<Result<Subscription, Option<Subscription>>, StoreError> {
    let update = update.return_values_on_condition_check_failure(OnRefusal::AllOld);
    match patiently(update).await {
        Ok(answer) => Ok(Ok(from_item(answer.attributes.unwrap_or_default())?)),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                let found = refused.item.clone().map(from_item).transpose()?;
                Ok(Err(found))
            }
            _ => Err(error.into()),
        },
    }
}

fn too_often() -> StoreError {
    StoreError::DynamoDb("others changed the subscription again and again".to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}
