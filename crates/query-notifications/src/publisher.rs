//! Publishing notifications to the SNS topics of clients.

use aws_sdk_sns::Client as Sns;
use aws_sdk_sns::types::MessageAttributeValue;
use bellwire_domain::{ClientId, QueryState, Statuses};
use bellwire_runtime::aws::Lazy;

use crate::{SnsError, TopicPrefix};

/// Who receives a published notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The client's topic: SNS delivers to all subscriptions on it whose filter policy fits.
    Topic,
    /// Nobody: the client has no topic, because it has never subscribed.
    Nobody,
}

/// Publishes notifications to the SNS topics of clients.
#[derive(Clone, Debug)]
pub struct Publisher {
    sns: Lazy<Sns>,
    prefix: TopicPrefix,
}

impl Publisher {
    /// A publisher to the topics under this prefix.
    pub fn new(sns: Lazy<Sns>, prefix: TopicPrefix) -> Self {
        Self { sns, prefix }
    }

    /// Deletes the client's topic, with the subscriptions on it. Idempotent: SNS says nothing if there is none.
    /// <https://docs.aws.amazon.com/sns/latest/api/API_DeleteTopic.html>
    ///
    /// # Errors
    /// When SNS fails, or refuses.
    pub async fn delete_topic(&self, client_id: &ClientId) -> Result<(), SnsError> {
        let delete = self.sns.delete_topic();
        delete.topic_arn(self.prefix.arn(client_id)).send().await?;
        Ok(())
    }

    /// Publishes to the client's topic, with the message attribute `status` that the subscriptions'
    /// filter policies refer to.
    pub(crate) async fn publish(
        &self,
        client_id: &ClientId,
        status: QueryState,
        message: String,
    ) -> Result<Audience, SnsError> {
        let status = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(status.as_str())
            .build()?;
        self.send(client_id, status, message).await
    }

    /// Publishes to the client's topic what all confirmed URLs are to receive, whatever their statuses.
    ///
    /// Each element of an attribute of the type `String.Array` is matched by itself, and one that
    /// matches is enough. A filter policy of ours names at least one status, and the attribute has all
    /// of them.
    /// <https://docs.aws.amazon.com/sns/latest/dg/string-value-matching.html>
    ///
    /// # Errors
    /// When SNS fails, or refuses.
    pub async fn publish_to_all(
        &self,
        client_id: &ClientId,
        message: String,
    ) -> Result<Audience, SnsError> {
        let status = MessageAttributeValue::builder()
            .data_type("String.Array")
            .string_value(Statuses::all().to_json())
            .build()?;
        self.send(client_id, status, message).await
    }

    async fn send(
        &self,
        client_id: &ClientId,
        status: MessageAttributeValue,
        message: String,
    ) -> Result<Audience, SnsError> {
        let answer = self
            .sns
            .publish()
            .topic_arn(self.prefix.arn(client_id))
            .message(message)
            .message_attributes("status", status)
            .send()
            .await
            .map_err(SnsError::from);
        match answer {
            Ok(_) => Ok(Audience::Topic),
            Err(refused) if refused.is_not_found() => Ok(Audience::Nobody),
            Err(error) => Err(error),
        }
    }
}
