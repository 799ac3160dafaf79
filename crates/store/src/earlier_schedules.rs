//! The attempts of earlier schedules of retries, of deliveries whose first attempt came late.
//!
//! Such a delivery has no item `a#` with an attempt, so that it has its place in lists by the first attempt of its latest
//! schedule ([`crate::delivery_list`]). After a replay there are attempts before that one, back to the acceptance of the
//! event. They are looked for where there are such deliveries alone, and as far as is allowed.

use std::collections::{BTreeMap, HashMap};

use bellwire_domain::ids::DeliveryId;
use bellwire_domain::timestamp;
use bellwire_domain::topic::shards::Shard;
use time::OffsetDateTime;

use crate::attempt_list::{Range, record};
use crate::attempt_record::AttemptRecord;
use crate::attempt_walk::position;
use crate::delivery_record::DeliveryRecord;
use crate::{Attempts, StoreError, Subscription};

/// How many items are read, of each shard.
const MOST: i32 = 100;

/// What was read of a shard.
struct Behind {
    attempts: HashMap<DeliveryId, Vec<AttemptRecord>>,
    /// The position before which there may be more; `None` if there is none.
    unread_before: Option<String>,
}

impl Attempts {
    /// Adds the attempts of earlier schedules to those deliveries of a page that may have some. `walked` are those that
    /// were found after the position `to`. A delivery of which there may be more says so.
    pub(crate) async fn add_earlier_schedules(
        &self,
        subscription: &Subscription,
        deliveries: &mut [DeliveryRecord],
        walked: &mut HashMap<DeliveryId, Vec<AttemptRecord>>,
        to: &str,
        kept_since: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut from: BTreeMap<Shard, OffsetDateTime> = BTreeMap::new();
        for (shard, accepted_at) in deliveries.iter().filter_map(late) {
            let earliest = from.entry(shard).or_insert(accepted_at);
            *earliest = accepted_at.min(*earliest);
        }
        for (shard, accepted_at) in from {
            let from = timestamp::iso(accepted_at.max(kept_since));
            let mut behind = self.behind(subscription, shard, &from, to).await?;
            let of_shard = deliveries
                .iter_mut()
                .filter_map(|it| late(it).map(|(shard, accepted_at)| (it, shard, accepted_at)))
                .filter(|(_, of, _)| *of == shard);
            for (delivery, _, accepted_at) in of_shard {
                let found = [&mut *walked, &mut behind.attempts];
                let found = found.into_iter().filter_map(|of| of.remove(&delivery.id));
                delivery.add(found.flatten().collect());
                let accepted_at = timestamp::iso(accepted_at);
                let unread = behind.unread_before.as_ref();
                delivery.attempts_truncated |= unread.is_some_and(|before| accepted_at < *before);
            }
        }
        Ok(())
    }

    /// The attempts in items of their own from one position on, and before another.
    async fn behind(
        &self,
        subscription: &Subscription,
        shard: Shard,
        from: &str,
        to: &str,
    ) -> Result<Behind, StoreError> {
        let mut behind = Behind {
            attempts: HashMap::new(),
            unread_before: None,
        };
        if from >= to {
            return Ok(behind);
        }
        let prefix = Range::Other.prefix();
        let partition = shard.partition(subscription.subscription_id.as_str());
        let (from, until) = (format!("{prefix}{from}"), format!("{prefix}{to}"));
        let answer = self
            .range(partition, from, until)
            .scan_index_forward(false)
            .limit(MOST)
            .send()
            .await?;
        let is_cut = answer.last_evaluated_key.is_some();
        for item in answer.items.unwrap_or_default() {
            let Some(at) = position(&item, Range::Other).filter(|at| at.as_str() < to) else {
                continue;
            };
            behind.unread_before = is_cut.then_some(at);
            if let Some(attempt) = record(subscription, Range::Other, shard, item)? {
                let id = attempt.delivery_id.clone();
                behind.attempts.entry(id).or_default().push(attempt);
            }
        }
        Ok(behind)
    }
}

/// The shard of a delivery of an event that has its place by an attempt in an item of its own, and when the event was
/// accepted; `None` for others.
fn late(delivery: &DeliveryRecord) -> Option<(Shard, OffsetDateTime)> {
    let (_, id) = delivery.position.split_once('#')?;
    let accepted_at = delivery.accepted_at?;
    (id == delivery.id.as_str()).then_some((delivery.shard, accepted_at))
}
