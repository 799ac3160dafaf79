//! The Answers table: the responses to requests that create something, by their `Idempotency-Key`.
//!
//! Key `request_id`, a hash of the client's id and the `Idempotency-Key`. If what a request creates is
//! in a table, the item is written in the same transaction: one exists exactly when the other does. An
//! item contains secrets where the response does, and expires after a day.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use bellwire_domain::digest::sha256_hex;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use time::{Duration, OffsetDateTime};

use crate::StoreError;
use crate::conditional::conditional;
use crate::seconds::seconds;

/// How long a repeated request is recognised.
const KEPT: Duration = Duration::hours(24);

/// A write that is carried out in one transaction with others, or not at all.
#[derive(Clone, Debug)]
pub struct Together(pub(crate) TransactWriteItem);

/// A request whose repetition is recognised by its `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct RepeatableRequest {
    id: String,
    fingerprint: String,
}

impl RepeatableRequest {
    /// A client's request with this key. `parts` are what a repetition has in common with it: method,
    /// path and body.
    pub fn new(client_id: &str, key: &str, parts: &[&str]) -> Self {
        // The lengths distinguish "ab", "c" from "a", "bc".
        let measured = parts.iter().map(|part| format!("{}:{part}", part.len()));
        Self {
            id: sha256_hex(&format!("{client_id}#{key}")),
            fingerprint: sha256_hex(&measured.collect::<String>()),
        }
    }
}

/// A recorded response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, as JSON text.
    pub body: String,
}

/// What is on record for the `Idempotency-Key` of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: the request is new.
    Nothing,
    /// The response to the same request, which this one repeats.
    Same(Answer),
    /// Another request of the client had the same key.
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

/// The Answers table.
#[derive(Clone, Debug)]
pub struct Answers {
    db: DynamoDb,
    table: String,
}

impl Answers {
    /// `table` is the table's name.
    pub fn new(db: DynamoDb, table: String) -> Self {
        Self { db, table }
    }

    /// What is on record for the key of a request, with a consistent read. An expired item counts as
    /// absent.
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

    /// The write that records the response to a request, for the transaction that creates what it asks
    /// for. Its condition fails if a response is on record already.
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

    /// Records the response to a request. One that is on record already stays.
    pub async fn keep(
        &self,
        request: &RepeatableRequest,
        answer: Answer,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let put = self
            .db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item(request, answer, now)?))
            .condition_expression(UNKNOWN)
            .expression_attribute_values(":now", seconds(now));
        conditional(put).await?.ok();
        Ok(())
    }
}

/// The condition that no response is on record. An expired one doesn't count: DynamoDB may remove it
/// only days later.
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
