//! The Topics table: topics, and their unique names.
//!
//! Key `topic_id`. Beside each topic there is an item that holds its name, `topic_id` = `name#` and the
//! name's hash; both are written in one transaction, so that no two topics have the same name. The index
//! `listed` holds the topics that are not deleted, oldest first. A deleted topic leaves a mark, so that a
//! publisher learns that it was deleted, and not that it never existed.
//!
//! What an item holds is in `stored_topic`, the items of names are in `topic_names`.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValuesOnConditionCheckFailure as OnRefusal,
    TransactWriteItem,
};
use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::Topic;
use bellwire_domain::topic::shards::Shards;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use time::{Duration, OffsetDateTime};

use crate::answers::Together;
use crate::batch_get::{batch_get, keys};
use crate::conditional::{Refused, conditional};
use crate::members::{Segments, count_key};
pub use crate::stored_topic::{FIRST_REVISION, Found, StoredTopic, Written};
use crate::stored_topic::{Item, LISTED, found, item, read};
use crate::transaction::{Transacted, transact};
use crate::{Members, StoreError};

/// No id of a topic or a subscription is longer, in bytes: a longer one is unknown without a read.
pub(crate) const MAX_ID_LENGTH: usize = 64;
/// How long the mark of a deleted topic is kept.
const MARK_KEPT: Duration = Duration::days(30);

/// The Topics table.
#[derive(Clone, Debug)]
pub struct Topics {
    pub(crate) db: DynamoDb,
    pub(crate) table: String,
}

impl Topics {
    /// `table` is the table's name.
    pub fn new(db: DynamoDb, table: String) -> Self {
        Self { db, table }
    }

    /// The topic with this id, with a consistent read.
    pub async fn get(&self, id: &TopicId) -> Result<Found, StoreError> {
        if id.as_str().len() > MAX_ID_LENGTH {
            return Ok(Found::Unknown);
        }
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .key("topic_id", AttributeValue::S(id.to_string()))
            .consistent_read(true)
            .send()
            .await?;
        found(answer.item)
    }

    /// The topic with this id and the segments of its audience, with consistent reads in one call. Every
    /// subscription that was created before this call is in one of the segments.
    pub async fn get_with_segments(
        &self,
        id: &TopicId,
        members: &Members,
    ) -> Result<(Found, Segments), StoreError> {
        if id.as_str().len() > MAX_ID_LENGTH {
            return Ok((Found::Unknown, Segments::default()));
        }
        let key = HashMap::from([("topic_id".to_owned(), AttributeValue::S(id.to_string()))]);
        let wanted = HashMap::from([
            (self.table.clone(), keys(vec![key])?),
            (members.table().to_owned(), keys(vec![count_key(id)])?),
        ]);
        let (mut topic, mut count) = (None, None);
        for (table, item) in batch_get(&self.db, wanted).await? {
            if table == self.table {
                topic = Some(item);
            } else {
                count = Some(item);
            }
        }
        Ok((found(topic)?, Segments::of(count.as_ref())))
    }

    /// All topics that are not deleted, oldest first, from the index.
    pub async fn list(&self) -> Result<Vec<Topic>, StoreError> {
        let mut items = self
            .db
            .query()
            .table_name(&self.table)
            .index_name(LISTED)
            .key_condition_expression("listed = :listed")
            .expression_attribute_values(":listed", AttributeValue::S(LISTED.to_owned()))
            .into_paginator()
            .items()
            .send();
        let mut topics = Vec::new();
        while let Some(item) = items.next().await {
            topics.push(read(from_item(item?)?)?.topic);
        }
        Ok(topics)
    }

    /// The condition that a topic exists and is not deleted, for a transaction.
    pub fn must_be_live(&self, id: &TopicId) -> Result<Together, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .key("topic_id", AttributeValue::S(id.to_string()))
            .condition_expression("attribute_exists(listed)")
            .build()?;
        let write = TransactWriteItem::builder().condition_check(check).build();
        Ok(Together(write))
    }

    /// Creates a topic, in one transaction with another write.
    pub async fn create(
        &self,
        topic: &Topic,
        other: Option<Together>,
    ) -> Result<Written, StoreError> {
        let put = self
            .put(&item(topic, Shards::ONE, FIRST_REVISION)?)?
            .condition_expression("attribute_not_exists(topic_id)");
        let other = other.map(|Together(write)| write);
        self.write([
            Some(transact_put(put)?),
            Some(self.take_name(topic)?),
            other,
        ])
        .await
    }

    /// Replaces the topic that was read as `known` by `changed`, which has the same id. If it changes who may see it, that
    /// is to be queued, which is on record until [`Self::note_access_queued`].
    pub async fn update(
        &self,
        known: &StoredTopic,
        changed: &Topic,
    ) -> Result<Written, StoreError> {
        let access = (&changed.access, &changed.publishers);
        let changes_access = access != (&known.topic.access, &known.topic.publishers);
        let item = Item {
            access_unsettled: changes_access || known.access_is_unsettled(),
            ..item(changed, known.shards, known.next_revision())?
        };
        let put = known.unchanged(self.put(&item)?);
        let (taken, given_up) = if changed.name == known.topic.name {
            (None, None)
        } else {
            (
                Some(self.take_name(changed)?),
                Some(self.give_name_up(&known.topic)?),
            )
        };
        self.write([Some(transact_put(put)?), taken, given_up])
            .await
    }

    /// Deletes a topic; its name is free again. That the deletion is yet to be queued is on record until
    /// [`Self::note_deletion_queued`].
    pub async fn delete(
        &self,
        known: &StoredTopic,
        now: OffsetDateTime,
    ) -> Result<Written, StoreError> {
        let given_up = self.give_name_up(&known.topic)?;
        self.mark_deleted(known, now + MARK_KEPT, given_up).await
    }

    /// As [`Self::delete`], of a topic that is known by its name: it has the name until [`Self::free_name`], so that
    /// a request that is cut off can be repeated. If it isn't, the name is free when the mark is removed.
    pub async fn delete_keeping_name(
        &self,
        known: &StoredTopic,
        now: OffsetDateTime,
    ) -> Result<Written, StoreError> {
        let until = now + MARK_KEPT;
        let kept = self.keep_name_until(&known.topic, until)?;
        self.mark_deleted(known, until, kept).await
    }

    async fn mark_deleted(
        &self,
        known: &StoredTopic,
        until: OffsetDateTime,
        name: TransactWriteItem,
    ) -> Result<Written, StoreError> {
        let mark = Item {
            listed: None,
            deletion_unqueued: true,
            expires_at: Some(until.unix_timestamp()),
            ..item(&known.topic, known.shards, known.next_revision())?
        };
        let put = known.unchanged(self.put(&mark)?);
        self.write([Some(transact_put(put)?), None, Some(name)])
            .await
    }

    /// Gives a topic that exists at least this number of shards, if it has fewer. Returns how many it has now; `None` if
    /// there is no such topic. It has another revision then, so that a change that is under way doesn't undo it.
    pub async fn grow(&self, id: &TopicId, shards: Shards) -> Result<Option<Shards>, StoreError> {
        let update = self
            .db
            .update_item()
            .table_name(&self.table)
            .key("topic_id", AttributeValue::S(id.to_string()))
            .update_expression("SET shards = :shards ADD revision :one")
            .condition_expression(
                "attribute_exists(listed) AND (attribute_not_exists(shards) OR shards < :shards)",
            )
            .expression_attribute_values(":shards", AttributeValue::N(shards.count().to_string()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values_on_condition_check_failure(OnRefusal::AllOld);
        let there = match conditional(update).await? {
            Ok(_) => return Ok(Some(shards)),
            Err(Refused(there)) => there,
        };
        Ok(match found(there)? {
            Found::Live(stored) => Some(stored.shards),
            Found::Deleted { .. } | Found::Unknown => None,
        })
    }

    /// Records that the change of who may see a topic was queued, unless it was changed since.
    pub async fn note_access_queued(&self, id: &TopicId, revision: u64) -> Result<(), StoreError> {
        let update = self
            .db
            .update_item()
            .table_name(&self.table)
            .key("topic_id", AttributeValue::S(id.to_string()))
            .update_expression("REMOVE access_unsettled")
            .condition_expression("revision = :revision")
            .expression_attribute_values(":revision", AttributeValue::N(revision.to_string()));
        conditional(update).await?.ok();
        Ok(())
    }

    /// Records that a topic's deletion was queued.
    pub async fn note_deletion_queued(&self, id: &TopicId) -> Result<(), StoreError> {
        let update = self
            .db
            .update_item()
            .table_name(&self.table)
            .key("topic_id", AttributeValue::S(id.to_string()))
            .update_expression("REMOVE unannounced")
            .condition_expression("attribute_exists(topic_id)");
        conditional(update).await?.ok();
        Ok(())
    }

    fn put(&self, item: &Item) -> Result<PutBuilder, StoreError> {
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?)))
    }

    /// Writes, all or nothing and in this order, the topic, the name that it takes, and the name that it
    /// gives up or keeps, or the other write.
    async fn write(&self, writes: [Option<TransactWriteItem>; 3]) -> Result<Written, StoreError> {
        let takes_a_name = writes.get(1).is_some_and(Option::is_some);
        let writes: Vec<TransactWriteItem> = writes.into_iter().flatten().collect();
        match transact(&self.db, writes).await {
            Ok(Transacted::Done) => Ok(Written::Done),
            Ok(Transacted::Refused { write: 1, .. }) if takes_a_name => Ok(Written::NameTaken),
            Ok(Transacted::Refused { .. }) => Ok(Written::Changed),
            // With a subscription that is created, or the same request made twice at once.
            Err(StoreError::Conflict) => Ok(Written::InTheWay),
            Err(error) => Err(error),
        }
    }
}

fn transact_put(put: PutBuilder) -> Result<TransactWriteItem, StoreError> {
    Ok(TransactWriteItem::builder().put(put.build()?).build())
}
