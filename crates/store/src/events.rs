//! The Events table: what was published to topics.
//!
//! Key `source` (a topic's id), `key`. A document topic has an item for each version of its document,
//! `version#` and its number ([`crate::versions`]); an event topic one for each event, `event#`, the time
//! of its acceptance and its id. Beside them, `publication#` and an id marks a publication that has been
//! committed, so that its repetition is recognised. All of them expire, except a document's current
//! version.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::delivery::retry::ON_ITS_WAY_DAYS;
use bellwire_domain::ids::{EventId, TopicId};
use bellwire_domain::timestamp::{self, iso_serde};
use bellwire_domain::topic::payload::Payload;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_items, to_item};
use time::{Duration, OffsetDateTime};

use crate::StoreError;
use crate::conditional::conditional;

/// An event of an event topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The event's id.
    pub event_id: EventId,
    /// When the API accepted it.
    #[serde(with = "iso_serde")]
    pub accepted_at: OffsetDateTime,
    /// The event as it was published.
    pub payload: Payload,
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
    pub async fn record(
        &self,
        topic_id: &TopicId,
        event: &Event,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let key = event_key(event.accepted_at, event.event_id.as_str());
        self.db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(self.item(
                topic_id,
                key,
                event,
                Some(now + self.kept),
            )?))
            .send()
            .await?;
        Ok(())
    }

    /// Records an event whose id may have been recorded before, with another time. Returns whether this
    /// one is on record, and not an earlier one.
    pub async fn record_once(
        &self,
        topic_id: &TopicId,
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
            publication_key(event.event_id.as_str()),
            &first,
            Some(self.recognised_until(now)),
        )?;
        let put = self
            .db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(mark))
            .condition_expression("attribute_not_exists(#source) OR #first = :first")
            .expression_attribute_names("#source", "source")
            .expression_attribute_names("#first", "first")
            .expression_attribute_values(":first", AttributeValue::S(first.first));
        if conditional(|| put.clone().send()).await?.is_err() {
            return Ok(false);
        }
        self.record(topic_id, event, now).await?;
        Ok(true)
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
        topic_id: &TopicId,
        key: String,
        content: &impl Serialize,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<HashMap<String, AttributeValue>, StoreError> {
        Ok(to_item(Item {
            source: topic_id.as_str(),
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
    HashMap::from([
        ("source".to_owned(), AttributeValue::S(topic_id.to_string())),
        ("key".to_owned(), AttributeValue::S(key)),
    ])
}
