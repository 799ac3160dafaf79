//! The Subscriptions table: which endpoint is to be told of what.
//!
//! Key `subscription_id`; index `by-client` on `client_id` and `listed` (the topic, then
//! the time), for the lists of the API. A subscription and its membership in a segment
//! ([`crate::members`]) are written in one transaction. How far a subscription to a
//! document has come is in the same item; [`crate::turns`] writes that, and here only
//! [`Subscriptions::enable`] puts it in doubt.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValue, TransactWriteItem, Update,
};
use bellwire_rules::authorization::Authorization;
use bellwire_rules::modes::SubscriptionMode;
use bellwire_rules::signature::SigningSecrets;
use bellwire_rules::timestamp::{self, iso_serde};
use bellwire_rules::webhook_headers::WebhookHeaders;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, from_items, to_attribute_value, to_item};
use time::{Duration, OffsetDateTime};

use crate::StoreError;
use crate::members::{Member, segment_key};
use crate::topics::MAX_ID_LENGTH;

const BY_CLIENT: &str = "by-client";
/// How long the subscription to a deleted topic stays: longer than a delivery is retried.
const ENDED_KEPT: Duration = Duration::days(7);

/// A subscription to a topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id, a UUID.
    pub subscription_id: String,
    /// Whose it is.
    pub client_id: String,
    /// The topic.
    pub topic_id: String,
    /// The segment of the topic's members that it is in.
    pub segment: u64,
    /// In which form it has the topic's publications.
    pub mode: SubscriptionMode,
    /// Where they are sent, in normal form.
    pub webhook_url: String,
    /// With which headers.
    #[serde(default)]
    pub webhook_headers: WebhookHeaders,
    /// With which access token, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// What they are signed with.
    pub secrets: SigningSecrets,
    /// When it was made.
    #[serde(with = "iso_serde")]
    pub created_at: OffsetDateTime,
    /// Why nothing is sent, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Whether its owner is still to be told that it was disabled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unannounced: bool,
    /// Since when every attempt has failed, if the last one did.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub failing_since: Option<OffsetDateTime>,
    /// How far it has come, if it is to a document.
    #[serde(flatten)]
    pub progress: Progress,
}

/// How far a subscription to a document has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The newest version that is known to be wanted; 0 before the first.
    #[serde(default)]
    pub wanted: u64,
    /// The version that the endpoint acknowledged last; 0 before the first.
    #[serde(default)]
    pub acknowledged: u64,
    /// Whether the endpoint may have something else than the acknowledged version.
    #[serde(default)]
    pub in_doubt: bool,
    /// How often a snapshot was asked for, whatever the endpoint has.
    #[serde(default)]
    pub snapshots_asked: u64,
    /// The message whose turn it is to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<String>,
    /// Until when, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_until: Option<u64>,
    /// How many attempts have failed in a row.
    #[serde(default)]
    pub failures: usize,
    /// When it is to be tried again, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<u64>,
    /// The message that failed, and arranged for the retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_by: Option<String>,
}

/// That nothing is sent to an endpoint, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Why.
    pub reason: DisabledReason,
    /// Since when.
    #[serde(with = "iso_serde")]
    pub at: OffsetDateTime,
}

/// Why nothing is sent to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DisabledReason {
    /// Its owner wanted it so.
    Requested,
    /// Every attempt failed for days.
    Failing,
    /// It answered 410 Gone.
    Gone,
}

#[derive(Serialize)]
struct Item<'a> {
    #[serde(flatten)]
    subscription: &'a Subscription,
    listed: String,
}

#[derive(Serialize)]
struct MemberItem {
    topic_segment: String,
    #[serde(flatten)]
    member: Member,
}

/// The table, with the one of members.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    db: DynamoDb,
    table: String,
    members: String,
}

impl Subscriptions {
    /// The tables of these names.
    pub fn new(db: DynamoDb, table: String, members: String) -> Self {
        Self { db, table, members }
    }

    /// The name of the table.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Adds a subscription; from now on it is told.
    pub async fn create(&self, subscription: &Subscription) -> Result<(), StoreError> {
        let listed = format!(
            "{}#{}",
            subscription.topic_id,
            timestamp::iso(subscription.created_at)
        );
        let item = Item {
            subscription,
            listed,
        };
        let member = MemberItem {
            topic_segment: segment_key(&subscription.topic_id, subscription.segment),
            member: Member {
                subscription_id: subscription.subscription_id.clone(),
                client_id: subscription.client_id.clone(),
            },
        };
        let puts = [
            (&self.table, to_item(item)?),
            (&self.members, to_item(member)?),
        ];
        let mut writes = Vec::new();
        for (table, item) in puts {
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(item))
                .build()?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        self.transact(writes).await
    }

    /// Removes a subscription's membership now, and the subscription in a week: it is not
    /// told of anything new, and gets what is on its way. To do so again changes nothing.
    pub async fn expire(
        &self,
        subscription: &Subscription,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let id = &subscription.subscription_id;
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .update_expression("SET expires_at = if_not_exists(expires_at, :at)")
            .condition_expression("attribute_exists(subscription_id)")
            .expression_attribute_values(
                ":at",
                AttributeValue::N((now + ENDED_KEPT).unix_timestamp().to_string()),
            )
            .build()?;
        let update = TransactWriteItem::builder().update(update).build();
        let member = delete(&self.members, member_key(subscription))?;
        let answer = self
            .db
            .transact_write_items()
            .transact_items(update)
            .transact_items(member)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            // Its owner has deleted it.
            Err(_) if self.get(id).await?.is_none() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The subscription of this id.
    pub async fn get(&self, id: &str) -> Result<Option<Subscription>, StoreError> {
        if id.len() > MAX_ID_LENGTH {
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
        Ok(answer.item.map(from_item).transpose()?)
    }

    /// A client's subscriptions to a topic, oldest first.
    pub async fn list(
        &self,
        client_id: &str,
        topic_id: &str,
    ) -> Result<Vec<Subscription>, StoreError> {
        let mut items = self
            .db
            .query()
            .table_name(&self.table)
            .index_name(BY_CLIENT)
            .key_condition_expression("client_id = :client AND begins_with(listed, :topic)")
            .expression_attribute_values(":client", AttributeValue::S(client_id.to_owned()))
            .expression_attribute_values(":topic", AttributeValue::S(format!("{topic_id}#")))
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while let Some(item) = items.next().await {
            found.push(item?);
        }
        Ok(from_items(found)?)
    }

    /// Removes a subscription; from now on it is not told. To do so again changes nothing.
    pub async fn delete(&self, subscription: &Subscription) -> Result<(), StoreError> {
        let writes = vec![
            delete(&self.table, key(&subscription.subscription_id))?,
            delete(&self.members, member_key(subscription))?,
        ];
        self.transact(writes).await
    }

    /// Gives a subscription other secrets; `None` when it is gone.
    pub async fn rotate(
        &self,
        known: &Subscription,
        secrets: &SigningSecrets,
    ) -> Result<Option<Subscription>, StoreError> {
        let update = self
            .update(&known.subscription_id)
            .update_expression("SET secrets = :secrets")
            .condition_expression("secrets = :known")
            .expression_attribute_values(":secrets", to_attribute_value(secrets)?)
            .expression_attribute_values(":known", to_attribute_value(&known.secrets)?);
        if let Some(rotated) = changed(update).await? {
            return Ok(Some(rotated));
        }
        // It may have been this very change, whose answer got lost.
        let found = self.get(&known.subscription_id).await?;
        Ok(found.filter(|found| found.secrets == *secrets))
    }

    /// Sends no more to an endpoint. One that is disabled already stays as it is: `None`,
    /// as when it is gone.
    pub async fn disable(
        &self,
        id: &str,
        disabled: &Disabled,
    ) -> Result<Option<Subscription>, StoreError> {
        let by_owner = disabled.reason == DisabledReason::Requested;
        let update = self
            .update(id)
            .update_expression("SET disabled = :disabled, unannounced = :unannounced")
            .condition_expression(
                "attribute_exists(subscription_id) AND attribute_not_exists(disabled)",
            )
            .expression_attribute_values(":disabled", to_attribute_value(disabled)?)
            .expression_attribute_values(":unannounced", AttributeValue::Bool(!by_owner));
        changed(update).await
    }

    /// Notes that the owner was told that the endpoint was disabled.
    pub async fn note_announced(&self, id: &str) -> Result<(), StoreError> {
        let update = self
            .update(id)
            .update_expression("REMOVE unannounced")
            .condition_expression("attribute_exists(subscription_id)");
        changed(update).await.map(drop)
    }

    /// Sends to an endpoint again, as if nothing had ever failed; `None` when it is gone.
    /// What it has is in doubt, so a document goes on with a snapshot.
    pub async fn enable(&self, id: &str) -> Result<Option<Subscription>, StoreError> {
        let update = self
            .update(id)
            .update_expression(
                "SET in_doubt = :true, failures = :none \
                 REMOVE disabled, unannounced, failing_since, retry_at, retry_by \
                 ADD snapshots_asked :one",
            )
            .condition_expression("attribute_exists(subscription_id)")
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":none", AttributeValue::N("0".to_owned()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        changed(update).await
    }

    /// Notes that an attempt failed. Returns the subscription, with the time since when
    /// every attempt has; `None` when it is gone.
    pub async fn note_failure(
        &self,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<Option<Subscription>, StoreError> {
        let update = self
            .update(id)
            .update_expression("SET failing_since = if_not_exists(failing_since, :now)")
            .condition_expression("attribute_exists(subscription_id)")
            .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)));
        changed(update).await
    }

    /// Notes that an attempt succeeded after one that failed.
    pub async fn note_success(&self, id: &str) -> Result<(), StoreError> {
        let update = self
            .update(id)
            .update_expression("REMOVE failing_since")
            .condition_expression("attribute_exists(subscription_id)");
        changed(update).await.map(drop)
    }

    pub(crate) fn update(&self, id: &str) -> UpdateItemFluentBuilder {
        self.db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .return_values(ReturnValue::AllNew)
    }

    async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<(), StoreError> {
        self.db
            .transact_write_items()
            .set_transact_items(Some(writes))
            .send()
            .await?;
        Ok(())
    }
}

/// Carries out an update; `None` when its condition doesn't hold.
async fn changed(update: UpdateItemFluentBuilder) -> Result<Option<Subscription>, StoreError> {
    match update.send().await {
        Ok(answer) => Ok(answer.attributes.map(from_item).transpose()?),
        Err(error) => match error.as_service_error() {
            Some(refused) if refused.is_conditional_check_failed_exception() => Ok(None),
            _ => Err(error.into()),
        },
    }
}

fn key(id: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([(
        "subscription_id".to_owned(),
        AttributeValue::S(id.to_owned()),
    )])
}

fn member_key(subscription: &Subscription) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (
            "topic_segment".to_owned(),
            AttributeValue::S(segment_key(&subscription.topic_id, subscription.segment)),
        ),
        (
            "subscription_id".to_owned(),
            AttributeValue::S(subscription.subscription_id.clone()),
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
