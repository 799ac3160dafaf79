//! Topics and their definitions.

pub mod document;
pub mod json_text;
pub mod modes;
pub mod patch;
pub mod payload;
pub mod search;
pub mod shards;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::ids::TopicId;
use crate::timestamp::iso_serde;
use crate::topic::modes::{BadModes, Modes, PayloadType, SubscriptionMode};

/// The longest name of a topic, in characters.
pub const MAX_NAME_LENGTH: usize = 255;
/// The largest `publisher.config`, in bytes of JSON.
pub const MAX_CONFIG_LENGTH: usize = 16 * 1024;

/// The definition of a topic, as its publisher sends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicDefinition {
    /// The name of the topic; no two topics have the same one.
    pub name: String,
    /// How publications arrive, and what they are.
    pub publisher: Publisher,
    /// How publications are delivered; when empty, to webhooks in all modes that fit.
    #[serde(default)]
    pub subscribers: Vec<Subscriber>,
}

/// How publications arrive, and what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publisher {
    /// `http-post`, the only one there is.
    #[serde(rename = "type")]
    pub kind: PublisherType,
    /// The publisher's own notes; Bellwire reads nothing from them.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// What each publication is.
    pub payload: Payload,
}

/// The ways in which publications arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PublisherType {
    /// By a POST to the API.
    #[serde(rename = "http-post")]
    HttpPost,
}

/// What each publication is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// A document or an event.
    #[serde(rename = "type")]
    pub kind: PayloadType,
}

/// How publications are delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Subscriber {
    /// `webhook`, the only one there is.
    #[serde(rename = "type")]
    pub kind: SubscriberType,
    /// The modes that subscriptions may have; all that fit, when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_subscription_modes: Option<Vec<SubscriptionMode>>,
    /// The mode of a subscription that asks for none; the first allowed one, when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_subscription_mode: Option<SubscriptionMode>,
}

/// The ways in which publications are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscriberType {
    /// By a POST to a URL.
    Webhook,
}

/// Why a definition was refused: the field at fault, and the reason, for the publisher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BadDefinition {
    /// The field at fault, as a path in the definition's JSON: `publisher.config`.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl TopicDefinition {
    /// Checks what the types don't enforce. Returns the modes of the topic.
    pub fn check(&self) -> Result<Modes, BadDefinition> {
        let bad = |field, problem: String| Err(BadDefinition { field, problem });
        let length = self.name.chars().count();
        if self.name.trim().is_empty() || length > MAX_NAME_LENGTH {
            return bad(
                "name",
                format!("must have 1 to {MAX_NAME_LENGTH} characters"),
            );
        }
        let config = Value::Object(self.publisher.config.clone()).to_string();
        if config.len() > MAX_CONFIG_LENGTH {
            return bad(
                "publisher.config",
                format!("must have at most {MAX_CONFIG_LENGTH} bytes"),
            );
        }
        if self.subscribers.len() > 1 {
            return bad(
                "subscribers",
                "must have at most one entry of the type webhook".to_owned(),
            );
        }
        modes(&self.publisher, &self.subscribers).map_err(|problem| BadDefinition {
            field: "subscribers",
            problem: format!("a mode {problem}").replace("a mode must", "the list of modes must"),
        })
    }
}

/// The modes that follow from a topic's definition.
fn modes(publisher: &Publisher, subscribers: &[Subscriber]) -> Result<Modes, BadModes> {
    let webhook = subscribers.first();
    Modes::new(
        publisher.payload.kind,
        webhook.and_then(|it| it.allowed_subscription_modes.as_deref()),
        webhook.and_then(|it| it.default_subscription_mode),
    )
}

/// A topic, as the API returns it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    /// The id of the topic, a UUID.
    pub id: TopicId,
    /// The name of the topic; no two topics have the same one.
    pub name: String,
    /// How publications arrive, and what they are.
    pub publisher: Publisher,
    /// How publications are delivered; when empty, to webhooks in all modes that fit.
    pub subscribers: Vec<Subscriber>,
    /// When the topic was created.
    #[serde(with = "iso_serde")]
    pub create_timestamp: OffsetDateTime,
    /// When its definition last changed.
    #[serde(with = "iso_serde")]
    pub modify_timestamp: OffsetDateTime,
}

impl Topic {
    /// A new topic, created at `now`.
    pub fn new(id: TopicId, definition: TopicDefinition, now: OffsetDateTime) -> Self {
        Self {
            id,
            name: definition.name,
            publisher: definition.publisher,
            subscribers: definition.subscribers,
            create_timestamp: now,
            modify_timestamp: now,
        }
    }

    /// The modes in which its publications can be delivered.
    pub fn modes(&self) -> Result<Modes, BadModes> {
        modes(&self.publisher, &self.subscribers)
    }

    /// The same topic with another definition, changed at `now`.
    pub fn changed(&self, definition: TopicDefinition, now: OffsetDateTime) -> Self {
        Self {
            create_timestamp: self.create_timestamp,
            ..Self::new(self.id.clone(), definition, now)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(definition: Value) -> Result<(), (&'static str, String)> {
        let definition: TopicDefinition = serde_json::from_value(definition).unwrap();
        match definition.check() {
            Ok(_) => Ok(()),
            Err(bad) => Err((bad.field, bad.problem)),
        }
    }

    fn with(name: &str, subscribers: Value) -> Value {
        json!({
            "name": name,
            "publisher": {"type": "http-post", "payload": {"type": "snapshot"}},
            "subscribers": subscribers,
        })
    }

    #[test]
    fn definitions_are_checked() {
        assert_eq!(check(with("orders", json!([]))), Ok(()));
        let webhook = json!([{"type": "webhook", "allowedSubscriptionModes": ["snapshot-only"]}]);
        assert_eq!(check(with("orders", webhook)), Ok(()));
        for (name, subscribers, field, problem) in [
            ("", json!([]), "name", "1 to 255"),
            ("  ", json!([]), "name", "1 to 255"),
            (&*"x".repeat(256), json!([]), "name", "1 to 255"),
            (
                "x",
                json!([{"type": "webhook"}, {"type": "webhook"}]),
                "subscribers",
                "at most one",
            ),
            (
                "x",
                json!([{"type": "webhook", "allowedSubscriptionModes": []}]),
                "subscribers",
                "list of modes must not be empty",
            ),
            (
                "x",
                json!([{"type": "webhook", "allowedSubscriptionModes": ["event"]}]),
                "subscribers",
                "fit",
            ),
            (
                "x",
                json!([{"type": "webhook", "defaultSubscriptionMode": "event"}]),
                "subscribers",
                "allows",
            ),
        ] {
            let (at, why) = check(with(name, subscribers)).unwrap_err();
            assert_eq!(at, field);
            assert!(why.contains(problem), "{why}");
        }
    }

    #[test]
    fn a_change_keeps_the_id_and_the_first_time() {
        let definition = |name: &str| serde_json::from_value(with(name, json!([]))).unwrap();
        let then = OffsetDateTime::UNIX_EPOCH;
        let now = then + time::Duration::hours(1);
        let topic =
            Topic::new(TopicId::new("id"), definition("a"), then).changed(definition("b"), now);
        assert_eq!((topic.id.as_str(), topic.name.as_str()), ("id", "b"));
        assert_eq!(
            (topic.create_timestamp, topic.modify_timestamp),
            (then, now)
        );
    }
}
