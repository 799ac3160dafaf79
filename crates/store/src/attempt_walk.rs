//! A walk through the items of a subscription's attempts, newest first by the times in their keys, whatever their shards.

use std::collections::VecDeque;

use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::topic::shards::{Shard, Shards};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::attempt_list::Range;
use crate::conditional::Item;
use crate::{Attempts, StoreError, Subscription};

/// How many items of a place are read at once if there is one shard, and how many of all places if there are several.
const BATCH: usize = 100;
const OF_ALL_PLACES: usize = 400;
/// How many items of a place are read at once at least.
const AT_LEAST: usize = 10;
/// How many places are read at once.
const AT_ONCE: usize = 8;

/// An item, and where it is.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its key without the prefix of its range: the time of the acceptance or of the request, `#`, and the id of the event
    /// or of the delivery.
    pub position: String,
    /// The range of keys that it is in.
    pub range: Range,
    /// The shard that it is in.
    pub shard: Shard,
    /// The item.
    pub item: Item,
}

/// The walk. It doesn't read attempts of earlier versions.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    attempts: &'a Attempts,
    subscription: &'a Subscription,
    places: Vec<Place>,
    batch: i32,
    from: String,
    before: String,
    /// How many items it has returned.
    pub walked: usize,
}

/// A range of one shard.
#[derive(Debug)]
struct Place {
    range: Range,
    shard: Shard,
    /// What was read and not yet returned, with the positions.
    read: VecDeque<(String, Item)>,
    start: Option<Item>,
    done: bool,
}

impl<'a> Walk<'a> {
    /// Through what is from the position `from` on, and before the position `before`.
    pub(crate) fn new(
        attempts: &'a Attempts,
        subscription: &'a Subscription,
        shards: impl Iterator<Item = Shard> + Clone,
        from: String,
        before: String,
    ) -> Self {
        let ranges = [Range::First, Range::Other];
        let places = shards.flat_map(|shard| ranges.map(|range| (range, shard)));
        let places: Vec<Place> = places
            .map(|(range, shard)| Place {
                range,
                shard,
                read: VecDeque::new(),
                start: None,
                done: false,
            })
            .collect();
        let batch = (OF_ALL_PLACES / places.len().max(1)).clamp(AT_LEAST, BATCH);
        Self {
            attempts,
            subscription,
            places,
            batch: i32::try_from(batch).unwrap_or(i32::MAX),
            from,
            before,
            walked: 0,
        }
    }

    /// The next item, whose position is the last of those that were not returned; `None` if there are no more.
    pub(crate) async fn next(&mut self) -> Result<Option<Found>, StoreError> {
        self.fill().await?;
        let next = self
            .places
            .iter_mut()
            .filter(|place| !place.read.is_empty())
            .max_by(|a, b| a.position().cmp(&b.position()));
        let Some(place) = next else {
            return Ok(None);
        };
        let (range, shard) = (place.range, place.shard);
        let found = place.read.pop_front();
        self.walked += 1;
        Ok(found.map(|(position, item)| Found {
            position,
            range,
            shard,
            item,
        }))
    }

    /// Whether there may be more.
    pub(crate) fn may_go_on(&self) -> bool {
        let mut places = self.places.iter();
        places.any(|place| !place.done || !place.read.is_empty())
    }

    /// Reads on in each place of which everything was returned that was read.
    async fn fill(&mut self) -> Result<(), StoreError> {
        while self.places.iter().any(Place::is_to_be_read) {
            let (attempts, subscription) = (self.attempts, self.subscription);
            let (from, before, batch) = (&self.from, &self.before, self.batch);
            let reads = self
                .places
                .iter_mut()
                .filter(|place| place.is_to_be_read())
                .map(|place| place.read_on(attempts, subscription, from, before, batch));
            let reads: Vec<_> = reads.collect();
            let reads = stream::iter(reads).buffer_unordered(AT_ONCE);
            reads.try_collect::<()>().await?;
        }
        Ok(())
    }
}

impl Place {
    fn is_to_be_read(&self) -> bool {
        self.read.is_empty() && !self.done
    }

    fn position(&self) -> Option<&str> {
        self.read.front().map(|(position, _)| position.as_str())
    }

    async fn read_on(
        &mut self,
        attempts: &Attempts,
        subscription: &Subscription,
        from: &str,
        before: &str,
        batch: i32,
    ) -> Result<(), StoreError> {
        let prefix = self.range.prefix();
        let partition = self.shard.partition(subscription.subscription_id.as_str());
        let answer = attempts
            .range(
                partition,
                format!("{prefix}{from}"),
                format!("{prefix}{before}"),
            )
            .set_exclusive_start_key(self.start.take())
            .scan_index_forward(false)
            .limit(batch)
            .send()
            .await?;
        self.start = answer.last_evaluated_key;
        self.done = self.start.is_none();
        let items = answer.items.unwrap_or_default().into_iter();
        let items = items.filter_map(|item| Some((position(&item, self.range)?, item)));
        self.read
            .extend(items.filter(|(position, _)| position.as_str() < before));
        Ok(())
    }
}

impl Attempts {
    /// A query for the items of a partition whose keys are from `from` to `to`, both inclusive.
    pub(crate) fn range(
        &self,
        partition: String,
        from: String,
        to: String,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        self.db
            .query()
            .table_name(&self.table)
            .key_condition_expression(
                "subscription_id = :partition AND exchange_id BETWEEN :from AND :to",
            )
            .expression_attribute_values(":partition", AttributeValue::S(partition))
            .expression_attribute_values(":from", AttributeValue::S(from))
            .expression_attribute_values(":to", AttributeValue::S(to))
    }
}

/// The position of an item of this range.
pub(crate) fn position(item: &Item, range: Range) -> Option<String> {
    let key = item.get("exchange_id")?.as_s().ok()?;
    key.strip_prefix(range.prefix()).map(str::to_owned)
}

/// The shards in which attempts of a subscription may be: what is no event of a topic is in the first.
pub(crate) fn shards_of(
    subscription: &Subscription,
    shards: Shards,
) -> impl Iterator<Item = Shard> + Clone {
    use bellwire_domain::topic::modes::SubscriptionMode;
    let events = matches!(subscription.topic(), Some((_, SubscriptionMode::Event)));
    let shards = if events { shards } else { Shards::ONE };
    shards.all()
}
