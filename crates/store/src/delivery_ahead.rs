//! What is after a page of deliveries: attempts of its deliveries that were made later than what the page shows.

use std::collections::HashMap;

use bellwire_domain::ids::DeliveryId;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::shards::Shard;

use crate::attempt_list::{Range, record};
use crate::attempt_record::AttemptRecord;
use crate::attempt_walk::position;
use crate::conditional::Item;
use crate::delivery_list::id_in;
use crate::{Attempts, StoreError, Subscription};

/// How often more of what is after the page is read, of one shard; of several, once each. A query reads 1 MB.
const READS: usize = 4;
/// How many items after the page are read for documents, whose attempts follow each other.
const OF_DOCUMENT: i32 = 100;

/// What is after a page, of each shard once it is asked for.
#[derive(Debug)]
pub(crate) struct AheadOfPage<'a> {
    attempts: &'a Attempts,
    subscription: &'a Subscription,
    /// The position that the page is before.
    from: String,
    shards: HashMap<Shard, Ahead>,
}

/// What is after the page, in one shard.
#[derive(Debug, Default)]
struct Ahead {
    /// By the ids of their deliveries.
    items: HashMap<DeliveryId, Vec<Item>>,
    /// The delivery of the last item, if there may be more.
    unread_behind: Option<DeliveryId>,
}

impl<'a> AheadOfPage<'a> {
    /// What is after the position `from`. Nothing is read yet.
    pub(crate) fn new(
        attempts: &'a Attempts,
        subscription: &'a Subscription,
        from: String,
    ) -> Self {
        Self {
            attempts,
            subscription,
            from,
            shards: HashMap::new(),
        }
    }

    /// The attempts of a delivery, as far as they are read.
    pub(crate) async fn attempts(
        &mut self,
        shard: Shard,
        id: &DeliveryId,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        if !self.shards.contains_key(&shard) {
            let ahead = self.read(shard).await?;
            self.shards.insert(shard, ahead);
        }
        let ahead = self.shards.get(&shard);
        let items = ahead.and_then(|ahead| ahead.items.get(id));
        let items = items.into_iter().flatten().cloned();
        let found = items.map(|item| record(self.subscription, Range::Other, shard, item));
        found.filter_map(Result::transpose).collect()
    }

    /// Whether there may be attempts in a shard that were not read.
    pub(crate) fn may_be_more(&self, shard: Shard) -> bool {
        self.unread_behind(shard).is_some()
    }

    /// Whether what was read ends with an attempt of this delivery, and there may be more.
    pub(crate) fn may_end_within(&self, shard: Shard, id: &DeliveryId) -> bool {
        self.unread_behind(shard) == Some(id)
    }

    fn unread_behind(&self, shard: Shard) -> Option<&DeliveryId> {
        self.shards.get(&shard)?.unread_behind.as_ref()
    }

    /// Reads the items of a shard, oldest first, as far as is allowed.
    async fn read(&self, shard: Shard) -> Result<Ahead, StoreError> {
        let prefix = Range::Other.prefix();
        let partition = shard.partition(self.subscription.subscription_id.as_str());
        let topic = self.subscription.topic();
        let of_document = topic.is_some_and(|(_, mode)| mode != SubscriptionMode::Event);
        let reads = if of_document || !shard.is_first() {
            1
        } else {
            READS
        };
        let (mut ahead, mut start) = (Ahead::default(), None);
        for _ in 0..reads {
            let (from, to) = (format!("{prefix}{}", self.from), format!("{prefix}~"));
            let answer = self
                .attempts
                .range(partition.clone(), from, to)
                .set_exclusive_start_key(start)
                .set_limit(of_document.then_some(OF_DOCUMENT))
                .send()
                .await?;
            start = answer.last_evaluated_key;
            let mut last = None;
            for item in answer.items.unwrap_or_default() {
                let Some(id) = position(&item, Range::Other).as_deref().and_then(id_in) else {
                    continue;
                };
                last = Some(id.clone());
                ahead.items.entry(id).or_default().push(item);
            }
            ahead.unread_behind = last.filter(|_| start.is_some());
            if start.is_none() {
                break;
            }
        }
        Ok(ahead)
    }
}
