//! The Answers table: what requests that create something were answered, under their
//! `Idempotency-Key`.
//!
//! Key `request_id`, which follows from client and key. An item is written in one transaction with
//! what the request creates, where that is in a table: there is the one exactly when there is the
//! other. It has secrets in it, as the answer has, and expires after a day.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use bellwire_rules::digest::sha256_hex;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use time::{Duration, OffsetDateTime};

use crate::StoreError;

/// For how long a repeated request is recognised.
const KEPT: Duration = Duration::hours(24);

/// A write that is carried out together with another, or not at all.
#[derive(Clone, Debug)]
pub struct Together(pub(crate) TransactWriteItem);

/// A request that is known again by its `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct RepeatableRequest {
    id: String,
    fingerprint: String,
}

impl RepeatableRequest {
    /// A client's request of this key; `parts` are what its repetition has in common with it.
    pub fn new(client_id: &str, key: &str, parts: &[&str]) -> Self {
        // Lengths keep "ab", "c" and "a", "bc" apart.
        let measured = parts.iter().map(|part| format!("{}:{part}", part.len()));
        Self {
            id: sha256_hex(&format!("{client_id}#{key}")),
            fingerprint: sha256_hex(&measured.collect::<String>()),
        }
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, in JSON.
    pub body: String,
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: it is new.
    Nothing,
    /// It is the repetition of one that was answered so.
    Same(Answer),
    /// Another request had its key.
    Other,
}

#[derive(Serialize, Deserialize)]
struct Item {
    request_id: String,
    fingerprint: String,
    #[serde(flatten)]
    answer: Answer,
    expires_at: i64,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Answers {
    db: DynamoDb,
    table: String,
}

impl Answers {
    /// The table of this name.
    pub fn new(db: DynamoDb, table: String) -> Self {
        Self { db, table }
    }

    /// What is known of a request.
    pub async fn find(
        &self,
        request: &RepeatableRequest,
        now: OffsetDateTime,
    ) -> Result<Earlier, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .key("request_id", AttributeValue::S(request.id.clone()))
            .consistent_read(true)
            .send()
            .await?;
        let Some(item) = answer.item else {
            return Ok(Earlier::Nothing);
        };
        let item: Item = from_item(item)?;
        Ok(if item.expires_at <= now.unix_timestamp() {
            Earlier::Nothing
        } else if item.fingerprint == request.fingerprint {
            Earlier::Same(item.answer)
        } else {
            Earlier::Other
        })
    }

    /// The write that records what a request is answered, unless that is on record.
    pub fn record(
        &self,
        request: &RepeatableRequest,
        answer: Answer,
        now: OffsetDateTime,
    ) -> Result<Together, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item(request, answer, now)?))
            .condition_expression(UNKNOWN)
            .expression_attribute_values(":now", seconds(now))
            .build()?;
        Ok(Together(TransactWriteItem::builder().put(put).build()))
    }

    /// Records what a request is answered, unless that is on record.
    pub async fn keep(
        &self,
        request: &RepeatableRequest,
        answer: Answer,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let written = self
            .db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item(request, answer, now)?))
            .condition_expression(UNKNOWN)
            .expression_attribute_values(":now", seconds(now))
            .send()
            .await;
        match written {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_conditional_check_failed_exception() => Ok(()),
                _ => Err(error.into()),
            },
        }
    }
}

/// DynamoDB may remove an item days after its end.
const UNKNOWN: &str = "attribute_not_exists(request_id) OR expires_at <= :now";

fn item(
    request: &RepeatableRequest,
    answer: Answer,
    now: OffsetDateTime,
) -> Result<HashMap<String, AttributeValue>, StoreError> {
    Ok(to_item(Item {
        request_id: request.id.clone(),
        fingerprint: request.fingerprint.clone(),
        answer,
        expires_at: (now + KEPT).unix_timestamp(),
    })?)
}

fn seconds(at: OffsetDateTime) -> AttributeValue {
    AttributeValue::N(at.unix_timestamp().to_string())
}
