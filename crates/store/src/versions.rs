//! The versions of topics' documents, in the Events table.
//!
//! A version is an item with the key `version#` and its number. After the last one of a deleted topic
//! there is an item that marks the end of the document, so that a later publication creates no version.

use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure as OnRefusal, TransactWriteItem,
    Update,
};
use bellwire_domain::ids::TopicId;
use bellwire_domain::timestamp::{self, iso_serde};
use bellwire_domain::topic::payload::Payload;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use time::OffsetDateTime;

use crate::conditional::{Item, Refused, conditional};
use crate::events::{key, publication_key};
use crate::transaction::{Transacted, transact};
use crate::{Events, StoreError};

/// A version of a topic's document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// The version's number, from 1.
    pub version: u64,
    /// When the API accepted its publication.
    #[serde(with = "iso_serde")]
    pub accepted_at: OffsetDateTime,
    /// The whole document.
    pub snapshot: Payload,
    /// The change from the version before, as a JSON patch; missing in the first version, and where
    /// the document is sent whole instead (`bellwire_domain::topic::patch`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Payload>,
    /// When the latest publication of the same document was accepted; missing if none followed the first.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub confirmed_at: Option<OffsetDateTime>,
}

impl Version {
    /// When the API accepted the latest publication of this document.
    pub fn last_accepted_at(&self) -> OffsetDateTime {
        self.confirmed_at
            .map_or(self.accepted_at, |at| at.max(self.accepted_at))
    }
}

/// The state of a topic's document.
#[derive(Clone, Debug)]
pub enum Current {
    /// No version was committed yet.
    Nothing,
    /// This version is current.
    Version(Box<Version>),
    /// The topic was deleted, and its document with it.
    Deleted,
}

/// The result of committing a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The publication was committed.
    Done,
    /// The publication was committed before: as this version, or as none because it changed nothing.
    Before(Option<u64>),
    /// Another publication was committed as the version meanwhile. Nothing was written.
    Overtaken,
}

/// The mark of a publication that was committed.
#[derive(Serialize, Deserialize)]
struct Mark {
    /// The version that it was committed as; missing if it changed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    committed_as: Option<u64>,
}

impl Events {
    /// The current version of a topic's document; `None` if there is none yet, or the topic was deleted.
    pub async fn latest(&self, topic_id: &TopicId) -> Result<Option<Version>, StoreError> {
        Ok(match self.current(topic_id).await? {
            Current::Version(version) => Some(*version),
            Current::Nothing | Current::Deleted => None,
        })
    }

    /// The state of a topic's document, with a consistent read.
    pub async fn current(&self, topic_id: &TopicId) -> Result<Current, StoreError> {
        let answer = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression("#source = :source AND begins_with(#key, :prefix)")
            .expression_attribute_names("#source", "source")
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":source", AttributeValue::S(topic_id.to_string()))
            .expression_attribute_values(":prefix", AttributeValue::S(VERSION.to_owned()))
            .scan_index_forward(false)
            .limit(1)
            .consistent_read(true)
            .send()
            .await?;
        let Some(item) = answer.items.unwrap_or_default().into_iter().next() else {
            return Ok(Current::Nothing);
        };
        if item.get("key") == Some(&AttributeValue::S(DELETED.to_owned())) {
            return Ok(Current::Deleted);
        }
        Ok(Current::Version(Box::new(from_item(item)?)))
    }

    /// A version of a topic's document; `None` if it has expired and was removed, or never existed.
    pub async fn version(
        &self,
        topic_id: &TopicId,
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

    /// Commits a publication: makes `next` the current version of the document, after `previous`, which
    /// expires from now on, and marks the publication, in one transaction.
    pub async fn commit(
        &self,
        topic_id: &TopicId,
        publication_id: &str,
        next: &Version,
        previous: Option<u64>,
        now: OffsetDateTime,
    ) -> Result<Committed, StoreError> {
        let mark = Mark {
            committed_as: Some(next.version),
        };
        let until = self.recognised_until(now);
        let mut writes = vec![
            self.put_new(
                topic_id,
                publication_key(publication_id),
                &mark,
                Some(until),
            )?,
            self.put_new(topic_id, version_key(next.version), next, None)?,
        ];
        if let Some(previous) = previous {
            writes.push(self.expire(topic_id, previous, now)?);
        }
        match transact(&self.db, writes).await {
            Ok(Transacted::Done) => Ok(Committed::Done),
            Ok(Transacted::Refused { write: 0, found }) => committed_before(found),
            Ok(Transacted::Refused { .. }) | Err(StoreError::Conflict) => Ok(Committed::Overtaken),
            Err(error) => Err(error),
        }
    }

    /// Commits a publication that changes nothing: marks it, and creates no version.
    pub async fn note_unchanged(
        &self,
        topic_id: &TopicId,
        publication_id: &str,
        now: OffsetDateTime,
    ) -> Result<Committed, StoreError> {
        let mark = Mark { committed_as: None };
        let until = self.recognised_until(now);
        let put = self.item(
            topic_id.as_str(),
            publication_key(publication_id),
            &mark,
            Some(until),
        )?;
        let put = self
            .db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(put))
            .condition_expression("attribute_not_exists(#source)")
            .expression_attribute_names("#source", "source")
            .return_values_on_condition_check_failure(OnRefusal::AllOld);
        match conditional(put).await? {
            Ok(_) => Ok(Committed::Done),
            Err(Refused(found)) => committed_before(found),
        }
    }

    /// Records that a publication accepted at this time was the same document as the current version. An
    /// earlier time than the recorded one changes nothing, and so does a version that was removed.
    ///
    /// A publication that was accepted before that time, and is redriven from the dead-letter queue
    /// later, must not replace the document: its publisher has confirmed the current one since.
    pub async fn confirm(
        &self,
        topic_id: &TopicId,
        version: u64,
        accepted_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let update = self
            .db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(topic_id, version_key(version))))
            .update_expression("SET confirmed_at = :at")
            // Times in this form sort as texts do.
            .condition_expression(
                "attribute_exists(#source) AND (attribute_not_exists(confirmed_at) OR confirmed_at < :at)",
            )
            .expression_attribute_names("#source", "source")
            .expression_attribute_values(":at", AttributeValue::S(timestamp::iso(accepted_at)));
        conditional(update).await?.ok();
        Ok(())
    }

    /// Ends the document of a deleted topic: its last version, if there is one, is kept as long as its
    /// deliveries may be under way, and no other follows. Idempotent.
    pub async fn end_document(
        &self,
        topic_id: &TopicId,
        last: Option<&Version>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Nothing {}
        let until = self.recognised_until(now);
        let end = self.item(
            topic_id.as_str(),
            DELETED.to_owned(),
            &Nothing {},
            Some(until),
        )?;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(end))
            .build()?;
        let mut writes = vec![TransactWriteItem::builder().put(put).build()];
        if let Some(last) = last {
            let last = self.item(
                topic_id.as_str(),
                version_key(last.version),
                last,
                Some(until),
            )?;
            let put = Put::builder()
                .table_name(&self.table)
                .set_item(Some(last))
                .build()?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        // No write has a condition.
        transact(&self.db, writes).await.map(drop)
    }

    fn put_new(
        &self,
        topic_id: &TopicId,
        key: String,
        content: &impl Serialize,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(self.item(
                topic_id.as_str(),
                key,
                content,
                expires_at,
            )?))
            .condition_expression("attribute_not_exists(#source)")
            .expression_attribute_names("#source", "source")
            .return_values_on_condition_check_failure(OnRefusal::AllOld)
            .build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn expire(
        &self,
        topic_id: &TopicId,
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
}

/// What the mark of a publication says.
fn committed_before(mark: Option<Item>) -> Result<Committed, StoreError> {
    let mark: Mark = from_item(mark.unwrap_or_default())?;
    Ok(Committed::Before(mark.committed_as))
}

/// The prefix of the keys of versions.
const VERSION: &str = "version#";
/// The key of the mark that ends a document: after those of all versions.
const DELETED: &str = "version#~";

fn version_key(version: u64) -> String {
    format!("{VERSION}{version:020}")
}
