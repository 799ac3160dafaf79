//! SNS topics, one per client, and the subscriptions on them.
//!
//! A topic's ARN follows from its client's id, so that no table has to be read for it. The topic
//! itself is created when it is first needed: by the first `Subscribe` that doesn't find it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::str::FromStr;

use aws_sdk_sns::Client as Sns;
use bellwire_domain::{CallbackUrl, ClientId, Format, Secret, Statuses};
use bellwire_store::callbacks::Wanted;
use serde_json::json;

use crate::{SnsError, TopicPrefix};

/// The ARN of the SQS queue for notifications that SNS could not deliver.
#[derive(Clone, Debug)]
pub struct DeadLetterQueue(String);

impl FromStr for DeadLetterQueue {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// The ARN of the KMS key that topics are encrypted with; none when the text is empty.
#[derive(Clone, Debug)]
pub struct TopicKey(Option<String>);

impl FromStr for TopicKey {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self((!text.is_empty()).then(|| text.to_owned())))
    }
}

/// A subscription, as SNS has it on record.
#[derive(Clone, Debug)]
pub struct Subscribed {
    /// The endpoint: a URL in normal form.
    pub callback_url: String,
    /// The states that the filter policy lets through; `None` when Bellwire didn't write the
    /// policy.
    pub statuses: Option<Statuses>,
    /// How notifications are wrapped.
    pub format: Format,
    /// The ARN of the subscription.
    pub subscription_arn: String,
    /// Whether the subscription was confirmed, so that SNS delivers to it.
    pub confirmed: bool,
}

/// The SNS topics of clients.
#[derive(Clone, Debug)]
pub struct ClientTopics {
    sns: Sns,
    prefix: TopicPrefix,
    dead_letters: DeadLetterQueue,
    key: TopicKey,
}

impl ClientTopics {
    /// The topics under `prefix`, encrypted with `key`. What SNS can't deliver goes to
    /// `dead_letters`.
    pub fn new(
        sns: Sns,
        prefix: TopicPrefix,
        dead_letters: DeadLetterQueue,
        key: TopicKey,
    ) -> Self {
        Self {
            sns,
            prefix,
            dead_letters,
            key,
        }
    }

    /// Subscribes a URL to the client's topic; or, if it is subscribed but not confirmed, makes SNS
    /// send its token again. Returns the subscription's ARN.
    ///
    /// <https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html>
    pub async fn subscribe(
        &self,
        client_id: &ClientId,
        url: &CallbackUrl,
        statuses: &Statuses,
        format: Format,
    ) -> Result<String, SnsError> {
        let attributes = self.attributes(statuses, format);
        match self.send_subscribe(client_id, url, Some(&attributes)).await {
            Err(refused) if refused.is_not_found() => {
                self.create_topic(client_id).await?;
                self.send_subscribe(client_id, url, Some(&attributes)).await
            }
            // Without attributes, SNS accepts a subscription that exists. Its attributes are set
            // once it is confirmed.
            Err(refused) if refused.is_different_attributes() => {
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
        // SNS returns one, even while the subscription is pending: `ReturnSubscriptionArn`.
        // https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
        answer.subscription_arn.ok_or_else(SnsError::without_arn)
    }

    /// Creates the client's topic; creating it again changes nothing. Envelopes are signed with
    /// SHA-256 (version 2), not SHA-1.
    async fn create_topic(&self, client_id: &ClientId) -> Result<(), SnsError> {
        let mut request = self
            .sns
            .create_topic()
            .name(self.prefix.name(client_id))
            .attributes("SignatureVersion", "2");
        if let Some(key) = &self.key.0 {
            request = request.attributes("KmsMasterKeyId", key);
        }
        request.send().await?;
        Ok(())
    }

    /// Presents a token to SNS. Returns the ARN of the subscription that it confirms, or `None`
    /// when SNS doesn't know the token for this client.
    ///
    /// After that, only signed requests may unsubscribe, so that nobody can who sees an envelope.
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

    /// What SNS has on record of a subscription; `None` when it has no such subscription.
    pub async fn describe(&self, subscription_arn: &str) -> Result<Option<Subscribed>, SnsError> {
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
        Ok(Some(Subscribed {
            callback_url: attribute("Endpoint").to_owned(),
            statuses: Statuses::from_filter_policy(attribute("FilterPolicy")),
            format: match attribute("RawMessageDelivery") {
                "true" => Format::Raw,
                _ => Format::Envelope,
            },
            subscription_arn: subscription_arn.to_owned(),
            confirmed: attribute("PendingConfirmation") == "false",
        }))
    }

    /// The ARNs of the confirmed subscriptions on the client's topic, by their URLs.
    ///
    /// While SNS waits for a token, it gives `PendingConfirmation` instead of an ARN.
    /// <https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html>
    pub async fn confirmed(
        &self,
        client_id: &ClientId,
    ) -> Result<HashMap<String, String>, SnsError> {
        let mut subscriptions = self
            .sns
            .list_subscriptions_by_topic()
            .topic_arn(self.prefix.arn(client_id))
            .into_paginator()
            .items()
            .send();
        let mut arns = HashMap::new();
        while let Some(subscription) = subscriptions.next().await {
            match subscription.map_err(SnsError::from) {
                Ok(subscription) => {
                    let arn = subscription.subscription_arn;
                    let arn = arn.filter(|arn| arn.starts_with("arn:"));
                    arns.extend(subscription.endpoint.zip(arn));
                }
                Err(refused) if refused.is_not_found() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(arns)
    }

    /// Applies the options in `wanted` to a confirmed subscription. SNS takes up to 15 minutes to
    /// apply a filter policy everywhere.
    pub async fn apply(&self, wanted: &Wanted) -> Result<(), SnsError> {
        for (name, value) in self.attributes(&wanted.statuses, wanted.format) {
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

    /// The attributes that SNS is given for these options.
    ///
    /// <https://docs.aws.amazon.com/sns/latest/api/API_SetSubscriptionAttributes.html>
    fn attributes(&self, statuses: &Statuses, format: Format) -> HashMap<String, String> {
        let dead_letters = json!({ "deadLetterTargetArn": self.dead_letters.0 }).to_string();
        HashMap::from(
            [
                ("RawMessageDelivery", (format == Format::Raw).to_string()),
                ("FilterPolicy", statuses.filter_policy()),
                ("DeliveryPolicy", delivery_policy()),
                ("RedrivePolicy", dead_letters),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        )
    }

    /// Ends a subscription; ending it again changes nothing.
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
}

/// SNS's retries to an endpoint: three at once, fifteen at growing distances, two more at the
/// longest distance, some 51 minutes in all. SNS allows 60, and adds jitter. After the last retry
/// the notification goes to the dead-letter queue.
///
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>
fn delivery_policy() -> String {
    json!({
        "healthyRetryPolicy": {
            "numRetries": 20,
            "numNoDelayRetries": 3,
            "numMaxDelayRetries": 2,
            "minDelayTarget": 5,
            "maxDelayTarget": 560,
            "backoffFunction": "exponential"
        }
    })
    .to_string()
}
