//! The Subscriptions table: which endpoint receives which events.
//!
//! Key `subscription_id`; index `by-client` on `client_id` and `listed` (the topic, or
//! `entity`, then the time), for the lists of the API. A subscription and its membership in a segment
//! ([`crate::members`]) are written in one transaction. The progress of a subscription to a document,
//! and its lease, are in the same item; [`crate::leases`] writes them.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValue, TransactWriteItem, Update,
};
use bellwire_rules::ids::{SubscriptionId, TopicId};
use bellwire_rules::retry::ON_ITS_WAY_DAYS;
use bellwire_rules::signature::SigningSecrets;
use bellwire_rules::timestamp;
use bellwire_runtime::backoff::Backoff;
use serde::Serialize;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, from_items, to_attribute_value, to_item};
use time::{Duration, OffsetDateTime};

use crate::StoreError;
use crate::answers::Together;
use crate::members::{Member, segment_key};
use crate::removal::remove_all;
use crate::subscription::{ENTITIES, Subscription};
use crate::topics::MAX_ID_LENGTH;
use crate::usage::{self, Exceeded, Limits, counts_of};

const BY_CLIENT: &str = "by-client";
/// The number of writes that create a subscription: itself, its membership, and two counts.
const OWN_WRITES: usize = 4;
/// The condition that a subscription is counted as one of its client's: it exists, and so does its topic.
const COUNTED: &str = "attribute_exists(subscription_id) AND attribute_not_exists(expires_at)";
/// No cursor is longer, in bytes.
const MAX_CURSOR_LENGTH: usize = 200;
/// How long the subscription to a deleted topic is kept, in days: as long as a delivery may be under way.
const ENDED_KEPT_DAYS: i64 = ON_ITS_WAY_DAYS as i64;

#[derive(Serialize)]
struct Item<'a> {
    #[serde(flatten)]
    subscription: &'a Subscription,
    listed: String,
}

#[derive(Serialize)]
struct MemberItem {
    audience_segment: String,
    #[serde(flatten)]
    member: Member,
}

/// The result of creating a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was created.
    Done,
    /// Nothing was written: there is one with the same id.
    Exists,
    /// Nothing was written: the client has reached this limit.
    TooMany(Exceeded),
    /// Nothing was written: the condition of one of the other writes doesn't hold; its index, from 0.
    Refused(usize),
}

/// A page of subscriptions, oldest first.
#[derive(Clone, Debug)]
pub struct SubscriptionPage {
    /// The subscriptions of the page.
    pub subscriptions: Vec<Subscription>,
    /// The cursor after the last one; `None` at the end of the list.
    pub next_cursor: Option<String>,
}

/// The Subscriptions table, with the Members table.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    db: DynamoDb,
    table: String,
    members: String,
}

impl Subscriptions {
    /// `table` and `members` are the tables' names.
    pub fn new(db: DynamoDb, table: String, members: String) -> Self {
        Self { db, table, members }
    }

    /// The name of the Subscriptions table.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Creates a subscription within the limits, in one transaction with other writes. From now on it
    /// receives events.
    pub async fn create(
        &self,
        subscription: &Subscription,
        limits: &Limits,
        others: Vec<Together>,
    ) -> Result<Created, StoreError> {
        let item = to_item(Item {
            subscription,
            listed: subscription.listed(),
        })?;
        let member = to_item(MemberItem {
            audience_segment: segment_key(&subscription.audience_id(), subscription.segment),
            member: Member {
                subscription_id: subscription.subscription_id.clone(),
                client_id: subscription.client_id.clone(),
            },
        })?;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(subscription_id)")
            .build()?;
        let member = Put::builder()
            .table_name(&self.members)
            .set_item(Some(member))
            .build()?;
        let writes = [put, member].map(|put| TransactWriteItem::builder().put(put).build());
        let counts = usage::one_more(&self.members, subscription, limits)?;
        let others = others.into_iter().map(|Together(write)| write);
        let written = self.transact(writes.into_iter().chain(counts).chain(others).collect());
        match written.await {
            Ok(Transacted::Done) => Ok(Created::Done),
            Ok(Transacted::Refused(0)) => Ok(Created::Exists),
            Ok(Transacted::Refused(2)) => Ok(Created::TooMany(Exceeded::OfClient)),
            Ok(Transacted::Refused(3)) => Ok(Created::TooMany(Exceeded::AtHost)),
            Ok(Transacted::Refused(write)) => {
                Ok(Created::Refused(write.saturating_sub(OWN_WRITES)))
            }
            // The transaction may have succeeded, and its response been lost.
            Err(_) if self.get(&subscription.subscription_id).await?.is_some() => {
                Ok(Created::Exists)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends the subscription to a deleted topic: removes its membership now, and the subscription in 30
    /// days. It receives nothing new, and deliveries that are under way are completed. Idempotent.
    pub async fn expire(
        &self,
        subscription: &Subscription,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let id = &subscription.subscription_id;
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .update_expression("SET expires_at = :at")
            .condition_expression(COUNTED)
            .expression_attribute_values(
                ":at",
                AttributeValue::N(
                    (now + Duration::days(ENDED_KEPT_DAYS))
                        .unix_timestamp()
                        .to_string(),
                ),
            )
            .build()?;
        let update = TransactWriteItem::builder().update(update).build();
        let member = delete(&self.members, member_key(subscription))?;
        let counts = usage::one_less(&self.members, subscription)?;
        // If a condition doesn't hold, this was done before, or the owner has deleted the subscription.
        let writes = [update, member].into_iter().chain(counts).collect();
        self.transact(writes).await.map(drop)
    }

    /// The subscription with this id, with a consistent read; `None` as well if it has expired.
    pub async fn get(&self, id: &SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        if id.as_str().len() > MAX_ID_LENGTH {
            return Ok(None);
        }
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .consistent_read(true)
            .send()
            .await?;
        let now = OffsetDateTime::now_utc();
        let item = answer.item.filter(|item| Self::is_there(item, now));
        Ok(item.map(from_item).transpose()?)
    }

    /// Whether an item has not expired: DynamoDB may remove one days after its expiry.
    pub(crate) fn is_there(item: &HashMap<String, AttributeValue>, now: OffsetDateTime) -> bool {
        let at = item.get("expires_at").and_then(|at| at.as_n().ok());
        let at = at.and_then(|at| at.parse::<i64>().ok());
        at.is_none_or(|at| at > now.unix_timestamp())
    }

    /// All of a client's subscriptions to a topic, oldest first.
    pub async fn list(
        &self,
        client_id: &str,
        topic_id: &TopicId,
    ) -> Result<Vec<Subscription>, StoreError> {
        let query = self
            .db
            .query()
            .table_name(&self.table)
            .index_name(BY_CLIENT)
            .key_condition_expression("client_id = :client AND begins_with(listed, :topic)")
            .expression_attribute_values(":client", AttributeValue::S(client_id.to_owned()))
            .expression_attribute_values(":topic", AttributeValue::S(format!("{topic_id}#")));
        all(query).await
    }

    /// A page of a client's subscriptions to entities, oldest first: at most `limit` of them, after the
    /// cursor `after`.
    pub async fn list_entities(
        &self,
        client_id: &str,
        after: Option<String>,
        limit: i32,
    ) -> Result<SubscriptionPage, StoreError> {
        // The first text after `after`, and the first after every cursor.
        let from = after.map_or_else(|| ENTITIES.to_owned(), |after| after + "\0");
        let to = ENTITIES.replace('#', "$");
        let answer = self
            .db
            .query()
            .table_name(&self.table)
            .index_name(BY_CLIENT)
            .key_condition_expression("client_id = :client AND listed BETWEEN :from AND :to")
            .expression_attribute_values(":client", AttributeValue::S(client_id.to_owned()))
            .expression_attribute_values(":from", AttributeValue::S(from))
            .expression_attribute_values(":to", AttributeValue::S(to))
            .limit(limit)
            .send()
            .await?;
        let subscriptions: Vec<Subscription> = from_items(answer.items.unwrap_or_default())?;
        let next_cursor = answer
            .last_evaluated_key
            .and(subscriptions.last())
            .map(Subscription::listed);
        Ok(SubscriptionPage {
            subscriptions,
            next_cursor,
        })
    }

    /// Whether a text may be a cursor of [`Self::list_entities`].
    pub fn is_cursor(text: &str) -> bool {
        text.len() <= MAX_CURSOR_LENGTH && text.starts_with(ENTITIES)
    }

    /// Deletes a subscription; from now on it receives nothing. Idempotent.
    pub async fn delete(&self, subscription: &Subscription) -> Result<(), StoreError> {
        let id = &subscription.subscription_id;
        let counted = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .condition_expression(COUNTED)
            .build()?;
        let counted = TransactWriteItem::builder().delete(counted).build();
        let member = delete(&self.members, member_key(subscription))?;
        let counts = usage::one_less(&self.members, subscription)?;
        let writes = [counted, member.clone()].into_iter().chain(counts);
        match self.transact(writes.collect()).await? {
            Transacted::Done => Ok(()),
            Transacted::Refused(_) => {
                let writes = vec![delete(&self.table, key(id))?, member];
                self.transact(writes).await.map(drop)
            }
        }
    }

    /// Deletes a client's counts, once all of its subscriptions are deleted.
    pub async fn forget_counts(&self, client_id: &str) -> Result<(), StoreError> {
        let counts = self
            .db
            .query()
            .table_name(&self.members)
            .key_condition_expression("audience_segment = :counts")
            .expression_attribute_values(":counts", AttributeValue::S(counts_of(client_id)))
            .projection_expression("audience_segment, subscription_id");
        remove_all(&self.db, &self.members, counts).await
    }

    /// Replaces a subscription's signing secrets, in one transaction with another write. `false` if it is
    /// deleted, its secrets were changed since `known` was read, or the other write's condition doesn't
    /// hold.
    pub async fn rotate(
        &self,
        known: &Subscription,
        secrets: &SigningSecrets,
        now: OffsetDateTime,
        other: Option<Together>,
    ) -> Result<bool, StoreError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(&known.subscription_id)))
            .update_expression("SET secrets = :secrets, updated_at = :now")
            .condition_expression("secrets = :known")
            .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)))
            .expression_attribute_values(":secrets", to_attribute_value(secrets)?)
            .expression_attribute_values(":known", to_attribute_value(&known.webhook().secrets)?)
            .build()?;
        let update = TransactWriteItem::builder().update(update).build();
        let other = other.map(|Together(write)| write);
        let written = self.transact(std::iter::once(update).chain(other).collect());
        if let Transacted::Done = written.await? {
            return Ok(true);
        }
        // The same change may have been written before, and its response been lost.
        let found = self.get(&known.subscription_id).await?;
        Ok(found.is_some_and(|found| found.webhook().secrets == *secrets))
    }

    /// All of a client's subscriptions, to topics and to entities: for the operator, not for a request of
    /// the API.
    pub async fn of_client(&self, client_id: &str) -> Result<Vec<Subscription>, StoreError> {
        let query = self
            .db
            .query()
            .table_name(&self.table)
            .index_name(BY_CLIENT)
            .key_condition_expression("client_id = :client")
            .expression_attribute_values(":client", AttributeValue::S(client_id.to_owned()));
        all(query).await
    }

    pub(crate) fn update(&self, id: &SubscriptionId) -> UpdateItemFluentBuilder {
        self.db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .return_values(ReturnValue::AllNew)
    }

    /// Writes all or nothing. Of two concurrent transactions on one item DynamoDB cancels one, and the SDK
    /// doesn't retry it: it is repeated here, with pauses.
    async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<Transacted, StoreError> {
        let mut backoff = Backoff::new();
        loop {
            let request = self.db.transact_write_items();
            let answer = request
                .set_transact_items(Some(writes.clone()))
                .send()
                .await;
            match answer {
                Ok(_) => return Ok(Transacted::Done),
                Err(error) if is_conflict(&error) && backoff.pause().await => {}
                Err(error) => {
                    return match refused(&error) {
                        Some(write) => Ok(Transacted::Refused(write)),
                        None => Err(error.into()),
                    };
                }
            }
        }
    }
}

/// The items of all pages of a query.
async fn all(query: QueryFluentBuilder) -> Result<Vec<Subscription>, StoreError> {
    let mut items = query.into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(item) = items.next().await {
        found.push(item?);
    }
    Ok(from_items(found)?)
}

/// The result of a transaction.
enum Transacted {
    Done,
    /// Nothing was written: the condition of the write with this index doesn't hold.
    Refused(usize),
}

/// The index of the first write whose condition doesn't hold; `None` if that is not why nothing was
/// written.
fn refused(error: &SdkError<TransactWriteItemsError>) -> Option<usize> {
    let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
        error.as_service_error()
    else {
        return None;
    };
    let mut reasons = canceled.cancellation_reasons().iter();
    reasons.position(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

/// Whether conflicts with other transactions are the only reason why nothing was written.
fn is_conflict(error: &SdkError<TransactWriteItemsError>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
        error.as_service_error()
    else {
        return false;
    };
    let codes = canceled.cancellation_reasons().iter();
    let mut codes = codes
        .filter_map(|reason| reason.code())
        .filter(|it| *it != "None");
    codes.all(|code| code == "TransactionConflict")
}

fn key(id: &SubscriptionId) -> HashMap<String, AttributeValue> {
    HashMap::from([(
        "subscription_id".to_owned(),
        AttributeValue::S(id.to_string()),
    )])
}

fn member_key(subscription: &Subscription) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (
            "audience_segment".to_owned(),
            AttributeValue::S(segment_key(
                &subscription.audience_id(),
                subscription.segment,
            )),
        ),
        (
            "subscription_id".to_owned(),
            AttributeValue::S(subscription.subscription_id.to_string()),
        ),
    ])
}

fn delete(
    table: &str,
    key: HashMap<String, AttributeValue>,
) -> Result<TransactWriteItem, StoreError> {
    let delete = Delete::builder()
        .table_name(table)
        .set_key(Some(key))
        .build()?;
    Ok(TransactWriteItem::builder().delete(delete).build())
}
