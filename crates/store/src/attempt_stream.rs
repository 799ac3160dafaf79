//! Attempts as they come from the stream of the Exchanges table, whatever their subscriptions.

use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::topic::shards::Shard;

use crate::attempt_list::{Range, record};
use crate::attempt_record::AttemptRecord;
use crate::conditional::Item;
use crate::{StoreError, Subscription};

/// An item that is new in the table.
#[derive(Clone, Debug)]
pub struct StreamedAttempt {
    /// The subscription that the attempt was for.
    pub subscription_id: SubscriptionId,
    range: Range,
    shard: Shard,
    item: Item,
}

impl StreamedAttempt {
    /// The attempt in an item; `None` if the item says only that a delivery has arrived, or is of an earlier version.
    pub fn of(item: Item) -> Option<Self> {
        item.get("content")?;
        let partition = item.get("subscription_id")?.as_s().ok()?;
        let key = item.get("exchange_id")?.as_s().ok()?;
        let mut ranges = [Range::First, Range::Other].into_iter();
        let range = ranges.find(|range| key.starts_with(range.prefix()))?;
        let (id, shard) = Shard::of_partition(partition)?;
        Some(Self {
            subscription_id: SubscriptionId::new(id),
            range,
            shard,
            item,
        })
    }

    /// What is on record of the attempt. `subscription` is the one that it was for.
    ///
    /// # Errors
    /// When the item can't be read.
    pub fn record(self, subscription: &Subscription) -> Result<Option<AttemptRecord>, StoreError> {
        record(subscription, self.range, self.shard, self.item)
    }
}
