//! Changes of a client's item: its name and labels, whether it is disabled, and the beginning and the end of its
//! deletion. What follows from them for what belongs to the client is no part of this crate.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::client::{DisplayName, Labels};
use bellwire_domain::timestamp;
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;
use time::OffsetDateTime;

use crate::conditional::conditional;
use crate::{Client, Clients, StoreError};

/// What is changed of a client; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientChange {
    /// Its name.
    pub name: Option<DisplayName>,
    /// All of its labels.
    pub labels: Option<Labels>,
    /// Whether it is disabled.
    pub disabled: Option<bool>,
}

impl ClientChange {
    /// Whether it changes nothing, whatever the client is like.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Clients {
    /// Changes a client that was read as `known`; one that is disabled already stays so since the first time. Disabling
    /// ends its sessions for good. `None` if there is none any more, or it is being deleted.
    pub async fn change(
        &self,
        known: &Client,
        change: &ClientChange,
        now: OffsetDateTime,
    ) -> Result<Option<Client>, StoreError> {
        if change.is_empty() {
            let found = self.get(&known.client_id).await?;
            return Ok(found.filter(|client| client.deleting_since.is_none()));
        }
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        let mut update = self.db.update_item();
        if let Some(name) = &change.name {
            set.push("#name = :name");
            update = update
                .expression_attribute_names("#name", "name")
                .expression_attribute_values(":name", AttributeValue::S(name.as_str().to_owned()));
        }
        match &change.labels {
            Some(labels) if labels.is_empty() => remove.push("labels"),
            Some(labels) => {
                set.push("labels = :labels");
                update = update.expression_attribute_values(":labels", to_attribute_value(labels)?);
            }
            None => {}
        }
        match change.disabled {
            Some(true) => {
                set.push(
                    "disabled_at = if_not_exists(disabled_at, :now), sessions_ended_at = :now",
                );
                update = update
                    .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)));
            }
            Some(false) => remove.push("disabled_at"),
            None => {}
        }
        let mut expression = String::new();
        if !set.is_empty() {
            expression.push_str(&format!("SET {} ", set.join(", ")));
        }
        if !remove.is_empty() {
            expression.push_str(&format!("REMOVE {}", remove.join(", ")));
        }
        let update = update.update_expression(expression);
        let update = if_same_role(update, known, " AND attribute_not_exists(deleting_since)");
        self.update_if(&known.client_id, update).await
    }

    /// Records that a client is being deleted, so that it is disabled for good and can't be changed. Returns the client;
    /// `None` if there is none any more. Idempotent.
    pub async fn begin_deletion(
        &self,
        known: &Client,
        now: OffsetDateTime,
    ) -> Result<Option<Client>, StoreError> {
        let update = self
            .db
            .update_item()
            .update_expression(
                "SET deleting_since = if_not_exists(deleting_since, :now), \
                 disabled_at = if_not_exists(disabled_at, :now)",
            )
            .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)));
        let update = if_same_role(update, known, "");
        self.update_if(&known.client_id, update).await
    }

    /// Deletes a client whose deletion, which began as `known` says, is complete. One that was created again meanwhile
    /// stays. Idempotent.
    pub async fn end_deletion(&self, known: &Client) -> Result<(), StoreError> {
        let Some(since) = known.deleting_since else {
            return Ok(());
        };
        let delete = self
            .db
            .delete_item()
            .table_name(&self.table)
            .key("client_id", AttributeValue::S(known.client_id.to_string()))
            .condition_expression("deleting_since = :since")
            .expression_attribute_values(":since", AttributeValue::S(timestamp::iso(since)));
        conditional(delete).await?.ok();
        Ok(())
    }
}

/// The update, on the condition that there is such a client, and it is an operator exactly if `known` is: who may change
/// it was decided by that.
fn if_same_role(
    update: UpdateItemFluentBuilder,
    known: &Client,
    and: &str,
) -> UpdateItemFluentBuilder {
    // OPERATOR is a reserved word.
    // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
    let update = update.expression_attribute_names("#operator", "operator");
    let exists = if known.operator {
        "attribute_exists"
    } else {
        "attribute_not_exists"
    };
    update.condition_expression(format!(
        "attribute_exists(client_id) AND {exists}(#operator){and}"
    ))
}
