//! The Subscriptions table: which endpoint receives which events.
//!
//! Key `subscription_id`; index `by-client` on `client_id` and `listed` (the topic, or
//! `entity`, then the time), for the lists of the API. A subscription and its membership in a segment
//! ([`crate::members`]) are written in one transaction. The progress of a subscription to a document,
//! and its lease, are in the same item; [`crate::leases`] writes them.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValue, TransactWriteItem, Update};
use bellwire_domain::endpoint::signature::SigningSecrets;
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::timestamp;
use bellwire_runtime::deadline::Steps;
use serde::Serialize;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_attribute_value, to_item};
use time::OffsetDateTime;

use crate::StoreError;
use crate::answers::Together;
use crate::members::{Member, segment_key};
use crate::removal::remove_all;
use crate::subscription::Subscription;
use crate::topics::MAX_ID_LENGTH;
use crate::transaction::{Transacted, transact};
use crate::usage::{self, Exceeded, Limits, counts_of};

/// The number of writes that create a subscription: itself, its membership, and two counts.
const OWN_WRITES: usize = 4;
/// The condition that a subscription is counted as one of its client's, at the host of `:url`: it exists, and so
/// does its topic, and this is its URL.
pub(crate) const COUNTED: &str =
    "attribute_exists(subscription_id) AND attribute_not_exists(expires_at) AND webhook_url = :url";

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

/// The Subscriptions table, with the Members table.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    pub(crate) db: DynamoDb,
    pub(crate) table: String,
    pub(crate) members: String,
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
                created_at: Some(subscription.created_at),
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
        let written = transact(
            &self.db,
            writes.into_iter().chain(counts).chain(others).collect(),
        );
        match written.await {
            Ok(Transacted::Done) => Ok(Created::Done),
            Ok(Transacted::Refused { write, .. }) => Ok(match write {
                0 => Created::Exists,
                2 => Created::TooMany(Exceeded::OfClient),
                3 => Created::TooMany(Exceeded::AtHost),
                other => Created::Refused(other.saturating_sub(OWN_WRITES)),
            }),
            // The transaction may have succeeded, and its response been lost.
            Err(_) if self.get(&subscription.subscription_id).await?.is_some() => {
                Ok(Created::Exists)
            }
            Err(error) => Err(error),
        }
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

    /// Whether a client is counted as having subscriptions, with a consistent read: some may be missing in the index
    /// that lists them.
    pub async fn has_any(&self, client_id: &str) -> Result<bool, StoreError> {
        let mut counts = self
            .counts(client_id)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        while let Some(count) = counts.next().await {
            let count = count?;
            let number = count.get("subscriptions").and_then(|it| it.as_n().ok());
            let number: Option<i64> = number.and_then(|it| it.parse().ok());
            if number.is_some_and(|number| number > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes a client's counts, once all of its subscriptions are deleted.
    pub async fn forget_counts(&self, client_id: &str) -> Result<Steps, StoreError> {
        let counts = self.counts(client_id);
        let counts = counts.projection_expression("audience_segment, subscription_id");
        remove_all(&self.db, &self.members, counts).await
    }

    fn counts(&self, client_id: &str) -> QueryFluentBuilder {
        self.db
            .query()
            .table_name(&self.members)
            .key_condition_expression("audience_segment = :counts")
            .expression_attribute_values(":counts", AttributeValue::S(counts_of(client_id)))
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
        let written = transact(&self.db, std::iter::once(update).chain(other).collect());
        if let Transacted::Done = written.await? {
            return Ok(true);
        }
        // The same change may have been written before, and its response been lost.
        let found = self.get(&known.subscription_id).await?;
        Ok(found.is_some_and(|found| found.webhook().secrets == *secrets))
    }

    pub(crate) fn update(&self, id: &SubscriptionId) -> UpdateItemFluentBuilder {
        self.db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .return_values(ReturnValue::AllNew)
    }
}

pub(crate) fn key(id: &SubscriptionId) -> HashMap<String, AttributeValue> {
    HashMap::from([(
        "subscription_id".to_owned(),
        AttributeValue::S(id.to_string()),
    )])
}
