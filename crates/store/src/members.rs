//! The Members table: who is to be told the same, in segments.
//!
//! Key `audience_segment` (the id of an audience and a number), `subscription_id`. The
//! audience of a topic has the topic's id. Its subscriptions are numbered as they are made,
//! and a segment takes the next [`SEGMENT`] of them, so that a small topic is one segment,
//! and a large one many, none on one partition with the others. The item `count` of a topic
//! holds how many numbers were given, and which segments are empty for good; `closed`, and a number, is
//! a segment that takes nobody any more. The audience of an entity, for one client, is small
//! and has one segment, 0, and no count. Members are written with their subscription, by
//! [`crate::Subscriptions`].

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, ReturnValue, TransactWriteItem};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_items;

use crate::StoreError;
use crate::answers::Together;

/// How many subscriptions a segment takes.
pub const SEGMENT: u64 = 1000;

/// A subscription that is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The subscription.
    pub subscription_id: String,
    /// The client whose subscription it is.
    pub client_id: String,
}

/// The subscriptions that a topic has had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// How many there were.
    pub given: u64,
    /// The segments that are empty and stay so.
    pub empty: BTreeSet<u64>,
}

impl Segments {
    /// The segments that may have members.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        (0..self.given.div_ceil(SEGMENT)).filter(|segment| !self.empty.contains(segment))
    }
}

/// The table.
#[derive(Clone, Debug)]
pub struct Members {
    db: DynamoDb,
    table: String,
}

impl Members {
    /// The table of this name.
    pub fn new(db: DynamoDb, table: String) -> Self {
        Self { db, table }
    }

    /// Gives a topic's next subscription its segment.
    pub async fn next_segment(&self, topic_id: &str) -> Result<u64, StoreError> {
        let answer = self
            .db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(topic_id, COUNT)))
            .update_expression("ADD given :one")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await?;
        let given = given(answer.attributes.as_ref());
        Ok(given.saturating_sub(1) / SEGMENT)
    }

    /// The subscriptions that a topic has had. Who was subscribed before this was asked
    /// is in one of the segments that follow from it.
    pub async fn segments(&self, topic_id: &str) -> Result<Segments, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(topic_id, COUNT)))
            .consistent_read(true)
            .send()
            .await?;
        let item = answer.item.as_ref();
        let empty = item.and_then(|item| item.get("empty")?.as_ns().ok());
        let empty = empty.into_iter().flatten();
        Ok(Segments {
            given: given(item),
            empty: empty.filter_map(|number| number.parse().ok()).collect(),
        })
    }

    /// The condition that a segment still takes members, for the transaction that writes one.
    pub fn must_be_open(&self, topic_id: &str, segment: u64) -> Result<Together, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key(topic_id, &closed(segment))))
            .condition_expression("attribute_not_exists(subscription_id)")
            .build()?;
        let check = TransactWriteItem::builder().condition_check(check).build();
        Ok(Together(check))
    }

    /// Has a segment left out from now on, if all of its places were given and none is taken. Closed
    /// first and looked at then, it can't get a member unseen. Returns whether it is left out. To do
    /// so again changes nothing.
    pub async fn skip_if_empty(&self, topic_id: &str, segment: u64) -> Result<bool, StoreError> {
        if self.segments(topic_id).await?.given < (segment + 1) * SEGMENT {
            return Ok(false);
        }
        self.db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(key(topic_id, &closed(segment))))
            .send()
            .await?;
        if !self.of(topic_id, segment).await?.is_empty() {
            return Ok(false);
        }
        self.db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(topic_id, COUNT)))
            .update_expression("ADD #empty :segment")
            .expression_attribute_names("#empty", "empty")
            .expression_attribute_values(":segment", AttributeValue::Ns(vec![segment.to_string()]))
            .send()
            .await?;
        Ok(true)
    }

    /// The members of a segment.
    pub async fn of(&self, audience_id: &str, segment: u64) -> Result<Vec<Member>, StoreError> {
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

fn closed(segment: u64) -> String {
    format!("closed#{segment}")
}

/// The key of what is counted of a topic.
fn key(topic_id: &str, what: &str) -> HashMap<String, AttributeValue> {
    let pair = |name: &str, value: String| (name.to_owned(), AttributeValue::S(value));
    HashMap::from([
        pair("audience_segment", format!("{topic_id}#{COUNT}")),
        pair("subscription_id", what.to_owned()),
    ])
}

pub(crate) fn segment_key(audience_id: &str, segment: u64) -> String {
    format!("{audience_id}#{segment}")
}

fn given(item: Option<&HashMap<String, AttributeValue>>) -> u64 {
    item.and_then(|item| item.get("given")?.as_n().ok()?.parse().ok())
        .unwrap_or(0)
}
