//! The Members table: the audiences, in segments.
//!
//! Key `audience_segment` (the id of an audience and the number of a segment), `subscription_id`. The
//! audience of a topic has the topic's id. A topic's subscriptions are numbered as they are created, and
//! a segment takes the next [`SEGMENT`] of them: a small topic has one segment, a large one many, each
//! in a partition of its own. The audience of an entity, for one client, is small: it has segment 0
//! only, and no count. Members are written with their subscription, by [`crate::Subscriptions`].
//!
//! Under the topic's id and `#count`, the item `count` holds how many numbers were given, and which
//! segments are permanently empty; an item `closed#` and a number is a segment that takes no members any
//! more. A client's counts of subscriptions are in the same table (`usage`).

use bellwire_domain::ids::{AudienceId, SubscriptionId, TopicId};
use bellwire_domain::timestamp::iso_serde;
use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, ReturnValue, TransactWriteItem};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_items;
use time::OffsetDateTime;

use crate::StoreError;
use crate::answers::Together;
use crate::conditional::Item;

/// How many subscriptions a segment takes.
pub const SEGMENT: u64 = 1000;

/// A subscription in an audience.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The id of the subscription.
    pub subscription_id: SubscriptionId,
    /// The id of the subscription's client.
    pub client_id: String,
    /// When the subscription was created; missing for those of earlier versions.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_at: Option<OffsetDateTime>,
}

/// The segments of a topic's audience.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// How many numbers were given to subscriptions, since the topic was created.
    pub given: u64,
    /// The numbers of the segments that are permanently empty.
    pub empty: BTreeSet<u64>,
}

impl Segments {
    /// What the item [`COUNT`] says; nothing was given if there is none.
    pub(crate) fn of(item: Option<&Item>) -> Self {
        let empty = item.and_then(|item| item.get("empty")?.as_ns().ok());
        let empty = empty.into_iter().flatten();
        Self {
            given: given(item),
            empty: empty.filter_map(|number| number.parse().ok()).collect(),
        }
    }

    /// The numbers of the segments that may have members.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        (0..self.given.div_ceil(SEGMENT)).filter(|segment| !self.empty.contains(segment))
    }
}

/// The Members table.
#[derive(Clone, Debug)]
pub struct Members {
    db: DynamoDb,
    table: String,
}

impl Members {
    /// `table` is the table's name.
    pub fn new(db: DynamoDb, table: String) -> Self {
        Self { db, table }
    }

    /// The name of the table.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Gives a topic's next subscription its number. Returns the segment that follows from it.
    pub async fn next_segment(&self, topic_id: &TopicId) -> Result<u64, StoreError> {
        let answer = self
            .db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(topic_id.as_str(), COUNT)))
            .update_expression("ADD given :one")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await?;
        let given = given(answer.attributes.as_ref());
        Ok(given.saturating_sub(1) / SEGMENT)
    }

    /// The segments of a topic's audience, with a consistent read. Every subscription that was created
    /// before this call is in one of them.
    pub async fn segments(&self, topic_id: &TopicId) -> Result<Segments, StoreError> {
        self.read_segments(topic_id.as_str()).await
    }

    async fn read_segments(&self, topic_id: &str) -> Result<Segments, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(topic_id, COUNT)))
            .consistent_read(true)
            .send()
            .await?;
        Ok(Segments::of(answer.item.as_ref()))
    }

    /// The condition that a segment still takes members, for the transaction that adds one.
    pub fn must_be_open(&self, topic_id: &TopicId, segment: u64) -> Result<Together, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key(topic_id.as_str(), &closed(segment))))
            .condition_expression("attribute_not_exists(subscription_id)")
            .build()?;
        let check = TransactWriteItem::builder().condition_check(check).build();
        Ok(Together(check))
    }

    /// Excludes a segment from fan-out from now on, if all of its numbers were given and it has no
    /// members. It is closed before it is read, so that it can't get a member unnoticed. Returns whether
    /// it is excluded. Idempotent.
    pub async fn skip_if_empty(
        &self,
        audience_id: &AudienceId,
        segment: u64,
    ) -> Result<bool, StoreError> {
        if self.read_segments(audience_id.as_str()).await?.given < (segment + 1) * SEGMENT {
            return Ok(false);
        }
        self.db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(key(audience_id.as_str(), &closed(segment))))
            .send()
            .await?;
        if !self.of(audience_id, segment).await?.is_empty() {
            return Ok(false);
        }
        self.db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(audience_id.as_str(), COUNT)))
            .update_expression("ADD #empty :segment")
            .expression_attribute_names("#empty", "empty")
            .expression_attribute_values(":segment", AttributeValue::Ns(vec![segment.to_string()]))
            .send()
            .await?;
        Ok(true)
    }

    /// Whether an audience has a member in any of these segments, with consistent reads that end at the first one.
    pub async fn any(
        &self,
        audience_id: &AudienceId,
        segments: &Segments,
    ) -> Result<bool, StoreError> {
        for segment in segments.numbers() {
            let key = segment_key(audience_id, segment);
            let request = self.db.query().table_name(&self.table);
            let answer = request
                .key_condition_expression("audience_segment = :segment")
                .expression_attribute_values(":segment", AttributeValue::S(key))
                .consistent_read(true)
                .limit(1)
                .send()
                .await?;
            if answer.count > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The members of a segment, with consistent reads.
    pub async fn of(
        &self,
        audience_id: &AudienceId,
        segment: u64,
    ) -> Result<Vec<Member>, StoreError> {
        let mut items = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression("audience_segment = :segment")
            .expression_attribute_values(
                ":segment",
                AttributeValue::S(segment_key(audience_id, segment)),
            )
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while let Some(item) = items.next().await {
            found.push(item?);
        }
        Ok(from_items(found)?)
    }
}

const COUNT: &str = "count";

/// The key of the item about a topic's segments.
pub(crate) fn count_key(topic_id: &TopicId) -> Item {
    key(topic_id.as_str(), COUNT)
}

fn closed(segment: u64) -> String {
    format!("closed#{segment}")
}

/// The key of an item about a topic's segments: `what` is `count` or that of a closed segment.
fn key(topic_id: &str, what: &str) -> HashMap<String, AttributeValue> {
    let pair = |name: &str, value: String| (name.to_owned(), AttributeValue::S(value));
    HashMap::from([
        pair("audience_segment", format!("{topic_id}#{COUNT}")),
        pair("subscription_id", what.to_owned()),
    ])
}

pub(crate) fn segment_key(audience_id: &AudienceId, segment: u64) -> String {
    format!("{audience_id}#{segment}")
}

fn given(item: Option<&HashMap<String, AttributeValue>>) -> u64 {
    item.and_then(|item| item.get("given")?.as_n().ok()?.parse().ok())
        .unwrap_or(0)
}
