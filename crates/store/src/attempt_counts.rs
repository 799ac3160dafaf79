//! The Counts table: how many attempts each subscription had in each hour, and how they went; kept for 30 days.
//!
//! Key `subscription_id`, `hour` (its beginning, in ISO 8601). What is counted comes from the stream of the Exchanges table,
//! in batches, of which each may come again, whole, in part or with more behind it. So an item also has the number of the
//! last record that was counted in it. The records of one partition key come in the order of their numbers: "for each item
//! that is modified in a DynamoDB table, the stream records appear in the same sequence as the actual modifications", and
//! those of an item collection are in one partition, as long as DynamoDB doesn't split that by its sort keys
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>). It may do so between the two ranges
//! of keys of attempts ([`crate::attempts`]), and each shard of a topic has a partition key of its own; so each of these
//! has a number of its own ([`Lineage`]). Within a range keys rise with time, and only the end of it is written.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnRefusal};
use bellwire_domain::delivery::counts::{AttemptCounts, CountedAttempt};
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::timestamp;
use bellwire_runtime::deadline::Steps;
use time::{Duration, OffsetDateTime};

use crate::StoreError;
use crate::attempt_record::Content;
use crate::conditional::{Item, Refused, conditional};
use crate::removal::remove_all;

/// How long the counts of an hour are kept.
pub const KEPT: Duration = Duration::days(30);
/// How often an hour is written again, at most, because its records were counted in part.
const ATTEMPTS: usize = 5;
/// The names of the attributes with counts, before those of latency.
const NAMES: [&str; 3] = ["delivered", "failed", "retried"];

/// The number of a record of a stream: up to 40 digits, here with zeros before them, so that it sorts as text.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(String);

impl SequenceNumber {
    /// The number that is written so; `None` for another text.
    pub fn parse(text: &str) -> Option<Self> {
        let is_number =
            (1..=40).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
        is_number.then(|| Self(format!("{text:0>40}")))
    }
}

/// Records that come in the order of their numbers: those of one shard of the topic, and of one range of keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage(String);

impl Lineage {
    /// The name of the attribute with the last number that was counted.
    fn attribute(&self) -> String {
        format!("seen_{}", self.0)
    }
}

/// Which item a record is counted in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HourKey {
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// The beginning of the hour of the request, in ISO 8601.
    hour: String,
    /// The records that it comes in order with.
    pub lineage: Lineage,
}

/// A record of the stream that is to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequencedAttempt {
    /// Its number.
    pub number: SequenceNumber,
    /// The attempt.
    pub attempt: CountedAttempt,
}

/// The counts of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourlyCounts {
    /// The beginning of the hour.
    pub hour: OffsetDateTime,
    /// The counts.
    pub counts: AttemptCounts,
}

/// What an item of the Exchanges table, of which these are the keys and the content, counts as, and where. `None` if it is
/// no attempt.
///
/// # Errors
/// When the content can't be read.
pub fn counted(
    partition: &str,
    exchange_id: &str,
    content: &[u8],
) -> Result<Option<(HourKey, CountedAttempt)>, StoreError> {
    let (id, shard) = partition.split_once('#').unwrap_or((partition, "0"));
    let Some((range @ ("a" | "r"), rest)) = exchange_id.split_once('#') else {
        return Ok(None);
    };
    let Some(at) = rest.split('#').next().and_then(timestamp::parse) else {
        return Ok(None);
    };
    let content = Content::of_bytes(content)?;
    // The key of a first attempt has the time of the acceptance.
    let after = i64::try_from(content.sent_after_us.unwrap_or(0)).unwrap_or(0);
    let key = HourKey {
        subscription_id: SubscriptionId::new(id),
        hour: hour_of(at.saturating_add(Duration::microseconds(after))),
        lineage: Lineage(format!("{range}{shard}")),
    };
    let delivered = content
        .status
        .is_some_and(|status| (200..300).contains(&status));
    let attempt = CountedAttempt {
        delivered,
        retried: content.failures > 0 && !content.resend,
        latency_ms: content.status.map(|_| content.duration_ms),
    };
    Ok(Some((key, attempt)))
}

/// The beginning of the hour of a time, in ISO 8601.
fn hour_of(at: OffsetDateTime) -> String {
    let seconds = at.unix_timestamp();
    let begins = OffsetDateTime::from_unix_timestamp(seconds - seconds.rem_euclid(3600));
    timestamp::iso(begins.unwrap_or(at))
}

/// The Counts table.
#[derive(Clone, Debug)]
pub struct Counts {
    db: DynamoDb,
    table: String,
}

impl Counts {
    /// `table` is the table's name.
    pub fn new(db: DynamoDb, table: String) -> Self {
        Self { db, table }
    }

    /// Counts the records of a batch that belong to one hour, each once however often it comes. They are in the order of
    /// their numbers.
    ///
    /// # Errors
    /// When DynamoDB fails. They may have been counted: to count them again changes nothing.
    pub async fn add(
        &self,
        key: &HourKey,
        mut records: Vec<SequencedAttempt>,
    ) -> Result<(), StoreError> {
        let seen = key.lineage.attribute();
        for _ in 0..ATTEMPTS {
            let (Some(first), Some(last)) = (records.first(), records.last()) else {
                return Ok(());
            };
            let mut counts = AttemptCounts::default();
            for record in &records {
                counts.count(record.attempt);
            }
            let added = attributes(&counts);
            let expression: Vec<String> =
                added.keys().map(|name| format!("{name} :{name}")).collect();
            let values = added.into_iter().map(|(name, count)| {
                let count = AttributeValue::N(count.to_string());
                (format!(":{name}"), count)
            });
            let update = self
                .db
                .update_item()
                .table_name(&self.table)
                .set_key(Some(self.key(key)))
                .update_expression(format!(
                    "ADD {} SET {seen} = :last, expires_at = :expires",
                    expression.join(", ")
                ))
                .condition_expression(format!("attribute_not_exists({seen}) OR {seen} < :first"))
                .set_expression_attribute_values(Some(values.collect()))
                .expression_attribute_values(":first", AttributeValue::S(first.number.0.clone()))
                .expression_attribute_values(":last", AttributeValue::S(last.number.0.clone()))
                .expression_attribute_values(":expires", expires(&key.hour))
                .return_values_on_condition_check_failure(OnRefusal::AllOld);
            let Err(Refused(there)) = conditional(update).await? else {
                return Ok(());
            };
            // Some of them were counted before, in a batch that was cut off or ended elsewhere.
            let counted = there.and_then(|mut item| item.remove(&seen));
            let Some(AttributeValue::S(counted)) = counted else {
                return Err(StoreError::Conflict);
            };
            records.retain(|record| record.number.0 > counted);
        }
        Err(StoreError::Conflict)
    }

    /// The counts of a subscription from the hour of `start` to that of `end`, oldest first; hours without attempts are
    /// left out.
    pub async fn between(
        &self,
        subscription_id: &SubscriptionId,
        start: OffsetDateTime,
        end: OffsetDateTime,
    ) -> Result<Vec<HourlyCounts>, StoreError> {
        let mut items = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression("subscription_id = :id AND #hour BETWEEN :from AND :to")
            // A reserved word.
            .expression_attribute_names("#hour", "hour")
            .expression_attribute_values(":id", AttributeValue::S(subscription_id.to_string()))
            .expression_attribute_values(":from", AttributeValue::S(hour_of(start)))
            .expression_attribute_values(":to", AttributeValue::S(timestamp::iso(end)))
            .into_paginator()
            .items()
            .send();
        let mut hours = Vec::new();
        while let Some(item) = items.next().await {
            hours.extend(read(&item?));
        }
        Ok(hours)
    }

    /// Removes what was counted of a subscription, as long as there is time. Idempotent.
    pub async fn remove_all(&self, subscription_id: &SubscriptionId) -> Result<Steps, StoreError> {
        let keys = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression("subscription_id = :id")
            .expression_attribute_values(":id", AttributeValue::S(subscription_id.to_string()))
            .expression_attribute_names("#hour", "hour")
            .projection_expression("subscription_id, #hour");
        remove_all(&self.db, &self.table, keys).await
    }

    fn key(&self, key: &HourKey) -> Item {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        HashMap::from([
            (
                "subscription_id".to_owned(),
                text(key.subscription_id.as_str()),
            ),
            ("hour".to_owned(), text(&key.hour)),
        ])
    }
}

/// The counts that are not zero, by the names of their attributes: `l0` to `l10` for the buckets of latency.
fn attributes(counts: &AttemptCounts) -> BTreeMap<String, u64> {
    let named = NAMES.map(str::to_owned).into_iter();
    let named = named.zip([counts.delivered, counts.failed, counts.retried]);
    let latency = counts.latency.iter().enumerate();
    let latency = latency.map(|(bucket, count)| (format!("l{bucket}"), *count));
    named
        .chain(latency)
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// What an item says; `None` if it has no hour.
fn read(item: &Item) -> Option<HourlyCounts> {
    let hour = timestamp::parse(item.get("hour")?.as_s().ok()?)?;
    let number = |name: &str| -> u64 {
        let number = item.get(name).and_then(|value| value.as_n().ok());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    let mut counts = AttemptCounts {
        delivered: number("delivered"),
        failed: number("failed"),
        retried: number("retried"),
        ..AttemptCounts::default()
    };
    for (bucket, count) in counts.latency.iter_mut().enumerate() {
        *count = number(&format!("l{bucket}"));
    }
    Some(HourlyCounts { hour, counts })
}

/// When the counts of an hour expire, in seconds since 1970.
fn expires(hour: &str) -> AttributeValue {
    let hour = timestamp::parse(hour).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    AttributeValue::N((hour + KEPT).unix_timestamp().to_string())
}
