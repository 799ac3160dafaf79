//! Publishing to the clients' topics.

use aws_sdk_sns::Client as Sns;
use aws_sdk_sns::types::MessageAttributeValue;
use bellwire_rules::{ClientId, QueryState};
use bellwire_runtime::aws::Lazy;

use crate::{SnsError, TopicPrefix};

/// Who heard of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// SNS accepted it, for all of the client's subscriptions that want it.
    Topic,
    /// The client has no topic: it has never subscribed.
    Nobody,
}

/// Publishes to the clients' topics.
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

    /// Publishes to the client's topic, with the message attribute `status` that
    /// the subscriptions filter on.
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
