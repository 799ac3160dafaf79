//! Topics by their names: the items of the Topics table that hold them.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use bellwire_domain::digest::sha256_hex;
use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::{Topic, TopicReference};
use time::OffsetDateTime;

use crate::conditional::conditional;
use crate::topics::Found;
use crate::{StoreError, Topics};

impl Topics {
    /// The topic that an id or a name refers to, with consistent reads: one for an id, two for a name.
    pub async fn find(&self, reference: &TopicReference) -> Result<Found, StoreError> {
        match self.id_of(reference).await? {
            Some(id) => self.get(&id).await,
            None => Ok(Found::Unknown),
        }
    }

    /// The id that an id or a name refers to; `None` if no topic has the name. An id is not looked up, a name with a
    /// consistent read.
    pub async fn id_of(&self, reference: &TopicReference) -> Result<Option<TopicId>, StoreError> {
        if let TopicReference::Id(id) = reference {
            return Ok(Some(id.clone()));
        }
        let Some(name) = reference.possible_name() else {
            return Ok(None);
        };
        let request = self.db.get_item().table_name(&self.table);
        let request = request.key("topic_id", name_key(name));
        let answer = request.consistent_read(true).send().await?;
        let named = answer.item.and_then(|mut item| item.remove("named"));
        Ok(match named {
            Some(AttributeValue::S(id)) => Some(TopicId::new(id)),
            _ => None,
        })
    }

    /// Frees a deleted topic's name, if it still has it. Idempotent.
    pub async fn free_name(&self, id: &TopicId, name: &str) -> Result<(), StoreError> {
        let delete = self
            .db
            .delete_item()
            .table_name(&self.table)
            .key("topic_id", name_key(name))
            .condition_expression("named = :id")
            .expression_attribute_values(":id", AttributeValue::S(id.to_string()));
        conditional(delete).await?.ok();
        Ok(())
    }

    pub(crate) fn take_name(&self, topic: &Topic) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .item("topic_id", name_key(&topic.name))
            .item("named", AttributeValue::S(topic.id.to_string()))
            .condition_expression("attribute_not_exists(topic_id)")
            .build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    pub(crate) fn give_name_up(&self, topic: &Topic) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .key("topic_id", name_key(&topic.name))
            .condition_expression("named = :id")
            .expression_attribute_values(":id", AttributeValue::S(topic.id.to_string()))
            .build()?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Lets a topic that is deleted keep its name until then, at the latest.
    pub(crate) fn keep_name_until(
        &self,
        topic: &Topic,
        until: OffsetDateTime,
    ) -> Result<TransactWriteItem, StoreError> {
        let until = AttributeValue::N(until.unix_timestamp().to_string());
        let update = Update::builder()
            .table_name(&self.table)
            .key("topic_id", name_key(&topic.name))
            .update_expression("SET expires_at = :until")
            .condition_expression("named = :id")
            .expression_attribute_values(":until", until)
            .expression_attribute_values(":id", AttributeValue::S(topic.id.to_string()))
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

fn name_key(name: &str) -> AttributeValue {
    AttributeValue::S(format!("name#{}", sha256_hex(name)))
}
