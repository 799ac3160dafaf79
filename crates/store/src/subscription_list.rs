//! Lists of a client's subscriptions, from the index `by-client` of the Subscriptions table.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::ids::TopicId;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, from_items};

use crate::subscription::{ENTITIES, Subscription};
use crate::{StoreError, Subscriptions};

/// The name of the index.
const BY_CLIENT: &str = "by-client";
/// No cursor is longer, in bytes.
const MAX_CURSOR_LENGTH: usize = 200;

/// A page of subscriptions, oldest first.
#[derive(Clone, Debug)]
pub struct SubscriptionPage {
    /// The subscriptions of the page.
    pub subscriptions: Vec<Subscription>,
    /// The cursor after the last one; `None` at the end of the list.
    pub next_cursor: Option<String>,
}

impl Subscriptions {
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

    /// The subscriptions of all clients whose endpoints fail or are disabled, in no order. It reads the whole table.
    pub async fn in_trouble(&self) -> Result<Vec<Subscription>, StoreError> {
        let mut items = self
            .db
            .scan()
            .table_name(&self.table)
            .filter_expression(
                "(attribute_exists(failing_since) OR attribute_exists(disabled)) \
                 AND attribute_not_exists(ended_at)",
            )
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while let Some(item) = items.next().await {
            found.push(from_item(item?)?);
        }
        Ok(found)
    }

    /// All of a client's subscriptions, to topics and to entities, from the index: those that were created within about a
    /// second may be missing.
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
