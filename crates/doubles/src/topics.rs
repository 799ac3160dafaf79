//! SNS: topics, subscriptions with their tokens, and what was published.

use std::collections::HashMap;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::aws::State;
use crate::client::{Call, xml};

/// A topic.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    /// Its subscriptions, by their ARNs.
    pub subscriptions: HashMap<String, Subscription>,
    /// The messages that were published to it.
    pub published: Vec<String>,
}

/// A subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The URL.
    pub endpoint: String,
    /// The token that was sent to the URL.
    pub token: String,
    /// Whether it was presented.
    pub confirmed: bool,
    /// The attributes that were set.
    pub attributes: HashMap<String, String>,
    /// The messages that were delivered to the URL.
    pub received: Vec<String>,
}

/// A form as JSON, with a text for each field.
pub fn form(body: &[u8]) -> Value {
    let fields = form_urlencoded::parse(body);
    let fields = fields.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// A refusal with a code.
pub fn refused(status: u16, code: &str, message: &str) -> HttpResponse {
    xml(
        status,
        &format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>r</RequestId></ErrorResponse>"
        ),
    )
}

fn answered(operation: &str, result: &str) -> HttpResponse {
    xml(
        200,
        &format!(
            "<{operation}Response xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><{operation}Result>{result}\
             </{operation}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{operation}Response>"
        ),
    )
}

/// Carries out a call.
pub fn carry_out(call: &Call, state: &State) -> HttpResponse {
    let field = |name: &str| call.body[name].as_str().unwrap_or_default().to_owned();
    let mut topics = state.topics.lock().unwrap();
    let operation = call.operation.as_str();
    if operation == "CreateTopic" {
        let arn = format!("arn:aws:sns:us-east-1:123456789012:{}", field("Name"));
        topics.entry(arn.clone()).or_default();
        return answered(operation, &format!("<TopicArn>{arn}</TopicArn>"));
    }
    // The ARN of a subscription is that of its topic, with an id behind it.
    let arn = [field("TopicArn"), field("SubscriptionArn")].concat();
    let topic_arn: String = arn.split(':').take(6).collect::<Vec<_>>().join(":");
    if operation == "DeleteTopic" {
        topics.remove(&topic_arn);
        return xml(200, "<DeleteTopicResponse/>");
    }
    let Some(topic) = topics.get_mut(&topic_arn) else {
        return refused(404, "NotFound", "Topic does not exist");
    };
    match operation {
        "Publish" => {
            topic.published.push(field("Message"));
            let statuses = statuses(&call.body);
            for subscription in topic.subscriptions.values_mut() {
                if subscription.confirmed && subscription.lets_through(&statuses) {
                    subscription.received.push(field("Message"));
                }
            }
            answered(
                operation,
                &format!("<MessageId>{}</MessageId>", Uuid::new_v4()),
            )
        }
        "Subscribe" => subscribe(topic, &topic_arn, &field("Endpoint"), &call.body),
        "ConfirmSubscription" => {
            let mut all = topic.subscriptions.iter_mut();
            let Some((arn, found)) = all.find(|(_, it)| it.token == field("Token")) else {
                return refused(400, "InvalidParameter", "Invalid token");
            };
            found.confirmed = true;
            answered(
                operation,
                &format!("<SubscriptionArn>{arn}</SubscriptionArn>"),
            )
        }
        "ListSubscriptionsByTopic" => {
            let members = topic.subscriptions.iter().map(|(arn, it)| {
                let arn = if it.confirmed { arn } else { "PendingConfirmation" };
                let endpoint = &it.endpoint;
                format!("<member><SubscriptionArn>{arn}</SubscriptionArn><Endpoint>{endpoint}</Endpoint></member>")
            });
            let members: String = members.collect();
            answered(
                operation,
                &format!("<Subscriptions>{members}</Subscriptions>"),
            )
        }
        "Unsubscribe" => {
            topic.subscriptions.remove(&arn);
            xml(200, "<UnsubscribeResponse/>")
        }
        _ => {
            let Some(subscription) = topic.subscriptions.get_mut(&arn) else {
                return refused(404, "NotFound", "Subscription does not exist");
            };
            match operation {
                "GetSubscriptionAttributes" => described(subscription),
                "SetSubscriptionAttributes" => {
                    let (name, value) = (field("AttributeName"), field("AttributeValue"));
                    subscription.attributes.insert(name, value);
                    xml(200, "<SetSubscriptionAttributesResponse/>")
                }
                other => panic!("no double of {other}"),
            }
        }
    }
}

impl Subscription {
    /// Whether the filter policy names one of these values of the attribute `status`.
    /// <https://docs.aws.amazon.com/sns/latest/dg/string-value-matching.html>
    fn lets_through(&self, statuses: &[String]) -> bool {
        let Some(policy) = self.attributes.get("FilterPolicy") else {
            return true;
        };
        let policy: Value = serde_json::from_str(policy).unwrap();
        let named = policy["status"].as_array().unwrap();
        statuses.iter().any(|it| named.contains(&json!(it)))
    }
}

/// The values of the message attribute `status`: one, or the elements of an array.
fn statuses(form: &Value) -> Vec<String> {
    let part = |of: &str| form[format!("MessageAttributes.entry.1.{of}")].as_str();
    let Some(value) = part("Value.StringValue") else {
        return Vec::new();
    };
    assert_eq!(part("Name"), Some("status"));
    match part("Value.DataType") {
        Some("String.Array") => serde_json::from_str(value).unwrap(),
        _ => vec![value.to_owned()],
    }
}

fn subscribe(topic: &mut Topic, topic_arn: &str, endpoint: &str, form: &Value) -> HttpResponse {
    let given: HashMap<String, String> = (1..)
        .map_while(|n| {
            let part = |of: &str| form[format!("Attributes.entry.{n}.{of}")].as_str();
            Some((part("key")?.to_owned(), part("value")?.to_owned()))
        })
        .collect();
    let existing = topic
        .subscriptions
        .iter()
        .find(|(_, it)| it.endpoint == endpoint);
    let arn = match existing {
        Some((_, it)) if !given.is_empty() && it.attributes != given => {
            let message = "Invalid parameter: Attributes Reason: Subscription already exists with different attributes";
            return refused(400, "InvalidParameter", message);
        }
        Some((arn, _)) => arn.clone(),
        None => {
            let arn = format!("{topic_arn}:{}", Uuid::new_v4());
            let subscription = Subscription {
                endpoint: endpoint.to_owned(),
                token: Uuid::new_v4().simple().to_string(),
                confirmed: false,
                attributes: given,
                received: Vec::new(),
            };
            topic.subscriptions.insert(arn.clone(), subscription);
            arn
        }
    };
    answered(
        "Subscribe",
        &format!("<SubscriptionArn>{arn}</SubscriptionArn>"),
    )
}

fn described(subscription: &Subscription) -> HttpResponse {
    let mut attributes = json!({
        "Endpoint": subscription.endpoint,
        "PendingConfirmation": (!subscription.confirmed).to_string(),
    });
    for (name, value) in &subscription.attributes {
        attributes[name] = Value::String(value.clone());
    }
    let entries = attributes.as_object().unwrap().iter().map(|(name, value)| {
        let value = value
            .as_str()
            .unwrap()
            .replace('&', "&amp;")
            .replace('<', "&lt;");
        format!("<entry><key>{name}</key><value>{value}</value></entry>")
    });
    let entries: String = entries.collect();
    answered(
        "GetSubscriptionAttributes",
        &format!("<Attributes>{entries}</Attributes>"),
    )
}
