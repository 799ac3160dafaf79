//! One delivery of a subscription, by its id.
//!
//! The id of an event's delivery says when the event was accepted: its first attempt is read by its key, in each shard
//! where it may be, and others from the acceptance on. Other ids, of documents, tests and deliveries of earlier versions,
//! are looked for, newest first. What is read for either is limited.

use std::collections::HashMap;

use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::ids::DeliveryId;
use bellwire_domain::timestamp;
use bellwire_domain::topic::shards::{Shard, Shards};
use time::OffsetDateTime;

use crate::attempt_list::{Range, record};
use crate::attempt_record::AttemptRecord;
use crate::attempt_walk::{Found, Walk, position, shards_of};
use crate::attempts::item_key;
use crate::batch_get::{batch_get, keys};
use crate::delivery_record::{DeliveryRecord, Marks};
use crate::{Attempts, StoreError, Subscription};

/// The longest id of a delivery, in bytes.
const MAX_ID_LENGTH: usize = 1000;
/// How often later attempts of an event are read on, in all of its shards: 1 MB each.
const READS: usize = 10;
/// After how many items a delivery is not looked for any further, whose id doesn't say where it is.
const MOST_WALKED: usize = 5000;

impl Attempts {
    /// The delivery with this id; `None` if none is on record, or its attempts are not shown any more. `shards` are
    /// those of the subscription's topic.
    pub async fn delivery(
        &self,
        subscription: &Subscription,
        shards: Shards,
        id: &DeliveryId,
        now: OffsetDateTime,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        if id.as_str().len() > MAX_ID_LENGTH {
            return Ok(None);
        }
        match DeliveryKey::of_id(id, &subscription.subscription_id) {
            Some(key) if !key.is_test() => self.of_event(subscription, shards, &key, now).await,
            Some(_) => self.look_for(subscription, Shards::ONE, id, now).await,
            None if is_uuid(id.as_str()) => self.look_for(subscription, shards, id, now).await,
            None => Ok(None),
        }
    }

    /// The delivery of an event, in whatever shard.
    async fn of_event(
        &self,
        subscription: &Subscription,
        shards: Shards,
        key: &DeliveryKey,
        now: OffsetDateTime,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        let (id, kept_since) = (key.id(), now - self.kept);
        let mut places: HashMap<(String, String), Shard> = HashMap::new();
        for shard in shards_of(subscription, shards) {
            let key = DeliveryKey {
                shard,
                ..key.clone()
            };
            places.insert((key.partition(), key.record_key()), shard);
        }
        let items = places.keys().cloned();
        let items = items.map(|(partition, record)| item_key(partition, record));
        let wanted = HashMap::from([(self.table.clone(), keys(items.collect())?)]);
        let (mut marks, mut found_in, mut attempts) = (Marks::default(), None, Vec::new());
        for (_, item) in batch_get(&self.db, wanted).await? {
            let text = |name: &str| item.get(name)?.as_s().ok().cloned();
            let place = text("subscription_id").zip(text("exchange_id"));
            let Some(shard) = place.and_then(|place| places.get(&place)).copied() else {
                continue;
            };
            (marks, found_in) = (Marks::of(&item), Some(shard));
            let first = record(subscription, Range::First, shard, item)?;
            // One of a message of an earlier version has another id.
            attempts.extend(first.filter(|first| first.delivery_id == id));
        }
        let is_alone = !marks.resent && attempts.iter().any(AttemptRecord::has_arrived);
        let mut truncated = false;
        if !is_alone {
            let shards: Vec<Shard> = match found_in {
                Some(shard) => vec![shard],
                None => places.into_values().collect(),
            };
            let from = timestamp::iso(key.accepted_at.max(kept_since));
            let reads = (READS / shards.len()).max(1);
            for shard in shards {
                let ends_with_arrival = marks.attempted && !marks.resent;
                let later = self
                    .others(subscription, shard, &id, &from, reads, ends_with_arrival)
                    .await?;
                if !later.0.is_empty() {
                    found_in = Some(shard);
                }
                attempts.extend(later.0);
                truncated |= later.1;
            }
        }
        attempts.retain(|attempt| attempt.sent_at >= kept_since);
        let shard = found_in.unwrap_or_default();
        let position = String::new();
        Ok(DeliveryRecord::of(
            subscription,
            shard,
            marks,
            attempts,
            truncated,
            position,
        ))
    }

    /// The attempts of a delivery in items of their own, from a position on; and whether there may be more, which were
    /// not read. With `ends_with_arrival` nothing is looked for behind one that has arrived.
    async fn others(
        &self,
        subscription: &Subscription,
        shard: Shard,
        id: &DeliveryId,
        from: &str,
        reads: usize,
        ends_with_arrival: bool,
    ) -> Result<(Vec<AttemptRecord>, bool), StoreError> {
        let prefix = Range::Other.prefix();
        let partition = shard.partition(subscription.subscription_id.as_str());
        let (mut attempts, mut start) = (Vec::new(), None);
        for _ in 0..reads {
            let answer = self
                .range(
                    partition.clone(),
                    format!("{prefix}{from}"),
                    format!("{prefix}~"),
                )
                .set_exclusive_start_key(start)
                .consistent_read(true)
                .send()
                .await?;
            start = answer.last_evaluated_key;
            for item in answer.items.unwrap_or_default() {
                let position = position(&item, Range::Other);
                let of = position.as_deref().and_then(|it| it.split_once('#'));
                if of.is_some_and(|(_, of)| of == id.as_str()) {
                    attempts.extend(record(subscription, Range::Other, shard, item)?);
                }
            }
            let has_arrived = attempts.iter().any(AttemptRecord::has_arrived);
            if start.is_none() || (ends_with_arrival && has_arrived) {
                return Ok((attempts, false));
            }
        }
        Ok((attempts, true))
    }

    /// A delivery whose id doesn't say where its attempts are.
    async fn look_for(
        &self,
        subscription: &Subscription,
        shards: Shards,
        id: &DeliveryId,
        now: OffsetDateTime,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        let from = timestamp::iso(now - self.kept);
        let shards = shards_of(subscription, shards);
        let mut walk = Walk::new(self, subscription, shards, from, "~".to_owned());
        let (mut marks, mut shard, mut attempts) = (Marks::default(), Shard::default(), Vec::new());
        let mut truncated = false;
        loop {
            if walk.walked >= MOST_WALKED {
                truncated = true;
                break;
            }
            let Some(found) = walk.next().await? else {
                break;
            };
            let Found {
                range,
                shard: of,
                item,
                ..
            } = found;
            let of_item = Marks::of(&item);
            let Some(attempt) = record(subscription, range, of, item)? else {
                continue;
            };
            let is_other_version = attempt.version.is_some() && attempt.delivery_id != *id;
            if attempt.delivery_id == *id {
                shard = of;
                let is_last = range == Range::First
                    || (attempt.version.is_none() && attempt.failures == 0 && !attempt.resend);
                if range == Range::First {
                    marks = of_item;
                }
                attempts.push(attempt);
                if is_last {
                    break;
                }
            } else if is_other_version && !attempts.is_empty() {
                // A version's attempts follow each other.
                break;
            }
        }
        Ok(DeliveryRecord::of(
            subscription,
            shard,
            marks,
            attempts,
            truncated,
            String::new(),
        ))
    }
}

/// Whether a text is written like a UUID, in lower case.
fn is_uuid(text: &str) -> bool {
    let is_part = |part: &str| {
        part.bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.split('-').all(is_part)
}
