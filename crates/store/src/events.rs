//! The Events table: what was published to topics, and about entities.
//!
//! Key `source` (a topic's id; `entity#` and the hash of an entity's key), `key`. Events in another shard of a topic
//! than the first ([`bellwire_domain::topic::shards`]) have `#` and the shard's number behind the topic's id. A
//! document topic has an item for each version of its document, `version#` and its number ([`crate::versions`]); an
//! event topic, or an entity, one for each event, `event#`, the time of its acceptance and its id. Beside them,
//! `publication#` and an id marks a publication that has been committed, so that its repetition is recognised. All of
//! them expire, except a document's current version.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure as OnRefusal, TransactWriteItem,
};
use bellwire_domain::delivery::retry::ON_ITS_WAY_DAYS;
use bellwire_domain::digest::sha256_hex;
use bellwire_domain::entity::EntityKey;
use bellwire_domain::ids::{EventId, TopicId};
use bellwire_domain::timestamp::{self, iso_serde};
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::{Shard, Shards};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use time::{Duration, OffsetDateTime};

use crate::StoreError;
use crate::conditional::{Item, conditional};
use crate::transaction::{Transacted, transact};

/// What events are about: the partition of the table that they are in, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource {
    partition: String,
    shards: Shards,
    new_half: bool,
}

impl EventSource {
    /// A topic, with its shards.
    pub fn of_topic(topic_id: &TopicId, shards: Shards) -> Self {
        Self {
            partition: topic_id.to_string(),
            shards,
            new_half: false,
        }
    }

    /// The same topic, of whose shards only the new half is used: those that there were before it has grown take no more.
    pub fn in_new_half(self) -> Self {
        Self {
            new_half: true,
            ..self
        }
    }

    /// An entity, whatever the client.
    pub fn of_entity(entity_key: &EntityKey) -> Self {
        Self {
            // A hash, since an entity's key may be longer than one of the table: 2,048 bytes.
            partition: format!("entity#{}", sha256_hex(entity_key.as_str())),
            shards: Shards::ONE,
            new_half: false,
        }
    }

    /// The shard of an event that is accepted now.
    pub fn shard_of(&self, event_id: &EventId) -> Shard {
        if self.new_half {
            self.shards.new_half_of(event_id)
        } else {
            self.shards.of(event_id)
        }
    }

    /// The key of the mark of an event. Those of a topic with several shards have a partition each.
    fn mark(&self, event_id: &EventId) -> (String, String) {
        let partition = if self.shards.is_one() {
            self.partition.clone()
        } else {
            format!("{}#{event_id}", self.partition)
        };
        (partition, publication_key(event_id.as_str()))
    }

    /// The key of the mark that the event has if the topic had one shard when it was accepted; `None` if it still has
    /// one.
    fn earlier_mark(&self, event_id: &EventId) -> Option<(String, String)> {
        let key = publication_key(event_id.as_str());
        (!self.shards.is_one()).then(|| (self.partition.clone(), key))
    }
}

/// An event: of a topic, with what was published as its payload; or of an entity, with what has happened and to
/// which clients it is delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event<T = Payload> {
    /// The event's id.
    pub event_id: EventId,
    /// When the API accepted it.
    #[serde(with = "iso_serde")]
    pub accepted_at: OffsetDateTime,
    /// The event as it was published.
    pub payload: T,
}

/// The result of recording an event that may have been published before, under the same `Idempotency-Key`.
#[derive(Clone, Debug)]
pub enum Recorded<T> {
    /// It is on record now, and is to be fanned out.
    New,
    /// The first one is on record, and may not have been fanned out: this is the first one, and its shard.
    Pending(Event<T>, Shard),
    /// The first one is on record, and has been fanned out.
    Done,
}

/// The mark of an event that has an `Idempotency-Key`.
#[derive(Serialize, Deserialize)]
struct Mark {
    /// When the first one was accepted.
    #[serde(with = "iso_serde")]
    first: OffsetDateTime,
    /// Whether its fan-out is yet to be completed. Marks of earlier versions say nothing: of those, `commit`
    /// completed the fan-out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    /// The shard of the first one.
    #[serde(default, skip_serializing_if = "Shard::is_first")]
    shard: Shard,
}

#[derive(Serialize)]
struct Stored<'a, T> {
    source: &'a str,
    key: String,
    #[serde(flatten)]
    content: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

/// The Events table.
#[derive(Clone, Debug)]
pub struct Events {
    pub(crate) db: DynamoDb,
    pub(crate) table: String,
    pub(crate) kept: Duration,
}

impl Events {
    /// `table` is the table's name, and `kept` how long events, and versions that are not current, are kept.
    pub fn new(db: DynamoDb, table: String, kept: Duration) -> Self {
        Self { db, table, kept }
    }

    /// The time since which events, and versions that are not current, are kept. DynamoDB may remove
    /// older ones only days later.
    pub fn kept_since(&self, now: OffsetDateTime) -> OffsetDateTime {
        now - self.kept
    }

    /// Records an event. Idempotent.
    ///
    /// # Errors
    /// [`StoreError::HotPartition`] when the partition of its shard takes no more.
    pub async fn record<T: Serialize>(
        &self,
        source: &EventSource,
        event: &Event<T>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let shard = source.shard_of(&event.event_id);
        self.put(source, event, shard, now).await
    }

    async fn put<T: Serialize>(
        &self,
        source: &EventSource,
        event: &Event<T>,
        shard: Shard,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(self.event_item(source, event, shard, now)?))
            .send()
            .await
            .map_err(StoreError::of_put)?;
        Ok(())
    }

    /// Records an event whose id may have been recorded before, with another time, and a mark by which its
    /// repetition is recognised, in one transaction.
    pub async fn record_once<T: Serialize + DeserializeOwned>(
        &self,
        source: &EventSource,
        event: &Event<T>,
        now: OffsetDateTime,
    ) -> Result<Recorded<T>, StoreError> {
        if let Some(earlier) = source.earlier_mark(&event.event_id)
            && let Some(mark) = self.get(earlier).await?
        {
            return self.repeated(source, event, from_item(mark)?, now).await;
        }
        let shard = source.shard_of(&event.event_id);
        let mark = Mark {
            first: event.accepted_at,
            pending: true,
            shard,
        };
        let until = Some(self.recognised_until(now));
        let (partition, key) = source.mark(&event.event_id);
        let mark = Put::builder()
            .table_name(&self.table)
            .set_item(Some(self.item(&partition, key, &mark, until)?))
            .condition_expression("attribute_not_exists(#source)")
            .expression_attribute_names("#source", "source")
            .return_values_on_condition_check_failure(OnRefusal::AllOld)
            .build()?;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(self.event_item(source, event, shard, now)?))
            .build()?;
        let writes = [mark, put].map(|put| TransactWriteItem::builder().put(put).build());
        let found = match transact(&self.db, writes.to_vec()).await? {
            Transacted::Done => return Ok(Recorded::New),
            Transacted::Refused { found, .. } => found,
        };
        let mark = from_item(found.unwrap_or_default())?;
        self.repeated(source, event, mark, now).await
    }

    /// What the mark of an event says that has been recorded before.
    async fn repeated<T: Serialize + DeserializeOwned>(
        &self,
        source: &EventSource,
        event: &Event<T>,
        mark: Mark,
        now: OffsetDateTime,
    ) -> Result<Recorded<T>, StoreError> {
        // The same request once more: its answer was lost, or `commit` was killed.
        let same = timestamp::iso(mark.first) == timestamp::iso(event.accepted_at);
        if !mark.pending && !same {
            return Ok(Recorded::Done);
        }
        if same {
            match self.put(source, event, mark.shard, now).await {
                // It is on record since the mark is.
                Ok(()) | Err(StoreError::HotPartition) => {}
                Err(error) => return Err(error),
            }
        }
        let partition = mark.shard.partition(&source.partition);
        let key = event_key(mark.first, event.event_id.as_str());
        Ok(match self.get((partition, key)).await? {
            Some(item) => Recorded::Pending(from_item(item)?, mark.shard),
            // It was published so long ago that it isn't kept any more.
            None => Recorded::Done,
        })
    }

    /// An event in this shard; `None` when it isn't kept any more, with a consistent read. Its payload may be gone
    /// before its item is: what is older than [`Self::kept_since`] counts as absent.
    pub async fn event<T: DeserializeOwned>(
        &self,
        source: &EventSource,
        shard: Shard,
        accepted_at: OffsetDateTime,
        event_id: &EventId,
        now: OffsetDateTime,
    ) -> Result<Option<Event<T>>, StoreError> {
        if accepted_at < self.kept_since(now) {
            return Ok(None);
        }
        let partition = shard.partition(&source.partition);
        let item = self.get((partition, event_key(accepted_at, event_id.as_str())));
        Ok(item.await?.map(from_item).transpose()?)
    }

    /// Whether the fan-out of an event that has a mark is yet to be completed, with a consistent read.
    pub async fn is_pending(
        &self,
        source: &EventSource,
        event_id: &EventId,
    ) -> Result<bool, StoreError> {
        let mark = match self.get(source.mark(event_id)).await? {
            Some(mark) => Some(mark),
            None => match source.earlier_mark(event_id) {
                Some(earlier) => self.get(earlier).await?,
                None => None,
            },
        };
        Ok(mark.is_some_and(|item| item.contains_key("pending")))
    }

    async fn get(&self, key: (String, String)) -> Result<Option<Item>, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key_of(key)))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item)
    }

    /// Records that the fan-out of an event that has a mark is complete.
    pub async fn note_fanned_out(
        &self,
        source: &EventSource,
        event_id: &EventId,
    ) -> Result<(), StoreError> {
        let marks = [Some(source.mark(event_id)), source.earlier_mark(event_id)];
        for mark in marks.into_iter().flatten() {
            let update = self
                .db
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key_of(mark)))
                .update_expression("REMOVE pending")
                .condition_expression("attribute_exists(#source)")
                .expression_attribute_names("#source", "source");
            if conditional(update).await?.is_ok() {
                break;
            }
        }
        Ok(())
    }

    fn event_item<T: Serialize>(
        &self,
        source: &EventSource,
        event: &Event<T>,
        shard: Shard,
        now: OffsetDateTime,
    ) -> Result<Item, StoreError> {
        let key = event_key(event.accepted_at, event.event_id.as_str());
        let partition = shard.partition(&source.partition);
        self.item(&partition, key, event, Some(now + self.kept))
    }

    pub(crate) fn item(
        &self,
        source: &str,
        key: String,
        content: &impl Serialize,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<Item, StoreError> {
        Ok(to_item(Stored {
            source,
            key,
            content,
            expires_at: expires_at.map(OffsetDateTime::unix_timestamp),
        })?)
    }

    /// Until when a publication is recognised: longer than it may be redriven from the dead-letter queue.
    pub(crate) fn recognised_until(&self, now: OffsetDateTime) -> OffsetDateTime {
        now + self.kept + Duration::days(i64::from(ON_ITS_WAY_DAYS))
    }
}

pub(crate) fn event_key(accepted_at: OffsetDateTime, event_id: &str) -> String {
    format!("event#{}#{event_id}", timestamp::iso(accepted_at))
}

pub(crate) fn publication_key(id: &str) -> String {
    format!("publication#{id}")
}

pub(crate) fn key(topic_id: &TopicId, key: String) -> Item {
    key_of((topic_id.to_string(), key))
}

fn key_of((partition, key): (String, String)) -> Item {
    HashMap::from([
        ("source".to_owned(), AttributeValue::S(partition)),
        ("key".to_owned(), AttributeValue::S(key)),
    ])
}
