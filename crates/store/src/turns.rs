//! Whose turn it is to send a document to a subscription.
//!
//! A message says that a subscription wants a version; many may say so at once. One of
//! them takes the turn, sends what is missing, and gives the turn back, unless more is
//! wanted by then. The others leave word of what they want and are done. So versions are
//! sent one after the other, and a repeated message finds nothing to do.
//!
//! After a failure nobody takes the turn until the retry is due, but the retry itself.
//! A turn ends by itself some seconds after the function that holds it must have ended.
//! Whoever takes a turn that its holder didn't give back knows that the endpoint may have
//! got something that is not on record.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnRefusal};
use bellwire_rules::timestamp;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use time::OffsetDateTime;

use crate::subscription::{Progress, Subscription};
use crate::{StoreError, Subscriptions};

/// How often a change is tried that others get in the way of.
const ATTEMPTS: usize = 10;

/// Who wants the turn.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The subscription.
    pub subscription_id: &'a str,
    /// The version that it wants.
    pub version: u64,
    /// The id of the message that says so.
    pub message_id: &'a str,
    /// A random number: a message that comes twice is not itself.
    pub nonce: u64,
    /// How many attempts had failed when the message was sent: 0 but for a retry.
    pub failures: usize,
    /// Now, in milliseconds since 1970.
    pub now: u64,
    /// Until when the turn is taken, in milliseconds since 1970.
    pub until: u64,
}

/// What asking for the turn came to.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It is yours.
    Yours(Box<Turn>),
    /// There is nothing to do, or whoever has the turn will do it.
    Nothing,
    /// The same message has the turn, or died with it: to be asked again later.
    Later,
    /// The same message failed and may have died before its retry was arranged: to be
    /// arranged now.
    ArrangeRetry(Box<Subscription>),
    /// The endpoint is disabled.
    Disabled(Box<Subscription>),
    /// There is no such subscription any more.
    Gone,
}

/// The turn to send to a subscription.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The subscription, as it was when the turn was taken.
    pub subscription: Subscription,
    /// Whether the endpoint may have something else than it acknowledged last.
    pub in_doubt: bool,
    message_id: String,
    nonce: u64,
}

/// How a turn ends.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The version that the endpoint acknowledged last.
    pub acknowledged: u64,
    /// Whether it may have something else.
    pub in_doubt: bool,
    /// How many attempts have failed in a row.
    pub failures: usize,
    /// When it is to be tried again, in milliseconds since 1970.
    pub retry_at: Option<u64>,
    /// Whether the last attempt arrived; `None` when there was none.
    pub arrived: Option<bool>,
    /// How often a snapshot had been asked for when that was last looked at.
    pub snapshots_asked: u64,
}

impl Outcome {
    /// The same, now that this is seen: after a new wish for a snapshot, nothing is certain.
    pub fn seeing(self, progress: &Progress) -> Self {
        Self {
            in_doubt: self.in_doubt || progress.snapshots_asked != self.snapshots_asked,
            snapshots_asked: progress.snapshots_asked,
            ..self
        }
    }
}

/// What giving a turn back came to.
#[derive(Clone, Debug)]
pub enum GivenBack {
    /// It is given back.
    Done(Box<Subscription>),
    /// It is not: a newer version is wanted, or a snapshot.
    MoreWanted(Box<Progress>),
    /// It wasn't there any more: the subscription is gone, or the turn took too long.
    Lost,
}

impl Subscriptions {
    /// Asks for the turn.
    pub async fn take_turn(&self, wish: Wish<'_>) -> Result<Answer, StoreError> {
        let mut known = Progress {
            wanted: wish.version.saturating_sub(1),
            ..Progress::default()
        };
        // Most often a message is the first to want a version, and nobody has the turn. That
        // is tried without a look at the item.
        let mut blind = wish.failures == 0;
        for _ in 0..ATTEMPTS {
            let update = if blind {
                self.take_blindly(wish)
            } else {
                self.take(wish, &known)
            };
            let refused = match attempt(update).await? {
                Ok(subscription) => {
                    let left_behind = !blind && known.turn.is_some();
                    let in_doubt = subscription.progress.in_doubt || left_behind;
                    return Ok(Answer::Yours(Box::new(Turn {
                        subscription,
                        in_doubt,
                        message_id: wish.message_id.to_owned(),
                        nonce: wish.nonce,
                    })));
                }
                Err(Some(found)) => found,
                Err(None) => return Ok(Answer::Gone),
            };
            blind = false;
            match judge(&refused, wish) {
                Judgement::Answer(answer) => return Ok(answer),
                Judgement::HasIt => {
                    return Ok(Answer::Yours(Box::new(Turn {
                        subscription: refused,
                        in_doubt: true,
                        message_id: wish.message_id.to_owned(),
                        nonce: wish.nonce,
                    })));
                }
                Judgement::MayTake => {}
                Judgement::LeaveWord => {
                    if attempt(self.leave_word(wish, &refused.progress))
                        .await?
                        .is_ok()
                    {
                        return Ok(Answer::Nothing);
                    }
                    // Something has changed: look again.
                    blind = true;
                }
            }
            known = refused.progress;
        }
        Ok(Answer::Later)
    }

    /// Gives the turn back, unless more is wanted than version `sent`, if that is said, or a
    /// snapshot that is not on its way.
    pub async fn give_back(
        &self,
        turn: &Turn,
        outcome: Outcome,
        sent: Option<u64>,
        now: OffsetDateTime,
    ) -> Result<GivenBack, StoreError> {
        let mut set =
            "SET acknowledged = :acknowledged, in_doubt = :doubt, failures = :failures".to_owned();
        let mut remove = " REMOVE turn, turn_nonce, turn_until".to_owned();
        let mut condition = "turn = :me AND turn_nonce = :nonce".to_owned();
        let mut update = self
            .update(&turn.subscription.subscription_id)
            .expression_attribute_values(":me", text(&turn.message_id))
            .expression_attribute_values(":nonce", number(turn.nonce))
            .expression_attribute_values(":acknowledged", number(outcome.acknowledged))
            .expression_attribute_values(":doubt", AttributeValue::Bool(outcome.in_doubt))
            .expression_attribute_values(
                ":failures",
                AttributeValue::N(outcome.failures.to_string()),
            );
        match outcome.retry_at {
            Some(at) => {
                set.push_str(", retry_at = :retry_at, retry_by = :me");
                update = update.expression_attribute_values(":retry_at", number(at));
            }
            None => remove.push_str(", retry_at, retry_by"),
        }
        match outcome.arrived {
            Some(false) => {
                set.push_str(", failing_since = if_not_exists(failing_since, :now)");
                update = update.expression_attribute_values(":now", text(&timestamp::iso(now)));
            }
            Some(true) => remove.push_str(", failing_since"),
            None => {}
        }
        if let Some(sent) = sent {
            condition.push_str(" AND wanted <= :sent");
            update = update.expression_attribute_values(":sent", number(sent));
        }
        if !outcome.in_doubt {
            condition.push_str(" AND snapshots_asked = :asked");
            update = update.expression_attribute_values(":asked", number(outcome.snapshots_asked));
        }
        let update = update
            .update_expression(set + &remove)
            .condition_expression(condition);
        Ok(match attempt(update).await? {
            Ok(subscription) => GivenBack::Done(Box::new(subscription)),
            Err(Some(found)) if found.progress.turn_nonce == Some(turn.nonce) => {
                GivenBack::MoreWanted(Box::new(found.progress))
            }
            Err(_) => GivenBack::Lost,
        })
    }

    /// Takes the turn if nobody has it, nobody wants as much, and no retry is pending.
    fn take_blindly(&self, wish: Wish<'_>) -> UpdateItemFluentBuilder {
        self.update(wish.subscription_id)
            .update_expression("SET wanted = :version, turn = :me, turn_nonce = :nonce, turn_until = :until REMOVE retry_at, retry_by")
            .condition_expression(
                "wanted < :version AND attribute_not_exists(turn) AND attribute_not_exists(disabled) \
                 AND (attribute_not_exists(retry_at) OR retry_at <= :now)",
            )
            .expression_attribute_values(":version", number(wish.version))
            .expression_attribute_values(":me", text(wish.message_id))
            .expression_attribute_values(":nonce", number(wish.nonce))
            .expression_attribute_values(":until", number(wish.until))
            .expression_attribute_values(":now", number(wish.now))
    }

    /// Takes the turn if everything is as it was seen.
    fn take(&self, wish: Wish<'_>, seen: &Progress) -> UpdateItemFluentBuilder {
        let update = self
            .update(wish.subscription_id)
            .update_expression(
                "SET wanted = :version, turn = :me, turn_nonce = :nonce, turn_until = :until REMOVE retry_at, retry_by",
            )
            .expression_attribute_values(":version", number(wish.version.max(seen.wanted)))
            .expression_attribute_values(":me", text(wish.message_id))
            .expression_attribute_values(":nonce", number(wish.nonce))
            .expression_attribute_values(":until", number(wish.until));
        if_still_so(update, seen)
    }

    /// Leaves word that a version is wanted, if everything is as it was seen.
    fn leave_word(&self, wish: Wish<'_>, seen: &Progress) -> UpdateItemFluentBuilder {
        let update = self
            .update(wish.subscription_id)
            .update_expression("SET wanted = :version")
            .expression_attribute_values(":version", number(wish.version));
        if_still_so(update, seen)
    }
}

enum Judgement {
    Answer(Answer),
    /// This very wish was granted, and the answer to it got lost.
    HasIt,
    MayTake,
    LeaveWord,
}

/// What a message may do with a subscription that it has not got the turn of at once.
fn judge(found: &Subscription, wish: Wish<'_>) -> Judgement {
    let progress = &found.progress;
    if found.disabled.is_some() {
        return Judgement::Answer(Answer::Disabled(Box::new(found.clone())));
    }
    let told_already = wish.version <= progress.wanted;
    if progress.turn_until.is_some_and(|until| until > wish.now) {
        return match progress.turn.as_deref() {
            Some(holder) if holder == wish.message_id => {
                if progress.turn_nonce == Some(wish.nonce) {
                    Judgement::HasIt
                } else {
                    Judgement::Answer(Answer::Later)
                }
            }
            _ if told_already => Judgement::Answer(Answer::Nothing),
            _ => Judgement::LeaveWord,
        };
    }
    let is_the_retry = wish.failures > 0 && wish.failures == progress.failures;
    if progress.retry_at.is_some_and(|at| at > wish.now) && !is_the_retry {
        if progress.retry_by.as_deref() == Some(wish.message_id) {
            return Judgement::Answer(Answer::ArrangeRetry(Box::new(found.clone())));
        }
        return if told_already {
            Judgement::Answer(Answer::Nothing)
        } else {
            Judgement::LeaveWord
        };
    }
    let left_behind = progress.turn.is_some();
    let up_to_date = progress.acknowledged >= progress.wanted && !progress.in_doubt;
    if told_already && up_to_date && !left_behind {
        Judgement::Answer(Answer::Nothing)
    } else {
        Judgement::MayTake
    }
}

/// The condition that nobody has wanted more, taken the turn, arranged for a retry or
/// disabled the endpoint since it was looked at.
fn if_still_so(update: UpdateItemFluentBuilder, seen: &Progress) -> UpdateItemFluentBuilder {
    let mut condition = "wanted = :seen_wanted AND attribute_not_exists(disabled)".to_owned();
    let mut update = update.expression_attribute_values(":seen_wanted", number(seen.wanted));
    match (&seen.turn, seen.turn_until) {
        (Some(turn), Some(until)) => {
            condition.push_str(" AND turn = :seen_turn AND turn_until = :seen_until");
            update = update
                .expression_attribute_values(":seen_turn", text(turn))
                .expression_attribute_values(":seen_until", number(until));
        }
        _ => condition.push_str(" AND attribute_not_exists(turn)"),
    }
    match seen.retry_at {
        Some(at) => {
            condition.push_str(" AND retry_at = :seen_retry");
            update = update.expression_attribute_values(":seen_retry", number(at));
        }
        None => condition.push_str(" AND attribute_not_exists(retry_at)"),
    }
    update.condition_expression(condition)
}

/// The item after the update; or, when its condition doesn't hold, the item as it is.
async fn attempt(
    update: UpdateItemFluentBuilder,
) -> Result<Result<Subscription, Option<Subscription>>, StoreError> {
    let answer = update
        .return_values_on_condition_check_failure(OnRefusal::AllOld)
        .send()
        .await;
    match answer {
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

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}
