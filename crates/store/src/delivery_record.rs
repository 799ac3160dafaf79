//! A delivery as it is read: its attempts, and what its first item says.

use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::delivery::retry::RetrySchedule;
use bellwire_domain::delivery::state::{self, DeliveryState, Made, Situation};
use bellwire_domain::ids::{DeliveryId, EventId};
use bellwire_domain::topic::shards::Shard;
use time::OffsetDateTime;

use crate::Subscription;
use crate::attempt_record::AttemptRecord;
use crate::conditional::Item;

/// How many attempts of a delivery are read at most.
const MOST_ATTEMPTS: usize = 50;

/// A delivery, with its attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRecord {
    /// The id of the delivery.
    pub id: DeliveryId,
    /// The id of the event, or of the document's version; `None` where it isn't known.
    pub event_id: Option<EventId>,
    /// When the event was accepted; `None` for documents and tests, and where it isn't known.
    pub accepted_at: Option<OffsetDateTime>,
    /// The shard of the event.
    pub shard: Shard,
    /// Whether it is marked as arrived.
    pub arrived: bool,
    /// The attempts, newest first; at least one.
    pub attempts: Vec<AttemptRecord>,
    /// Whether there may be more attempts than these, which were not looked for any further.
    pub attempts_truncated: bool,
    /// Its place in the list of deliveries.
    pub position: String,
}

/// What the item `a#` of a delivery says beside its attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// It has arrived.
    pub arrived: bool,
    /// Its owner has asked for a resend.
    pub resent: bool,
    /// The item has an attempt.
    pub attempted: bool,
}

impl Marks {
    pub(crate) fn of(item: &Item) -> Self {
        let says = |name: &str| item.get(name).is_some_and(|it| it.as_bool() == Ok(&true));
        Self {
            arrived: says("arrived"),
            resent: says("resent"),
            attempted: item.contains_key("content"),
        }
    }
}

impl DeliveryRecord {
    /// The delivery that these are attempts of, in any order; `None` if there are none. `truncated`: whether there may be
    /// more.
    pub(crate) fn of(
        subscription: &Subscription,
        shard: Shard,
        marks: Marks,
        mut attempts: Vec<AttemptRecord>,
        truncated: bool,
        position: String,
    ) -> Option<Self> {
        let attempts_truncated = in_order(&mut attempts) || truncated;
        let latest = attempts.first()?;
        let id = latest.delivery_id.clone();
        let key = DeliveryKey::of_id(&id, &subscription.subscription_id);
        let accepted_at = key.filter(|key| !key.is_test()).map(|key| key.accepted_at);
        Some(Self {
            event_id: latest.event_id.clone(),
            accepted_at,
            shard,
            arrived: marks.arrived,
            attempts_truncated,
            position,
            id,
            attempts,
        })
    }

    /// Adds attempts, which it has none of.
    pub(crate) fn add(&mut self, attempts: Vec<AttemptRecord>) {
        self.attempts.extend(attempts);
        self.attempts_truncated |= in_order(&mut self.attempts);
    }

    /// The latest attempt.
    pub fn latest(&self) -> Option<&AttemptRecord> {
        self.attempts.first()
    }

    /// What was sent, as the latest attempt has it.
    pub fn event_type(&self) -> &str {
        self.latest().map_or("", |latest| &latest.event_type)
    }

    /// The version of a document.
    pub fn version(&self) -> Option<u64> {
        self.latest().and_then(|latest| latest.version)
    }

    /// Whether it is a test.
    pub fn is_test(&self, subscription: &Subscription) -> bool {
        DeliveryKey::of_id(&self.id, &subscription.subscription_id).is_some_and(|key| key.is_test())
    }

    /// How many attempts there were, as far as is known: the number of the next one, from 0.
    pub fn attempt_count(&self) -> usize {
        let numbers = self.attempts.iter().map(|attempt| attempt.failures + 1);
        numbers.max().unwrap_or(0).max(self.attempts.len())
    }

    /// What has become of it. `subscription` is the one that it is for.
    pub fn state(
        &self,
        subscription: &Subscription,
        schedule: &RetrySchedule,
        now: OffsetDateTime,
    ) -> DeliveryState {
        let attempts = self.attempts.iter().map(|attempt| Made {
            sent_at: attempt.sent_at,
            failures: attempt.failures,
            status: attempt.status,
            resend: attempt.resend,
        });
        let attempts: Vec<Made> = attempts.collect();
        let situation = Situation {
            schedule,
            silent: subscription.state().is_silent(),
            now,
        };
        match self.version() {
            Some(version) => {
                state::of_document(version, &attempts, &subscription.progress, situation)
            }
            None if self.is_test(subscription) => state::of_test(&attempts, self.arrived),
            None => state::of_event(&attempts, self.arrived, situation),
        }
    }

    /// When it is attempted again, where that is on record and still to come, if it has this state.
    pub fn next_attempt(
        &self,
        subscription: &Subscription,
        state: DeliveryState,
        now: OffsetDateTime,
    ) -> Option<OffsetDateTime> {
        if state != DeliveryState::Retrying {
            return None;
        }
        let at = match self.version() {
            // The retry is one of the newest version that was attempted.
            Some(version) if version == subscription.progress.wanted => {
                let at = subscription.progress.retry.as_ref()?.at;
                OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000).ok()
            }
            Some(_) => None,
            None => {
                let mut attempts = self.attempts.iter().filter(|it| !it.resend);
                attempts.next()?.next_attempt
            }
        };
        at.filter(|at| *at > now)
    }
}

/// Orders attempts, newest first, and cuts those that are too many. Returns whether there were such.
fn in_order(attempts: &mut Vec<AttemptRecord>) -> bool {
    attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.position()));
    let is_cut = attempts.len() > MOST_ATTEMPTS;
    attempts.truncate(MOST_ATTEMPTS);
    is_cut
}
