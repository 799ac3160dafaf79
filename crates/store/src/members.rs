//! The Members table: who is to be told the same, in segments.
//!
//! Key `audience_segment` (the id of an audience and a number), `subscription_id`. The
//! audience of a topic has the topic's id. Its subscriptions are numbered as they are made,
//! and a segment takes the next [`SEGMENT`] of them, so that a small topic is one segment,
//! and a large one many, none on one partition with the others. The item `count` of a topic
//! holds how many numbers were given. The audience of an entity, for one client, is small
//! and has one segment, 0, and no count. Members are written with their subscription, by
//! [`crate::Subscriptions`].

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_items;

use crate::StoreError;

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
            .key("audience_segment", AttributeValue::S(counter(topic_id)))
            .key("subscription_id", AttributeValue::S(COUNT.to_owned()))
            .update_expression("ADD given :one")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await?;
        let given = given(answer.attributes.as_ref());
        Ok(given.saturating_sub(1) / SEGMENT)
    }

    /// How many subscriptions a topic has had. Who was subscribed before this was asked
    /// is in one of the segments that follow from it.
    pub async fn count(&self, topic_id: &str) -> Result<u64, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .key("audience_segment", AttributeValue::S(counter(topic_id)))
            .key("subscription_id", AttributeValue::S(COUNT.to_owned()))
            .consistent_read(true)
            .send()
            .await?;
        Ok(given(answer.item.as_ref()))
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

fn counter(topic_id: &str) -> String {
    format!("{topic_id}#{COUNT}")
}

pub(crate) fn segment_key(audience_id: &str, segment: u64) -> String {
    format!("{audience_id}#{segment}")
}

fn given(item: Option<&std::collections::HashMap<String, AttributeValue>>) -> u64 {
    item.and_then(|item| item.get("given")?.as_n().ok()?.parse().ok())
        .unwrap_or(0)
}
