//! The Exchanges table: every attempt, as an HTTP request to an endpoint and its response.
//!
//! Key `subscription_id`, `exchange_id` (the time of the request, then what makes it unique), so that a
//! period of time is a range of keys.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::timestamp::{self, iso_serde};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_items, to_item};
use std::collections::{BTreeMap, HashMap};
use time::{Duration, OffsetDateTime};

use crate::StoreError;
use crate::removal::remove_all;

/// The record of an attempt that the subscription's client can read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// The id of the subscription.
    pub subscription_id: SubscriptionId,
    /// The id of the delivery, the same for all of its attempts.
    pub pipeline_id: String,
    /// What was sent: `snapshot`, `patch`, `event` or `error`; to an entity's subscription, the callback
    /// event.
    pub event_type: String,
    /// When the request was sent.
    #[serde(with = "iso_serde")]
    pub request_datetime: OffsetDateTime,
    /// How long request and response took, as an ISO 8601 duration.
    pub request_duration: String,
    /// The URL that the request was sent to.
    pub request_url: String,
    /// The headers of the request, secrets redacted.
    pub request_headers: BTreeMap<String, String>,
    /// The number of the retry, from 1; missing for a first attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_retry_attempts: Option<usize>,
    /// How many retries the schedule has; missing for a first attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_retry_max_attempts: Option<usize>,
    /// The status of the response; missing if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_code: Option<u16>,
    /// The headers of the response, long ones cut.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: BTreeMap<String, String>,
    /// The beginning of the response's body; missing if that is empty, or there was no response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
    /// The size of the response's body, with the unit; missing if it isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_size: Option<String>,
    /// Why the attempt failed; missing if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// What the callback log of an entity's subscription has in addition; missing for topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackRecord>,
}

/// What is on record of a callback (protocol C) in addition to the exchange.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallbackRecord {
    /// The body of the request.
    pub body: String,
    /// When the delivery is retried; missing if it isn't.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub next_attempt: Option<OffsetDateTime>,
}

impl Exchange {
    /// Its sort key.
    fn id(&self) -> String {
        let retry = self.request_retry_attempts.unwrap_or(0);
        let unique = format!("{}#{retry}", self.pipeline_id);
        exchange_id(self.request_datetime, &unique)
    }
}

/// No `exchange_id` is longer, in bytes.
const MAX_ID_LENGTH: usize = 200;

#[derive(Serialize, Deserialize)]
struct Item {
    subscription_id: SubscriptionId,
    exchange_id: String,
    /// The exchange as JSON: no field of it is ever read by itself.
    exchange: String,
    expires_at: i64,
}

/// A page of a subscription's exchanges, in the order of their requests, or in reverse.
#[derive(Clone, Debug, Default)]
pub struct ExchangePage {
    /// The exchanges of the page.
    pub exchanges: Vec<Exchange>,
    /// The `exchange_id` of the last one; `None` if there are no more.
    pub next_cursor: Option<String>,
}

/// The Exchanges table.
#[derive(Clone, Debug)]
pub struct Exchanges {
    db: DynamoDb,
    table: String,
    kept: Duration,
}

impl Exchanges {
    /// `table` is the table's name, and `kept` how long exchanges are kept.
    pub fn new(db: DynamoDb, table: String, kept: Duration) -> Self {
        Self { db, table, kept }
    }

    /// The name of the table.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// The item of the table that holds an exchange.
    pub(crate) fn item(
        &self,
        exchange: &Exchange,
    ) -> Result<HashMap<String, AttributeValue>, StoreError> {
        Ok(to_item(Item {
            subscription_id: exchange.subscription_id.clone(),
            exchange_id: exchange.id(),
            exchange: serde_json::to_string(exchange)?,
            expires_at: (exchange.request_datetime + self.kept).unix_timestamp(),
        })?)
    }

    /// Whether a text may be an `exchange_id`, and so a cursor.
    pub fn is_cursor(text: &str) -> bool {
        let at = text
            .split_once('#')
            .and_then(|(at, _)| timestamp::parse(at));
        text.len() <= MAX_ID_LENGTH && at.is_some()
    }

    /// A page of a subscription's exchanges, newest first: at most `limit` of them, after the one whose
    /// `exchange_id` is `after`.
    pub async fn newest(
        &self,
        subscription_id: &SubscriptionId,
        after: Option<String>,
        limit: i32,
        now: OffsetDateTime,
    ) -> Result<ExchangePage, StoreError> {
        // After every id.
        let before = after.unwrap_or_else(|| "~".to_owned());
        let query = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression("subscription_id = :subscription AND exchange_id < :before")
            .expression_attribute_values(
                ":subscription",
                AttributeValue::S(subscription_id.to_string()),
            )
            .expression_attribute_values(":before", AttributeValue::S(before))
            .scan_index_forward(false)
            .limit(limit);
        let mut page = page(query).await?;
        // DynamoDB may remove an item days after its expiry.
        let kept_since = now - self.kept;
        let count = page.exchanges.len();
        page.exchanges
            .retain(|exchange| exchange.request_datetime >= kept_since);
        if page.exchanges.len() < count {
            page.next_cursor = None;
        }
        Ok(page)
    }

    /// Deletes all of a subscription's exchanges. Idempotent.
    pub async fn remove_all(&self, subscription_id: &SubscriptionId) -> Result<(), StoreError> {
        let keys = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression("subscription_id = :subscription")
            .expression_attribute_values(
                ":subscription",
                AttributeValue::S(subscription_id.to_string()),
            )
            .projection_expression("subscription_id, exchange_id");
        remove_all(&self.db, &self.table, keys).await
    }

    /// A page of a subscription's exchanges whose requests were sent from `start` to `end`, oldest first,
    /// after the one whose `exchange_id` is `after`. Reads at most 1 MB, the most that one query reads.
    pub async fn between(
        &self,
        subscription_id: &SubscriptionId,
        start: OffsetDateTime,
        end: OffsetDateTime,
        after: Option<String>,
        now: OffsetDateTime,
    ) -> Result<ExchangePage, StoreError> {
        // The first text after `after`.
        let behind = after.map(|after| after + "\0").unwrap_or_default();
        let kept_since = now - self.kept;
        let from = exchange_id(start.max(kept_since), "").max(behind);
        // After every id of the last moment.
        let to = exchange_id(end, "~");
        if from > to {
            return Ok(ExchangePage::default());
        }
        let query = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression(
                "subscription_id = :subscription AND exchange_id BETWEEN :from AND :to",
            )
            .expression_attribute_values(
                ":subscription",
                AttributeValue::S(subscription_id.to_string()),
            )
            .expression_attribute_values(":from", AttributeValue::S(from))
            .expression_attribute_values(":to", AttributeValue::S(to));
        page(query).await
    }
}

async fn page(query: QueryFluentBuilder) -> Result<ExchangePage, StoreError> {
    let answer = query.send().await?;
    let next_cursor = answer
        .last_evaluated_key
        .as_ref()
        .and_then(|key| key.get("exchange_id")?.as_s().ok().cloned());
    let items: Vec<Item> = from_items(answer.items.unwrap_or_default())?;
    let exchanges = items
        .iter()
        .map(|item| serde_json::from_str(&item.exchange))
        .collect::<Result<_, _>>()?;
    Ok(ExchangePage {
        exchanges,
        next_cursor,
    })
}

fn exchange_id(at: OffsetDateTime, unique: &str) -> String {
    format!("{}#{unique}", timestamp::iso(at))
}
