//! Topics and their definitions.

pub mod access;
pub mod definition;
pub mod document;
pub mod json_text;
pub mod modes;
pub mod patch;
pub mod payload;
pub mod reference;
pub mod search;
pub mod shards;
pub mod subscribers;
pub mod view;

pub use access::{TopicAccess, TopicPublishers};
pub use definition::{BadDefinition, Publisher, TopicDefinition};
pub use reference::TopicReference;
pub use subscribers::Subscribers;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ClientId;
use crate::client::Labels;
use crate::ids::TopicId;
use crate::timestamp::iso_serde;
use crate::topic::modes::{BadModes, Modes};

/// A topic, as it is stored. The API returns a [`view`] of it.
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
    pub subscribers: Subscribers,
    /// Who may see it, and receive its publications.
    #[serde(default, skip_serializing_if = "TopicAccess::is_everyone")]
    pub access: TopicAccess,
    /// Which publishers may publish to it, and change it.
    #[serde(default, skip_serializing_if = "TopicPublishers::is_everyone")]
    pub publishers: TopicPublishers,
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
            access: definition.access.unwrap_or_default(),
            publishers: definition.publishers.unwrap_or_default(),
            create_timestamp: now,
            modify_timestamp: now,
        }
    }

    /// The modes in which its publications can be delivered to webhooks.
    ///
    /// # Errors
    /// When the modes of its definition contradict each other.
    pub fn modes(&self) -> Result<Modes, BadModes> {
        self.subscribers.modes(self.publisher.payload.kind)
    }

    /// The same topic with another definition, changed at `now`. What that doesn't say about access stays as it is, so that
    /// nobody opens a topic who doesn't mean to.
    pub fn changed(&self, definition: TopicDefinition, now: OffsetDateTime) -> Self {
        let definition = TopicDefinition {
            access: definition.access.or_else(|| Some(self.access.clone())),
            publishers: definition
                .publishers
                .or_else(|| Some(self.publishers.clone())),
            ..definition
        };
        Self {
            create_timestamp: self.create_timestamp,
            ..Self::new(self.id.clone(), definition, now)
        }
    }

    /// Whether its publications are for the client with this id and these labels: `access` permits it, or `publishers`
    /// names it.
    pub fn is_for(&self, client_id: &ClientId, labels: &Labels) -> bool {
        self.access.permits(client_id, labels) || self.publishers.name(client_id)
    }

    /// Whether this is its definition already.
    pub fn is_defined_by(&self, definition: &TopicDefinition) -> bool {
        self.name == definition.name
            && self.publisher == definition.publisher
            && self.subscribers == definition.subscribers
            && definition
                .access
                .as_ref()
                .is_none_or(|it| *it == self.access)
            && definition
                .publishers
                .as_ref()
                .is_none_or(|it| *it == self.publishers)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn definition(name: &str, more: &Value) -> TopicDefinition {
        let mut definition = json!({"name": name, "publisher": {"type": "http-post"}});
        let more = more.as_object().unwrap().clone();
        definition.as_object_mut().unwrap().extend(more);
        serde_json::from_value(definition).unwrap()
    }

    #[test]
    fn a_change_keeps_the_id_and_the_first_time() {
        let then = OffsetDateTime::UNIX_EPOCH;
        let now = then + time::Duration::hours(1);
        let topic = Topic::new(TopicId::new("id"), definition("a", &json!({})), then);
        let changed = topic.changed(definition("b", &json!({})), now);
        assert_eq!((changed.id.as_str(), changed.name.as_str()), ("id", "b"));
        assert_eq!(
            (changed.create_timestamp, changed.modify_timestamp),
            (then, now)
        );
    }

    #[test]
    fn a_definition_that_says_the_same_is_the_same() {
        let list = json!({"subscribers": [{"type": "webhook"}]});
        let map = json!({"subscribers": {"webhook": {}}});
        let topic = Topic::new(
            TopicId::new("id"),
            definition("a", &list),
            OffsetDateTime::UNIX_EPOCH,
        );
        assert!(topic.is_defined_by(&definition("a", &list)));
        for (name, more) in [("b", &list), ("a", &map), ("a", &json!({}))] {
            assert!(!topic.is_defined_by(&definition(name, more)));
        }
    }
}
