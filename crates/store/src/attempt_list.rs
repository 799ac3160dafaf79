//! Lists of a subscription's attempts, exactly by the times of their requests.
//!
//! The items lie in three ranges of keys ([`crate::attempts`]), of each shard of the subscription's topic: of two, the
//! keys begin with the time of the request; of the third, `a#`, with that of the acceptance, which is up to `ON_TIME`
//! before. Each is read in its order, and what has been read is complete up to a horizon: the first time at which one of
//! the ranges may have something unread.

use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::ids::{DeliveryId, EventId};
use bellwire_domain::timestamp;
use bellwire_domain::topic::shards::{Shard, Shards};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::attempt_record::{AttemptRecord, Content};
use crate::attempts::{Attempts, ON_TIME};
use crate::conditional::Item;
use crate::earlier_exchange;
use crate::{StoreError, Subscription};

/// No cursor is longer, in bytes.
const MAX_CURSOR_LENGTH: usize = 250;
/// Later than every request.
const END_OF_TIME: OffsetDateTime = datetime!(9999-12-31 00:00 UTC);
/// How many items of a range are read at once for a list that is newest first.
const AT_LEAST: i32 = 50;
/// How many items of all shards are read at once for a list that is oldest first, if there are several shards.
const OF_ALL_SHARDS: i32 = 1000;
/// How many places are read at once.
const AT_ONCE: usize = 8;

/// A page of a subscription's attempts, in the order of their requests, or in reverse.
#[derive(Clone, Debug, Default)]
pub struct AttemptPage {
    /// The attempts of the page.
    pub attempts: Vec<AttemptRecord>,
    /// The position behind the page; `None` if there are no more.
    pub next_cursor: Option<String>,
}

/// A range of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// First attempts, by the time of the acceptance.
    First,
    /// Others, by the time of the request.
    Other,
    /// Those of earlier versions, by the time of the request.
    Earlier,
}

impl Range {
    const ALL: [Self; 3] = [Self::First, Self::Other, Self::Earlier];

    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::First => "a#",
            Self::Other => "r#",
            Self::Earlier => "",
        }
    }
}

/// The reading of one range of one shard.
#[derive(Debug)]
struct Reading {
    range: Range,
    shard: Shard,
    from: String,
    to: String,
    start: Option<Item>,
    /// The time in the last key that was read.
    last: Option<OffsetDateTime>,
    done: bool,
}

/// What was read of one place.
struct Part {
    attempts: Vec<AttemptRecord>,
    /// The time from which on there may be more; `None` if there are none.
    unread_from: Option<OffsetDateTime>,
}

impl Attempts {
    /// Whether a text may be a cursor.
    pub fn is_cursor(text: &str) -> bool {
        text.len() <= MAX_CURSOR_LENGTH && time_of(text).is_some()
    }

    /// A page of the attempts whose requests were sent from `start` to `end`, oldest first, after the cursor `after`.
    /// `shards` are those of the subscription's topic. Reads about 1 MB of each range, the most that one query reads.
    pub async fn between(
        &self,
        subscription: &Subscription,
        shards: Shards,
        start: OffsetDateTime,
        end: OffsetDateTime,
        after: Option<String>,
        now: OffsetDateTime,
    ) -> Result<AttemptPage, StoreError> {
        let behind = after.as_deref().and_then(time_of);
        let start = start.max(now - self.kept).max(behind.unwrap_or(start));
        if start > end {
            return Ok(AttemptPage::default());
        }
        let limit = (!shards.is_one()).then(|| OF_ALL_SHARDS / i32::from(shards.count()));
        let reads = places(shards).map(|place| self.part(subscription, place, start, end, limit));
        let parts: Vec<Part> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        let horizon = parts.iter().filter_map(|part| part.unread_from).min();
        let mut found: Vec<AttemptRecord> =
            parts.into_iter().flat_map(|part| part.attempts).collect();
        found.retain(|record| {
            horizon.is_none_or(|horizon| record.sent_at < horizon)
                && after
                    .as_ref()
                    .is_none_or(|after| record.position() > *after)
        });
        found.sort_by_key(AttemptRecord::position);
        Ok(AttemptPage {
            attempts: found,
            next_cursor: horizon.map(timestamp::iso),
        })
    }

    /// A page of a subscription's attempts, newest first: at most `limit` of them, after the cursor `after`. `shards`
    /// are those of the subscription's topic.
    pub async fn newest(
        &self,
        subscription: &Subscription,
        shards: Shards,
        after: Option<String>,
        limit: usize,
        now: OffsetDateTime,
    ) -> Result<AttemptPage, StoreError> {
        let kept_since = now - self.kept;
        // After every position.
        let before = after.unwrap_or_else(|| "9999-12-31".to_owned());
        let from = timestamp::iso(kept_since.saturating_sub(ON_TIME));
        let mut readings: Vec<Reading> = places(shards)
            .map(|(range, shard)| Reading::new(range, shard, &from, &before))
            .collect();
        let mut found: Vec<AttemptRecord> = Vec::new();
        loop {
            // What is unread is not after this time.
            let floor = readings.iter().filter_map(Reading::newest_unread).max();
            let complete =
                |record: &&AttemptRecord| floor.is_none_or(|floor| record.sent_at > floor);
            if floor.is_none() || found.iter().filter(complete).count() >= limit {
                found.retain(|record| complete(&record));
                break;
            }
            let next = readings
                .iter_mut()
                .max_by_key(|reading| reading.newest_unread());
            let Some(reading) = next else {
                break;
            };
            let more = self
                .read(reading, subscription, Some(AT_LEAST), false)
                .await?;
            let more = more.into_iter();
            found.extend(more.filter(|it| it.sent_at >= kept_since && it.position() < before));
        }
        found.sort_by_key(|record| std::cmp::Reverse(record.position()));
        let is_last = found.len() <= limit && readings.iter().all(|reading| reading.done);
        found.truncate(limit);
        let next_cursor = found
            .last()
            .filter(|_| !is_last)
            .map(AttemptRecord::position);
        Ok(AttemptPage {
            attempts: found,
            next_cursor,
        })
    }

    /// The attempts of one place from `start` to `end`, up to about `limit` or 1 MB of them.
    async fn part(
        &self,
        subscription: &Subscription,
        (range, shard): (Range, Shard),
        start: OffsetDateTime,
        end: OffsetDateTime,
        limit: Option<i32>,
    ) -> Result<Part, StoreError> {
        // Of those that were accepted before, most were sent before: all of them are read, and few are kept.
        let (from, limit) = match range {
            Range::First => (start.saturating_sub(ON_TIME), None),
            Range::Other | Range::Earlier => (start, limit),
        };
        let (from, to) = (timestamp::iso(from), format!("{}#~", timestamp::iso(end)));
        let mut reading = Reading::new(range, shard, &from, &to);
        let mut attempts = Vec::new();
        loop {
            let more = self.read(&mut reading, subscription, limit, true).await?;
            attempts.extend(
                more.into_iter()
                    .filter(|it| it.sent_at >= start && it.sent_at <= end),
            );
            // Without progress, the same page would be read again and again.
            if reading.done || reading.last.is_some_and(|last| last > start) {
                break;
            }
        }
        let unread_from = reading.last.filter(|_| !reading.done);
        Ok(Part {
            attempts,
            unread_from,
        })
    }

    /// Reads the next items of a range.
    async fn read(
        &self,
        reading: &mut Reading,
        subscription: &Subscription,
        limit: Option<i32>,
        ascending: bool,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        let prefix = reading.range.prefix();
        let id = subscription.subscription_id.as_str();
        let partition = reading.shard.partition(id);
        let answer = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression(
                "subscription_id = :partition AND exchange_id BETWEEN :from AND :to",
            )
            .expression_attribute_values(":partition", AttributeValue::S(partition))
            .expression_attribute_values(
                ":from",
                AttributeValue::S(format!("{prefix}{}", reading.from)),
            )
            .expression_attribute_values(
                ":to",
                AttributeValue::S(format!("{prefix}{}", reading.to)),
            )
            .set_exclusive_start_key(reading.start.take())
            .set_limit(limit)
            .scan_index_forward(ascending)
            .send()
            .await?;
        let items = answer.items.unwrap_or_default();
        if let Some(key) = items
            .last()
            .and_then(|item| item.get("exchange_id")?.as_s().ok())
        {
            reading.last = key.strip_prefix(prefix).and_then(time_of);
        }
        reading.start = answer.last_evaluated_key;
        reading.done = reading.start.is_none();
        let records = items
            .into_iter()
            .map(|item| record(subscription, reading.range, reading.shard, item));
        records.filter_map(Result::transpose).collect()
    }
}

impl Reading {
    fn new(range: Range, shard: Shard, from: &str, to: &str) -> Self {
        Self {
            range,
            shard,
            from: from.to_owned(),
            to: to.to_owned(),
            start: None,
            last: None,
            done: false,
        }
    }

    /// The latest time of a request that may be unread, newest first; `None` if there is none.
    fn newest_unread(&self) -> Option<OffsetDateTime> {
        if self.done {
            return None;
        }
        let Some(last) = self.last else {
            return Some(END_OF_TIME);
        };
        Some(match self.range {
            Range::First => last + ON_TIME,
            Range::Other | Range::Earlier => last,
        })
    }
}

/// Where a subscription's attempts may be. Earlier versions knew no shards.
fn places(shards: Shards) -> impl Iterator<Item = (Range, Shard)> {
    let places = shards
        .all()
        .flat_map(|shard| Range::ALL.map(|range| (range, shard)));
    places.filter(|(range, shard)| *range != Range::Earlier || shard.is_first())
}

/// The attempt in an item of this range of this shard; `None` if it says only that the delivery has arrived.
pub(crate) fn record(
    subscription: &Subscription,
    range: Range,
    shard: Shard,
    item: Item,
) -> Result<Option<AttemptRecord>, StoreError> {
    if range == Range::Earlier {
        return earlier_exchange::read(item).map(Some);
    }
    let key = item.get("exchange_id").and_then(|key| key.as_s().ok());
    let parts = key.and_then(|key| key.strip_prefix(range.prefix())?.split_once('#'));
    let content = item.get("content").and_then(|content| content.as_b().ok());
    let (Some((at, id)), Some(content)) = (parts, content) else {
        return Ok(None);
    };
    let Some(at) = timestamp::parse(at) else {
        return Ok(None);
    };
    let content = Content::of_bytes(content.as_ref())?;
    let (delivery_id, sent_at) = match range {
        Range::First => {
            let key = DeliveryKey {
                subscription_id: subscription.subscription_id.clone(),
                accepted_at: at,
                event_id: EventId::new(id),
                shard,
            };
            // Those of messages of earlier versions have another id.
            let id = if content.event_id.is_some() {
                key.earlier_id()
            } else {
                key.id()
            };
            let after = i64::try_from(content.sent_after_us.unwrap_or(0)).unwrap_or(0);
            (id, at + Duration::microseconds(after))
        }
        Range::Other | Range::Earlier => (DeliveryId::new(id), at),
    };
    Ok(Some(AttemptRecord::of(
        subscription,
        delivery_id,
        sent_at,
        content,
    )))
}

/// The time that a key, without its prefix, or a cursor begins with.
fn time_of(text: &str) -> Option<OffsetDateTime> {
    timestamp::parse(text.split('#').next()?)
}
