//! Lists of a topic's events, in the order of their acceptance, whatever their shards.
//!
//! The key of an event is the same in every shard, so that one of them is a position in all. What has been read is
//! complete up to the first position at which one of the shards may have something unread.

use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::shards::{Shard, Shards};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use time::OffsetDateTime;

use crate::conditional::Item;
use crate::events::{Event, event_key};
use crate::{Events, StoreError};

/// How many events of a shard are read at least: its share of a page may be larger than those of others. Few, since each may
/// have a payload of 64 KB, and there may be 64 shards.
const AT_LEAST: i32 = 5;

/// How many shards are read at once.
const AT_ONCE: usize = 8;

/// A page of a topic's events, oldest first.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// The events of the page, with their shards.
    pub events: Vec<(Event, Shard)>,
    /// The key of the last one; `None` if there are no more.
    pub next_cursor: Option<String>,
}

/// What was read of a shard.
struct Read {
    shard: Shard,
    items: Vec<Item>,
    /// The key of the last item; `None` if there are no more behind it.
    unread_behind: Option<String>,
}

impl Events {
    /// A page of the events of an event topic that were accepted from `start` to `end`, both inclusive: about `limit` of
    /// them, and at least one if there are any more, after the one whose key is `after`.
    pub async fn between(
        &self,
        topic_id: &TopicId,
        shards: Shards,
        start: OffsetDateTime,
        end: OffsetDateTime,
        after: Option<String>,
        limit: i32,
    ) -> Result<EventPage, StoreError> {
        let from = match after {
            // The first key behind it: no id has a character before this one.
            Some(after) => format!("{after} "),
            None => event_key(start, ""),
        };
        // After every id of the last moment.
        let to = event_key(end, "~");
        if from > to {
            return Ok(EventPage {
                events: Vec::new(),
                next_cursor: None,
            });
        }
        let share = (limit / i32::from(shards.count())).max(AT_LEAST).min(limit);
        let reads = shards
            .all()
            .map(|shard| self.read(topic_id, shard, &from, &to, share));
        let reads = stream::iter(reads)
            .buffered(AT_ONCE)
            .try_collect::<Vec<Read>>()
            .await?;
        let horizon = reads
            .iter()
            .filter_map(|read| read.unread_behind.clone())
            .min();
        let mut found: Vec<(String, Shard, Item)> = Vec::new();
        for read in reads {
            let shard = read.shard;
            let keyed = read.items.into_iter();
            let keyed = keyed.filter_map(|item| Some((key_in(&item)?, shard, item)));
            found.extend(keyed.filter(|(key, ..)| horizon.as_ref().is_none_or(|end| key <= end)));
        }
        found.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        // An event whose first write was not answered may be in two shards. It was delivered from the later one.
        found.dedup_by(|next, last| {
            let same = next.0 == last.0;
            if same {
                std::mem::swap(next, last);
            }
            same
        });
        let events = found
            .into_iter()
            .map(|(_, shard, item)| Ok((from_item(item)?, shard)));
        Ok(EventPage {
            events: events.collect::<Result<_, StoreError>>()?,
            next_cursor: horizon,
        })
    }

    async fn read(
        &self,
        topic_id: &TopicId,
        shard: Shard,
        from: &str,
        to: &str,
        limit: i32,
    ) -> Result<Read, StoreError> {
        let partition = shard.partition(topic_id.as_str());
        let answer = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression("#source = :source AND #key BETWEEN :from AND :to")
            .expression_attribute_names("#source", "source")
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":source", AttributeValue::S(partition))
            .expression_attribute_values(":from", AttributeValue::S(from.to_owned()))
            .expression_attribute_values(":to", AttributeValue::S(to.to_owned()))
            .limit(limit)
            .consistent_read(true)
            .send()
            .await?;
        Ok(Read {
            shard,
            unread_behind: answer.last_evaluated_key.as_ref().and_then(key_in),
            items: answer.items.unwrap_or_default(),
        })
    }
}

fn key_in(item: &Item) -> Option<String> {
    item.get("key")?.as_s().ok().cloned()
}
