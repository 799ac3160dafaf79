//! What a publisher says of a topic: its definition, and what is checked of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::object::{object, said};
use crate::topic::modes::{Modes, PayloadType};
use crate::topic::reference::has_form_of_id;
use crate::topic::{Subscribers, Topic, TopicAccess, TopicPublishers};

/// The longest name of a topic, in characters.
pub const MAX_NAME_LENGTH: usize = 255;
/// The largest `config`, of the publisher or of a type of subscribers, in bytes of JSON.
pub const MAX_CONFIG_LENGTH: usize = 16 * 1024;

/// The definition of a topic, as its publisher sends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicDefinition {
    /// The name of the topic; no two topics have the same one.
    pub name: String,
    /// How publications arrive, and what they are.
    #[serde(deserialize_with = "object")]
    pub publisher: Publisher,
    /// How publications are delivered; when empty, to webhooks in all modes that fit.
    #[serde(default)]
    pub subscribers: Subscribers,
    /// Who may see the topic; everyone when it isn't said of a new one.
    #[serde(
        default,
        deserialize_with = "said",
        skip_serializing_if = "Option::is_none"
    )]
    pub access: Option<TopicAccess>,
    /// Which publishers may publish to it, and change it; whoever creates it when it isn't said.
    #[serde(
        default,
        deserialize_with = "said",
        skip_serializing_if = "Option::is_none"
    )]
    pub publishers: Option<TopicPublishers>,
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
    /// What each publication is; documents, when it isn't said.
    #[serde(default, deserialize_with = "object")]
    pub payload: Payload,
    /// Whether publications are accepted while the topic has no subscription: they are, unless this is `false`.
    #[serde(rename = "alwaysOn", default, skip_serializing_if = "Option::is_none")]
    pub always_on: Option<bool>,
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

impl Default for Payload {
    /// The whole document.
    fn default() -> Self {
        Self {
            kind: PayloadType::Snapshot,
        }
    }
}

/// Why a definition was refused: the field at fault, and the reason, for the publisher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BadDefinition {
    /// The field at fault, as a path in the definition's JSON: `publisher.config`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl BadDefinition {
    pub(crate) fn new(field: impl Into<String>, problem: impl ToString) -> Self {
        Self {
            field: field.into(),
            problem: problem.to_string(),
        }
    }
}

impl TopicDefinition {
    /// Checks what the types don't enforce, for a new topic or for the change of `known`. Returns the modes in which
    /// the topic's publications can be delivered to webhooks.
    ///
    /// # Errors
    /// Names the first field that is refused.
    pub fn check(&self, known: Option<&Topic>) -> Result<Modes, BadDefinition> {
        let length = self.name.chars().count();
        if self.name.trim().is_empty() || length > MAX_NAME_LENGTH {
            let problem = format!("must have 1 to {MAX_NAME_LENGTH} characters");
            return Err(BadDefinition::new("name", problem));
        }
        // A topic that was created with such a name keeps it.
        if has_form_of_id(&self.name) && known.is_none_or(|known| known.name != self.name) {
            let problem = "must not have the form of an id";
            return Err(BadDefinition::new("name", problem));
        }
        check_config("publisher.config", &self.publisher.config)?;
        let payload = self.publisher.payload.kind;
        self.subscribers.check(payload)?;
        self.subscribers
            .modes(payload)
            .map_err(|bad| BadDefinition::new("subscribers", bad))
    }
}

/// Checks the length of a `config`.
pub(crate) fn check_config(field: &str, config: &Map<String, Value>) -> Result<(), BadDefinition> {
    let config = Value::Object(config.clone()).to_string();
    if config.len() > MAX_CONFIG_LENGTH {
        let problem = format!("must have at most {MAX_CONFIG_LENGTH} bytes");
        return Err(BadDefinition::new(field, problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;
    use crate::ids::TopicId;

    const ID: &str = "6f1a8c9e-3b1d-4c7a-9a55-0d5f6f1f2a11";

    fn read(definition: Value) -> Result<TopicDefinition, String> {
        serde_json::from_value(definition).map_err(|bad| bad.to_string())
    }

    fn named(name: &str) -> TopicDefinition {
        read(json!({"name": name, "publisher": {"type": "http-post"}})).unwrap()
    }

    #[test]
    fn a_name_has_characters_and_not_too_many() {
        assert!(named(&"ü".repeat(255)).check(None).is_ok());
        for name in ["", "  ", &"x".repeat(256)] {
            let bad = named(name).check(None).unwrap_err();
            assert_eq!(bad.field, "name");
            assert!(bad.problem.contains("1 to 255"), "{bad}");
        }
    }

    #[test]
    fn a_name_like_an_id_is_kept_and_not_taken() {
        let topic = |name| Topic::new(TopicId::new("t1"), named(name), OffsetDateTime::UNIX_EPOCH);
        for name in [ID, &ID.to_uppercase()] {
            assert!(named(name).check(Some(&topic(name))).is_ok());
            for known in [None, Some(topic("orders"))] {
                let bad = named(name).check(known.as_ref()).unwrap_err();
                assert_eq!(bad.field, "name");
                assert!(bad.problem.contains("form of an id"), "{bad}");
            }
        }
    }

    #[test]
    fn a_publisher_publishes_documents_unless_it_says_otherwise() {
        let publisher = |more: Value| {
            let mut publisher = json!({"type": "http-post"});
            let more = more.as_object().unwrap().clone();
            publisher.as_object_mut().unwrap().extend(more);
            read(json!({"name": "a", "publisher": publisher})).map(|it| it.publisher)
        };
        let shown = |more| serde_json::to_value(publisher(more).unwrap()).unwrap();
        let plain = json!({"type": "http-post", "config": {}, "payload": {"type": "snapshot"}});
        assert_eq!(shown(json!({})), plain);
        for said in [true, false] {
            let shown = shown(json!({"alwaysOn": said, "payload": {"type": "event"}}));
            assert_eq!(shown["alwaysOn"], json!(said));
            assert_eq!(shown["payload"], json!({"type": "event"}));
        }
        for more in [
            json!({"payload": {}}),
            json!({"payload": null}),
            json!({"payload": "event"}),
            json!({"payload": {"type": "patch"}}),
            json!({"alwaysOn": "no"}),
            json!({"alwaysOn": 0}),
            json!({"more": 1}),
        ] {
            assert!(publisher(more.clone()).is_err(), "{more}");
        }
    }

    #[test]
    fn a_config_is_not_too_long() {
        let definition = |publisher: usize, webhook: usize| {
            let config = |length: usize| json!({"a": "x".repeat(length - 8)});
            let publisher = json!({"type": "http-post", "config": config(publisher)});
            let webhook = json!({"webhook": {"config": config(webhook)}});
            read(json!({"name": "a", "publisher": publisher, "subscribers": webhook})).unwrap()
        };
        let field = |publisher, webhook| {
            let checked = definition(publisher, webhook).check(None);
            checked.err().map(|bad| bad.field)
        };
        let most = MAX_CONFIG_LENGTH;
        assert_eq!(field(most, most), None);
        assert_eq!(field(most + 1, 8), Some("publisher.config".to_owned()));
        assert_eq!(
            field(8, most + 1),
            Some("subscribers.webhook.config".to_owned())
        );
    }
}
