//! The Callbacks table: the URLs that clients registered for query notifications.
//!
//! Key `client_id` and `callback_id` (the SHA-256 of the URL, which may be longer than a key). SNS holds
//! the subscription itself; this table has what the client requested and the status of the
//! registration, and can be rebuilt from SNS. Items have no time to live: SNS may confirm a subscription
//! that is unconfirmed here, and whatever SNS may deliver must be on record. They are deleted when SNS is
//! found to have dropped its subscription: two days after the last request if nobody confirms.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnRefusal,
};
use bellwire_domain::digest::sha256_hex;
use bellwire_domain::timestamp::{self, iso_serde};
use bellwire_domain::{ClientId, Format, Secret, SecretHash, Statuses};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, from_items, to_attribute_value};
use time::OffsetDateTime;

use crate::StoreError;
use crate::conditional::conditional;

/// The status of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CallbackStatus {
    /// SNS has sent its token to the URL, and waits for it to be presented.
    PendingConfirmation,
    /// The token was presented: notifications are sent.
    Confirmed,
}

/// A client's registration of a URL for query notifications.
#[derive(Clone, Debug, Deserialize)]
pub struct Callback {
    /// The URL, in normal form.
    pub callback_url: String,
    /// The status of the registration.
    pub status: CallbackStatus,
    /// The outcomes of queries that the client is notified of.
    pub statuses: Statuses,
    /// How notifications are wrapped.
    pub format: Format,
    /// The ARN of the SNS subscription.
    pub subscription_arn: String,
    /// When the URL was first registered.
    #[serde(with = "iso_serde")]
    pub created_at: OffsetDateTime,
    /// When it was confirmed; missing before.
    #[serde(default, with = "iso_serde::option")]
    pub confirmed_at: Option<OffsetDateTime>,
    /// The hash of the token that confirmed it, so that the token may be presented again; missing if it
    /// isn't known.
    #[serde(default)]
    pub token_sha256: Option<SecretHash>,
}

impl Callback {
    /// What the client requested.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            callback_url: self.callback_url.clone(),
            statuses: self.statuses.clone(),
            format: self.format,
            subscription_arn: self.subscription_arn.clone(),
        }
    }

    /// Whether the URL is confirmed, so that notifications are sent.
    pub fn is_confirmed(&self) -> bool {
        self.status == CallbackStatus::Confirmed
    }
}

/// What a client requested, as SNS has it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The URL, in normal form.
    pub callback_url: String,
    /// The outcomes of queries that the client is notified of.
    pub statuses: Statuses,
    /// How notifications are wrapped.
    pub format: Format,
    /// The ARN of the SNS subscription.
    pub subscription_arn: String,
}

/// The Callbacks table.
#[derive(Clone, Debug)]
pub struct Callbacks {
    db: DynamoDb,
    table: String,
}

impl Callbacks {
    /// `table` is the table's name.
    pub fn new(db: DynamoDb, table: String) -> Self {
        Self { db, table }
    }

    /// A client's registration of this URL, with a consistent read.
    pub async fn get(
        &self,
        client_id: &ClientId,
        callback_url: &str,
    ) -> Result<Option<Callback>, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .key("client_id", AttributeValue::S(client_id.to_string()))
            .key("callback_id", callback_id(callback_url))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item.map(from_item).transpose()?)
    }

    /// All of a client's registrations, oldest first.
    pub async fn list(&self, client_id: &ClientId) -> Result<Vec<Callback>, StoreError> {
        let mut items = self
            .db
            .query()
            .table_name(&self.table)
            .key_condition_expression("client_id = :client")
            .expression_attribute_values(":client", AttributeValue::S(client_id.to_string()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while let Some(item) = items.next().await {
            found.push(item?);
        }
        let mut callbacks: Vec<Callback> = from_items(found)?;
        callbacks.sort_by_key(|callback| callback.created_at);
        Ok(callbacks)
    }

    /// Records that a URL waits for its confirmation, and what the client requested. Returns what is on
    /// record afterwards: a registration that is confirmed stays as it is.
    pub async fn record_pending(
        &self,
        client_id: &ClientId,
        wanted: &Wanted,
        now: OffsetDateTime,
    ) -> Result<Callback, StoreError> {
        let pending = to_attribute_value(CallbackStatus::PendingConfirmation)?;
        let answer = self
            .update(client_id, &wanted.callback_url)
            .update_expression(
                "SET callback_url = :url, #status = :status, statuses = :statuses, #format = :format, \
                 subscription_arn = :arn, created_at = if_not_exists(created_at, :now)",
            )
            .condition_expression("attribute_not_exists(#status) OR #status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#format", "format")
            .expression_attribute_values(":url", AttributeValue::S(wanted.callback_url.clone()))
            .expression_attribute_values(":status", pending)
            .expression_attribute_values(":statuses", to_attribute_value(&wanted.statuses)?)
            .expression_attribute_values(":format", to_attribute_value(wanted.format)?)
            .expression_attribute_values(":arn", AttributeValue::S(wanted.subscription_arn.clone()))
            .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)))
            .return_values_on_condition_check_failure(OnRefusal::AllOld)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(from_item(answer.attributes.unwrap_or_default())?),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(from_item(refused.item.clone().unwrap_or_default())?)
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Records that SNS has confirmed a URL. The options that are on record stay; a URL that isn't on
    /// record is added with those of `confirmed`.
    pub async fn record_confirmed(
        &self,
        client_id: &ClientId,
        confirmed: &Wanted,
        token: Option<&Secret>,
        now: OffsetDateTime,
    ) -> Result<Callback, StoreError> {
        let mut update = "SET callback_url = :url, #status = :status, subscription_arn = :arn, \
                          statuses = if_not_exists(statuses, :statuses), \
                          #format = if_not_exists(#format, :format), \
                          created_at = if_not_exists(created_at, :now), \
                          confirmed_at = if_not_exists(confirmed_at, :now)"
            .to_owned();
        let mut request = self.update(client_id, &confirmed.callback_url);
        if let Some(token) = token {
            update.push_str(", token_sha256 = :token");
            request = request.expression_attribute_values(
                ":token",
                AttributeValue::S(token.hash().as_str().to_owned()),
            );
        }
        let answer = request
            .update_expression(update)
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#format", "format")
            .expression_attribute_values(":url", AttributeValue::S(confirmed.callback_url.clone()))
            .expression_attribute_values(":status", to_attribute_value(CallbackStatus::Confirmed)?)
            .expression_attribute_values(":statuses", to_attribute_value(&confirmed.statuses)?)
            .expression_attribute_values(":format", to_attribute_value(confirmed.format)?)
            .expression_attribute_values(
                ":arn",
                AttributeValue::S(confirmed.subscription_arn.clone()),
            )
            .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)))
            .send()
            .await?;
        Ok(from_item(answer.attributes.unwrap_or_default())?)
    }

    /// Replaces the options of a registration: the outcomes that the client is notified of, and how
    /// notifications are wrapped.
    pub async fn record_options(
        &self,
        client_id: &ClientId,
        wanted: &Wanted,
    ) -> Result<(), StoreError> {
        self.update(client_id, &wanted.callback_url)
            .update_expression("SET statuses = :statuses, #format = :format")
            .condition_expression("attribute_exists(client_id)")
            .expression_attribute_names("#format", "format")
            .expression_attribute_values(":statuses", to_attribute_value(&wanted.statuses)?)
            .expression_attribute_values(":format", to_attribute_value(wanted.format)?)
            .send()
            .await?;
        Ok(())
    }

    /// Deletes a registration, unless the URL was registered anew, with another SNS subscription, since
    /// `known` was read. Idempotent.
    pub async fn remove(&self, client_id: &ClientId, known: &Callback) -> Result<(), StoreError> {
        let delete = self
            .db
            .delete_item()
            .table_name(&self.table)
            .key("client_id", AttributeValue::S(client_id.to_string()))
            .key("callback_id", callback_id(&known.callback_url))
            .condition_expression("subscription_arn = :arn")
            .expression_attribute_values(":arn", AttributeValue::S(known.subscription_arn.clone()));
        conditional(delete).await?.ok();
        Ok(())
    }

    fn update(&self, client_id: &ClientId, callback_url: &str) -> UpdateItemFluentBuilder {
        self.db
            .update_item()
            .table_name(&self.table)
            .key("client_id", AttributeValue::S(client_id.to_string()))
            .key("callback_id", callback_id(callback_url))
            .return_values(ReturnValue::AllNew)
    }
}

/// The sort key of a URL, its hash: a URL may have 2048 characters, a sort key only 1024 bytes.
fn callback_id(callback_url: &str) -> AttributeValue {
    AttributeValue::S(sha256_hex(callback_url))
}
