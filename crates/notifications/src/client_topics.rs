//! The SNS topics, one per client, and the subscriptions on them.
//!
//! A topic's ARN follows from its client's id, so nothing has to be looked up.
//! The topic itself is made when it is first needed: by the first `Subscribe`
//! that finds none.

use std::collections::HashMap;
use std::convert::Infallible;
use std::str::FromStr;

use aws_sdk_sns::Client as Sns;
use bellwire_rules::{CallbackUrl, ClientId, Format, Secret, Statuses};
use bellwire_store::callbacks::Wanted;
use serde_json::json;

use crate::SnsError;

/// What all topic ARNs of a stack begin with:
/// `arn:aws:sns:eu-west-1:123456789012:bellwire-`.
#[derive(Clone, Debug)]
pub struct TopicPrefix(String);

impl TopicPrefix {
    fn arn(&self, client_id: &ClientId) -> String {
        format!("{}{client_id}", self.0)
    }

    fn name(&self, client_id: &ClientId) -> String {
        let prefix = self.0.rsplit(':').next().unwrap_or_default();
        format!("{prefix}{client_id}")
    }
}

impl FromStr for TopicPrefix {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// The ARN of the SQS queue for notifications that SNS gave up on.
#[derive(Clone, Debug)]
pub struct DeadLetterQueue(String);

impl FromStr for DeadLetterQueue {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// Whether SNS has its token back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Not yet; notifications are not sent.
    Awaited,
    /// Yes; notifications are sent.
    Given,
}

/// The clients' topics.
#[derive(Clone, Debug)]
pub struct ClientTopics {
    sns: Sns,
    prefix: TopicPrefix,
}

impl ClientTopics {
    /// The topics under this prefix.
    pub fn new(sns: Sns, prefix: TopicPrefix) -> Self {
        Self { sns, prefix }
    }

    /// Subscribes a URL to the client's topic, or, if it is subscribed and
    /// unconfirmed, has SNS send its token again. Returns the subscription's ARN.
    ///
    /// <https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html>
    pub async fn subscribe(
        &self,
        client_id: &ClientId,
        url: &CallbackUrl,
        statuses: &Statuses,
        format: Format,
        dead_letters: &DeadLetterQueue,
    ) -> Result<String, SnsError> {
        let attributes = HashMap::from([
            ("RawMessageDelivery".to_owned(), raw_delivery(format)),
            ("FilterPolicy".to_owned(), statuses.filter_policy()),
            ("DeliveryPolicy".to_owned(), delivery_policy()),
            (
                "RedrivePolicy".to_owned(),
                json!({ "deadLetterTargetArn": dead_letters.0 }).to_string(),
            ),
        ]);
        match self.send_subscribe(client_id, url, Some(&attributes)).await {
            Err(refused) if refused.is_not_found() => {
                self.create_topic(client_id).await?;
                self.send_subscribe(client_id, url, Some(&attributes)).await
            }
            // The subscription exists with other attributes; without attributes
            // SNS takes it as it is. They are made to fit once it is confirmed.
            Err(refused) if refused.is_invalid_parameter() => {
                self.send_subscribe(client_id, url, None).await
            }
            other => other,
        }
    }

    async fn send_subscribe(
        &self,
        client_id: &ClientId,
        url: &CallbackUrl,
        attributes: Option<&HashMap<String, String>>,
    ) -> Result<String, SnsError> {
        let answer = self
            .sns
            .subscribe()
            .topic_arn(self.prefix.arn(client_id))
            .protocol(url.scheme())
            .endpoint(url.as_str())
            .set_attributes(attributes.cloned())
            .return_subscription_arn(true)
            .send()
            .await?;
        Ok(answer.subscription_arn.unwrap_or_default())
    }

    /// Makes the client's topic; making it again changes nothing. Envelopes are
    /// signed with SHA-256 (version 2), not SHA-1.
    async fn create_topic(&self, client_id: &ClientId) -> Result<(), SnsError> {
        self.sns
            .create_topic()
            .name(self.prefix.name(client_id))
            .attributes("SignatureVersion", "2")
            .send()
            .await?;
        Ok(())
    }

    /// Gives SNS a token back. Returns the ARN of the subscription that it
    /// confirms, or `None` when SNS doesn't know the token for this client.
    ///
    /// Only signed requests may unsubscribe afterwards, so that nobody who sees
    /// an envelope can.
    pub async fn confirm(
        &self,
        client_id: &ClientId,
        token: &Secret,
    ) -> Result<Option<String>, SnsError> {
        let answer = self
            .sns
            .confirm_subscription()
            .topic_arn(self.prefix.arn(client_id))
            .token(token.expose())
            .authenticate_on_unsubscribe("true")
            .send()
            .await
            .map_err(SnsError::from);
        match answer {
            Ok(answer) => Ok(answer.subscription_arn),
            Err(refused) if refused.is_invalid_parameter() || refused.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What SNS has on record of a subscription; `None` when it has nothing.
    pub async fn describe(
        &self,
        subscription_arn: &str,
    ) -> Result<Option<(Wanted, Confirmation)>, SnsError> {
        let answer = self
            .sns
            .get_subscription_attributes()
            .subscription_arn(subscription_arn)
            .send()
            .await
            .map_err(SnsError::from);
        let attributes = match answer {
            Ok(answer) => answer.attributes.unwrap_or_default(),
            Err(refused) if refused.is_not_found() || refused.is_invalid_parameter() => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let attribute = |name: &str| attributes.get(name).map(String::as_str).unwrap_or_default();
        let wanted = Wanted {
            callback_url: attribute("Endpoint").to_owned(),
            statuses: Statuses::from_filter_policy(attribute("FilterPolicy")).unwrap_or_default(),
            format: match attribute("RawMessageDelivery") {
                "true" => Format::Raw,
                _ => Format::Envelope,
            },
            subscription_arn: subscription_arn.to_owned(),
        };
        let confirmation = match attribute("PendingConfirmation") {
            "false" => Confirmation::Given,
            _ => Confirmation::Awaited,
        };
        Ok(Some((wanted, confirmation)))
    }

    /// Makes a confirmed subscription deliver what is wanted. SNS takes up to 15
    /// minutes to apply a filter policy everywhere.
    pub async fn apply(&self, wanted: &Wanted) -> Result<(), SnsError> {
        for (name, value) in [
            ("FilterPolicy", wanted.statuses.filter_policy()),
            ("RawMessageDelivery", raw_delivery(wanted.format)),
        ] {
            self.sns
                .set_subscription_attributes()
                .subscription_arn(&wanted.subscription_arn)
                .attribute_name(name)
                .attribute_value(value)
                .send()
                .await?;
        }
        Ok(())
    }

    /// Ends a subscription. Ending it again changes nothing.
    pub async fn unsubscribe(&self, subscription_arn: &str) -> Result<(), SnsError> {
        let answer = self
            .sns
            .unsubscribe()
            .subscription_arn(subscription_arn)
            .send()
            .await
            .map_err(SnsError::from);
        match answer {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Publishes to the client's topic. A client without a topic has never
    /// subscribed: nobody is to be told, and that is no failure.
    pub(crate) async fn publish(
        &self,
        client_id: &ClientId,
        status: &str,
        message: String,
    ) -> Result<(), SnsError> {
        let status = aws_sdk_sns::types::MessageAttributeValue::builder()
            .data_type("String")
            .string_value(status)
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
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

fn raw_delivery(format: Format) -> String {
    (format == Format::Raw).to_string()
}

/// SNS's retries to an endpoint: three at once, sixteen ever slower, two more at
/// the longest distance, about 56 minutes in all. SNS allows 60. After the last
/// the notification goes to the dead-letter queue.
///
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>
fn delivery_policy() -> String {
    json!({
        "healthyRetryPolicy": {
            "numRetries": 21,
            "numNoDelayRetries": 3,
            "maxDelayRetries": 2,
            "minDelayTarget": 5,
            "maxDelayTarget": 600,
            "backoffFunction": "exponential"
        },
        "requestPolicy": { "headerContentType": "text/plain; charset=UTF-8" }
    })
    .to_string()
}
