//! The Events table: what was published to topics, and about entities.
//!
//! Key `source` (a topic's id; `entity#` and the hash of an entity's key), `key`. A document topic has an item for each
//! version of its document, `version#` and its number ([`crate::versions`]); an event topic, or an entity,
//! one for each event, `event#`, the time of its acceptance and its id. Beside them, `publication#` and an id marks a publication that has been
//! committed, so that its repetition is recognised. All of them expire, except a document's current
//! version.

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
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, from_items, to_item};
use time::{Duration, OffsetDateTime};

use crate::StoreError;
use crate::conditional::conditional;
use crate::transaction::{Transacted, transact};

/// What events are about: the partition of the table that they are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource(String);

impl From<&TopicId> for EventSource {
    fn from(topic_id: &TopicId) -> Self {
        Self(topic_id.to_string())
    }
}

/// An entity, whatever the client.
impl From<&EntityKey> for EventSource {
    fn from(entity_key: &EntityKey) -> Self {
        // A hash, since an entity's key may be longer than one of the table: 2,048 bytes.
        Self(format!("entity#{}", sha256_hex(entity_key.as_str())))
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
    /// The first one is on record, and may not have been fanned out: this is the first one.
    Pending(Event<T>),
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
}

/// A page of a topic's events, oldest first.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// The events of the page.
    pub events: Vec<Event>,
    /// The key of the last one; `None` if there are no more.
    pub next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Item<'a, T> {
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
    pub async fn record<T: Serialize>(
        &self,
        source: &EventSource,
        event: &Event<T>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(self.event_item(source, event, now)?))
            .send()
            .await?;
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
        let mark = Mark {
            first: event.accepted_at,
            pending: true,
        };
        let until = Some(self.recognised_until(now));
        let mark_key = publication_key(event.event_id.as_str());
        let mark = Put::builder()
            .table_name(&self.table)
            .set_item(Some(self.item(&source.0, mark_key, &mark, until)?))
            .condition_expression("attribute_not_exists(#source)")
            .expression_attribute_names("#source", "source")
            .return_values_on_condition_check_failure(OnRefusal::AllOld)
            .build()?;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(self.event_item(source, event, now)?))
            .build()?;
        let writes = [mark, put].map(|put| TransactWriteItem::builder().put(put).build());
        let found = match transact(&self.db, writes.to_vec()).await? {
            Transacted::Done => return Ok(Recorded::New),
            Transacted::Refused { found, .. } => found,
        };
        let mark: Mark = from_item(found.unwrap_or_default())?;
        // The same request once more: its answer was lost, or `commit` was killed.
        let same = timestamp::iso(mark.first) == timestamp::iso(event.accepted_at);
        if !mark.pending && !same {
            return Ok(Recorded::Done);
        }
        if same {
            self.record(source, event, now).await?;
        }
        let key = event_key(mark.first, event.event_id.as_str());
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key_of(&source.0, key)))
            .consistent_read(true)
            .send()
            .await?;
        Ok(match answer.item {
            Some(item) => Recorded::Pending(from_item(item)?),
            // It was published so long ago that it isn't kept any more.
            None => Recorded::Done,
        })
    }

    /// Whether the fan-out of an event that has a mark is yet to be completed, with a consistent read.
    pub async fn is_pending(
        &self,
        source: &EventSource,
        event_id: &EventId,
    ) -> Result<bool, StoreError> {
        let mark_key = publication_key(event_id.as_str());
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key_of(&source.0, mark_key)))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item.is_some_and(|item| item.contains_key("pending")))
    }

    /// Records that the fan-out of an event that has a mark is complete.
    pub async fn note_fanned_out(
        &self,
        source: &EventSource,
        event_id: &EventId,
    ) -> Result<(), StoreError> {
        let mark_key = publication_key(event_id.as_str());
        let update = self
            .db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_of(&source.0, mark_key)))
            .update_expression("REMOVE pending")
            .condition_expression("attribute_exists(#source)")
            .expression_attribute_names("#source", "source");
        conditional(update).await?.ok();
        Ok(())
    }

    fn event_item<T: Serialize>(
        &self,
        source: &EventSource,
        event: &Event<T>,
        now: OffsetDateTime,
    ) -> Result<HashMap<String, AttributeValue>, StoreError> {
        let key = event_key(event.accepted_at, event.event_id.as_str());
        self.item(&source.0, key, event, Some(now + self.kept))
    }

    /// A page of the events of an event topic that were accepted from `start` to `end`, both inclusive:
    /// at most `limit`, after the one whose key is `after`.
    pub async fn between(
        &self,
        topic_id: &TopicId,
        start: OffsetDateTime,
        end: OffsetDateTime,
        after: Option<String>,
        limit: i32,
    ) -> Result<EventPage, StoreError> {
        let from = event_key(start, "");
        // After every id of the last moment.
        let to = event_key(end, "~");
        let answer = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression("#source = :source AND #key BETWEEN :from AND :to")
            .expression_attribute_names("#source", "source")
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":source", AttributeValue::S(topic_id.to_string()))
            .expression_attribute_values(":from", AttributeValue::S(from))
            .expression_attribute_values(":to", AttributeValue::S(to))
            .set_exclusive_start_key(after.map(|after| key(topic_id, after)))
            .limit(limit)
            .consistent_read(true)
            .send()
            .await?;
        let next_cursor = answer
            .last_evaluated_key
            .as_ref()
            .and_then(|key| key.get("key")?.as_s().ok().cloned());
        Ok(EventPage {
            events: from_items(answer.items.unwrap_or_default())?,
            next_cursor,
        })
    }

    pub(crate) fn item(
        &self,
        source: &str,
        key: String,
        content: &impl Serialize,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<HashMap<String, AttributeValue>, StoreError> {
        Ok(to_item(Item {
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

fn event_key(accepted_at: OffsetDateTime, event_id: &str) -> String {
    format!("event#{}#{event_id}", timestamp::iso(accepted_at))
}

pub(crate) fn publication_key(id: &str) -> String {
    format!("publication#{id}")
}

pub(crate) fn key(topic_id: &TopicId, key: String) -> HashMap<String, AttributeValue> {
    key_of(topic_id.as_str(), key)
}

fn key_of(source: &str, key: String) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("source".to_owned(), AttributeValue::S(source.to_owned())),
        ("key".to_owned(), AttributeValue::S(key)),
    ])
}
