//! A topic as it is stored, and what a read or a write of one comes to.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};
use bellwire_domain::ids::TopicId;
use bellwire_domain::timestamp::iso;
use bellwire_domain::topic::Topic;
use bellwire_domain::topic::shards::Shards;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::answers::Together;
use crate::{StoreError, Topics};

/// The name of the index, and the value of its partition key.
pub(crate) const LISTED: &str = "listed";
/// The revision of a topic that was just created.
pub const FIRST_REVISION: u64 = 1;

/// A topic as it is stored. The revision grows with each change, so that of two concurrent changes
/// none overwrites the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) topic_id: TopicId,
    pub(crate) revision: u64,
    /// The key of the index `listed`; missing once the topic is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listed: Option<String>,
    pub(crate) created_at: String,
    /// The topic as JSON, since its `config` may be any object.
    pub(crate) topic: String,
    /// Whether the topic's deletion is yet to be queued, for its audience to receive.
    #[serde(
        rename = "unannounced",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub(crate) deletion_unqueued: bool,
    /// Whether a change of who may see it is yet to be queued, for its subscriptions to be settled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) access_unsettled: bool,
    /// How many shards its events have.
    #[serde(default, skip_serializing_if = "Shards::is_one")]
    pub(crate) shards: Shards,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<i64>,
}

/// A topic, with the revision at which it was read.
#[derive(Clone, Debug)]
pub struct StoredTopic {
    /// The topic.
    pub topic: Topic,
    /// How many shards its events have.
    pub shards: Shards,
    revision: u64,
    deleted: bool,
    deletion_unqueued: bool,
    access_unsettled: bool,
}

/// The result of reading a topic.
#[derive(Clone, Debug)]
pub enum Found {
    /// The topic exists.
    Live(StoredTopic),
    /// The topic was deleted, in the last 30 days.
    Deleted {
        /// The topic, as it was.
        topic: Topic,
        /// Whether the deletion is yet to be queued, for the topic's audience to receive.
        deletion_unqueued: bool,
        /// How many shards its events have.
        shards: Shards,
    },
    /// There is no such topic.
    Unknown,
}

/// The result of writing a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The topic was written.
    Done,
    /// Another topic has the name. Nothing was written.
    NameTaken,
    /// The topic was changed or deleted meanwhile, or the condition of the other write doesn't hold.
    /// Nothing was written.
    Changed,
    /// Other transactions on the same items kept conflicting with this one. Nothing was written.
    InTheWay,
}

impl StoredTopic {
    /// Its revision, which grows with each write.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether a change of who may see it is yet to be queued.
    pub fn access_is_unsettled(&self) -> bool {
        self.access_unsettled
    }

    /// The revision that it has once it is written again.
    pub fn next_revision(&self) -> u64 {
        self.revision + 1
    }

    /// The condition that the topic was not written since it was read, for a transaction.
    pub fn must_be_unchanged(&self, topics: &Topics) -> Result<Together, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&topics.table)
            .key("topic_id", AttributeValue::S(self.topic.id.to_string()))
            .condition_expression("revision = :revision")
            .expression_attribute_values(":revision", AttributeValue::N(self.revision.to_string()))
            .build()?;
        let write = TransactWriteItem::builder().condition_check(check).build();
        Ok(Together(write))
    }

    /// Adds the condition that the topic was not written since it was read.
    pub(crate) fn unchanged(&self, put: PutBuilder) -> PutBuilder {
        put.condition_expression("revision = :revision")
            .expression_attribute_values(":revision", AttributeValue::N(self.revision.to_string()))
    }
}

/// The item of a topic that exists.
pub(crate) fn item(topic: &Topic, shards: Shards, revision: u64) -> Result<Item, StoreError> {
    Ok(Item {
        shards,
        topic_id: topic.id.clone(),
        revision,
        listed: Some(LISTED.to_owned()),
        created_at: iso(topic.create_timestamp),
        topic: serde_json::to_string(topic)?,
        deletion_unqueued: false,
        access_unsettled: false,
        expires_at: None,
    })
}

/// What an item says; `None` if there is none.
pub(crate) fn found(item: Option<HashMap<String, AttributeValue>>) -> Result<Found, StoreError> {
    let Some(item) = item.filter(|item| item.contains_key("topic")) else {
        return Ok(Found::Unknown);
    };
    let stored = read(from_item(item)?)?;
    Ok(if stored.deleted {
        Found::Deleted {
            topic: stored.topic,
            deletion_unqueued: stored.deletion_unqueued,
            shards: stored.shards,
        }
    } else {
        Found::Live(stored)
    })
}

pub(crate) fn read(item: Item) -> Result<StoredTopic, StoreError> {
    Ok(StoredTopic {
        topic: serde_json::from_str(&item.topic)?,
        shards: item.shards,
        revision: item.revision,
        deleted: item.listed.is_none(),
        deletion_unqueued: item.deletion_unqueued,
        access_unsettled: item.access_unsettled,
    })
}
