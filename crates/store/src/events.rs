//! The Events table: what topics have been told to tell.
//!
//! Key `source` (a topic's id), `key`. A document topic has an item for each version of
//! its document, `version#` and its number; an event topic one for each event, `event#`,
//! the time of its acceptance and its id. Beside them, `publication#` and an id marks a
//! publication that has been committed, so that its repetition is recognised. All of them
//! expire, but for a document's current version.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure as OnRefusal, TransactWriteItem,
    Update,
};
use bellwire_rules::payload::Payload;
use bellwire_rules::timestamp::{self, iso_serde};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, from_items, to_item};
use time::{Duration, OffsetDateTime};

use crate::StoreError;

/// A version of a topic's document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// Its number, from 1.
    pub version: u64,
    /// When the API took it.
    #[serde(with = "iso_serde")]
    pub accepted_at: OffsetDateTime,
    /// The document.
    pub snapshot: Payload,
    /// The change from the version before; missing in the first version, and where it
    /// would be longer than the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Payload>,
    /// When a publication was last accepted that was the same document.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub confirmed_at: Option<OffsetDateTime>,
}

impl Version {
    /// When the API last took a publication of this document.
    pub fn last_accepted_at(&self) -> OffsetDateTime {
        self.confirmed_at
            .map_or(self.accepted_at, |at| at.max(self.accepted_at))
    }
}

/// An event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its id.
    pub event_id: String,
    /// When the API took it.
    #[serde(with = "iso_serde")]
    pub accepted_at: OffsetDateTime,
    /// The event.
    pub payload: Payload,
}

/// What committing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is written.
    Done,
    /// The publication has been committed before: as this version, or as none because it
    /// changed nothing.
    Before(Option<u64>),
    /// Another publication got the version meanwhile. Nothing was written.
    Overtaken,
}

/// Events of an event topic, oldest first, and where to go on.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The events.
    pub events: Vec<Event>,
    /// The key of the last one, when there may be more.
    pub more_after: Option<String>,
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

#[derive(Serialize, Deserialize)]
struct Mark {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    committed_as: Option<u64>,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Events {
    pub(crate) db: DynamoDb,
    pub(crate) table: String,
    kept: Duration,
}

impl Events {
    /// The table of this name, whose items are kept so long.
    pub fn new(db: DynamoDb, table: String, kept: Duration) -> Self {
        Self { db, table, kept }
    }

    /// Since when events and versions that are not current are kept. DynamoDB may remove what is
    /// older days later.
    pub fn kept_since(&self, now: OffsetDateTime) -> OffsetDateTime {
        now - self.kept
    }

    /// The current version of a topic's document.
    pub async fn latest(&self, topic_id: &str) -> Result<Option<Version>, StoreError> {
        let answer = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression("#source = :source AND begins_with(#key, :prefix)")
            .expression_attribute_names("#source", "source")
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":source", AttributeValue::S(topic_id.to_owned()))
            .expression_attribute_values(":prefix", AttributeValue::S(VERSION.to_owned()))
            .scan_index_forward(false)
            .limit(1)
            .consistent_read(true)
            .send()
            .await?;
        let versions: Vec<Version> = from_items(answer.items.unwrap_or_default())?;
        Ok(versions.into_iter().next())
    }

    /// A version of a topic's document; `None` when it has expired.
    pub async fn version(
        &self,
        topic_id: &str,
        version: u64,
    ) -> Result<Option<Version>, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(topic_id, version_key(version))))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item.map(from_item).transpose()?)
    }

    /// Makes `next` the current version of the document, after `previous`.
    pub async fn commit(
        &self,
        topic_id: &str,
        publication_id: &str,
        next: &Version,
        previous: Option<u64>,
        now: OffsetDateTime,
    ) -> Result<Committed, StoreError> {
        let mark = Mark {
            committed_as: Some(next.version),
        };
        let mut writes = vec![
            self.put_new(topic_id, publication_key(publication_id), &mark, Some(now))?,
            self.put_new(topic_id, version_key(next.version), next, None)?,
        ];
        if let Some(previous) = previous {
            writes.push(self.expire(topic_id, previous, now)?);
        }
        let answer = self
            .db
            .transact_write_items()
            .set_transact_items(Some(writes))
            .send()
            .await;
        let Err(error) = answer else {
            return Ok(Committed::Done);
        };
        let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
            error.as_service_error()
        else {
            return Err(error.into());
        };
        let reasons = canceled.cancellation_reasons();
        let refused = |reason: &aws_sdk_dynamodb::types::CancellationReason| {
            reason.code() == Some("ConditionalCheckFailed")
        };
        if let Some(reason) = reasons.first().filter(|reason| refused(reason)) {
            let mark: Mark = from_item(reason.item.clone().unwrap_or_default())?;
            return Ok(Committed::Before(mark.committed_as));
        }
        let overtaken = |reason: &aws_sdk_dynamodb::types::CancellationReason| {
            refused(reason) || reason.code() == Some("TransactionConflict")
        };
        if reasons.iter().any(overtaken) {
            return Ok(Committed::Overtaken);
        }
        // Throttled.
        Err(error.into())
    }

    /// Marks a publication that changed nothing.
    pub async fn note_unchanged(
        &self,
        topic_id: &str,
        publication_id: &str,
        now: OffsetDateTime,
    ) -> Result<Committed, StoreError> {
        let mark = Mark { committed_as: None };
        let put = self.item(topic_id, publication_key(publication_id), &mark, Some(now))?;
        let answer = self
            .db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(put))
            .condition_expression("attribute_not_exists(#source)")
            .expression_attribute_names("#source", "source")
            .return_values_on_condition_check_failure(OnRefusal::AllOld)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Committed::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    let mark: Mark = from_item(refused.item.clone().unwrap_or_default())?;
                    Ok(Committed::Before(mark.committed_as))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Records an event. To record it again changes nothing.
    pub async fn record(
        &self,
        topic_id: &str,
        event: &Event,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let key = event_key(event.accepted_at, &event.event_id);
        self.db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(self.item(topic_id, key, event, Some(now))?))
            .send()
            .await?;
        Ok(())
    }

    /// Records an event whose id may have come before with another time: true when it is
    /// this one that is on record.
    pub async fn record_once(
        &self,
        topic_id: &str,
        event: &Event,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        #[derive(Serialize, Deserialize)]
        struct First {
            first: String,
        }
        let first = First {
            first: timestamp::iso(event.accepted_at),
        };
        let mark = self.item(
            topic_id,
            publication_key(&event.event_id),
            &first,
            Some(now),
        )?;
        let answer = self
            .db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(mark))
            .condition_expression("attribute_not_exists(#source) OR #first = :first")
            .expression_attribute_names("#source", "source")
            .expression_attribute_names("#first", "first")
            .expression_attribute_values(":first", AttributeValue::S(first.first))
            .send()
            .await;
        match answer {
            Ok(_) => {
                self.record(topic_id, event, now).await?;
                Ok(true)
            }
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_conditional_check_failed_exception() => Ok(false),
                _ => Err(error.into()),
            },
        }
    }

    /// The events of an event topic that were accepted from `start` to `end`, at most
    /// `limit`, after the one whose key is `after`.
    pub async fn between(
        &self,
        topic_id: &str,
        start: OffsetDateTime,
        end: OffsetDateTime,
        after: Option<String>,
        limit: i32,
    ) -> Result<Slice, StoreError> {
        let from = event_key(start, "");
        // Behind every id of the last moment.
        let to = event_key(end, "~");
        let answer = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression("#source = :source AND #key BETWEEN :from AND :to")
            .expression_attribute_names("#source", "source")
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":source", AttributeValue::S(topic_id.to_owned()))
            .expression_attribute_values(":from", AttributeValue::S(from))
            .expression_attribute_values(":to", AttributeValue::S(to))
            .set_exclusive_start_key(after.map(|after| key(topic_id, after)))
            .limit(limit)
            .consistent_read(true)
            .send()
            .await?;
        let more_after = answer
            .last_evaluated_key
            .as_ref()
            .and_then(|key| key.get("key")?.as_s().ok().cloned());
        Ok(Slice {
            events: from_items(answer.items.unwrap_or_default())?,
            more_after,
        })
    }

    /// Lets the current version of a deleted topic's document expire.
    pub async fn expire_latest(
        &self,
        topic_id: &str,
        version: u64,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let writes = vec![self.expire(topic_id, version, now)?];
        self.db
            .transact_write_items()
            .set_transact_items(Some(writes))
            .send()
            .await?;
        Ok(())
    }

    fn put_new(
        &self,
        topic_id: &str,
        key: String,
        content: &impl Serialize,
        expires_from: Option<OffsetDateTime>,
    ) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(self.item(topic_id, key, content, expires_from)?))
            .condition_expression("attribute_not_exists(#source)")
            .expression_attribute_names("#source", "source")
            .return_values_on_condition_check_failure(OnRefusal::AllOld)
            .build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn expire(
        &self,
        topic_id: &str,
        version: u64,
        now: OffsetDateTime,
    ) -> Result<TransactWriteItem, StoreError> {
        let at = (now + self.kept).unix_timestamp();
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(topic_id, version_key(version))))
            .update_expression("SET expires_at = :at")
            .condition_expression("attribute_exists(#source)")
            .expression_attribute_names("#source", "source")
            .expression_attribute_values(":at", AttributeValue::N(at.to_string()))
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn item(
        &self,
        topic_id: &str,
        key: String,
        content: &impl Serialize,
        expires_from: Option<OffsetDateTime>,
    ) -> Result<HashMap<String, AttributeValue>, StoreError> {
        Ok(to_item(Item {
            source: topic_id,
            key,
            content,
            expires_at: expires_from.map(|now| (now + self.kept).unix_timestamp()),
        })?)
    }
}

const VERSION: &str = "version#";

pub(crate) fn version_key(version: u64) -> String {
    format!("{VERSION}{version:020}")
}

fn event_key(accepted_at: OffsetDateTime, event_id: &str) -> String {
    format!("event#{}#{event_id}", timestamp::iso(accepted_at))
}

fn publication_key(id: &str) -> String {
    format!("publication#{id}")
}

pub(crate) fn key(topic_id: &str, key: String) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("source".to_owned(), AttributeValue::S(topic_id.to_owned())),
        ("key".to_owned(), AttributeValue::S(key)),
    ])
}
