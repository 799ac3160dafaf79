//! Entities (protocol C): their keys, events about them, and the body of a callback.

use crate::ids::SubscriptionId;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ClientId;

/// The longest key, in characters.
const MAX_KEY_LENGTH: usize = 512;
/// The most clients that one event names.
const MAX_CLIENTS: usize = 100;

/// The key of an entity: text of 1 to 512 characters, of any kind. The provider chooses it, and
/// Bellwire doesn't interpret it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EntityKey(String);

/// The text is empty or too long for the key of an entity.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {MAX_KEY_LENGTH} characters")]
pub struct BadEntityKey;

impl EntityKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EntityKey {
    type Error = BadEntityKey;

    fn try_from(text: String) -> Result<Self, BadEntityKey> {
        let fits = (1..=MAX_KEY_LENGTH).contains(&text.chars().count());
        fits.then_some(Self(text)).ok_or(BadEntityKey)
    }
}

/// The types of entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntityType {
    /// A document: `Document` in JSON.
    Document,
}

/// What has happened to an entity: in JSON, the name that [`CallbackEvent::as_str`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackEvent {
    /// The data of the entity was updated.
    EntityUpdated,
    /// The status of a document has changed.
    DocumentStatusChanged,
    /// A document has its final form.
    FinalDocumentGenerated,
}

impl CallbackEvent {
    /// The name in JSON and in the record of exchanges: `entity_updated`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EntityUpdated => "entity_updated",
            Self::DocumentStatusChanged => "document_status_changed",
            Self::FinalDocumentGenerated => "final_document_generated",
        }
    }
}

/// An event about an entity, as its publisher sends it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityEvent {
    /// The clients whose subscriptions to the entity receive the event.
    pub client_ids: Clients,
    /// The key of the entity that the event is about.
    pub entity_key: EntityKey,
    /// The type of the entity.
    pub entity_type: EntityType,
    /// What has happened to the entity.
    pub callback_event: CallbackEvent,
}

/// The clients that an event names: 1 to 100, each once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<ClientId>")]
pub struct Clients(BTreeSet<ClientId>);

/// The event names no client, or too many.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must name 1 to {MAX_CLIENTS} clients")]
pub struct BadClients;

impl Clients {
    /// The clients, sorted by id.
    pub fn iter(&self) -> impl Iterator<Item = &ClientId> {
        self.0.iter()
    }
}

impl TryFrom<Vec<ClientId>> for Clients {
    type Error = BadClients;

    fn try_from(named: Vec<ClientId>) -> Result<Self, BadClients> {
        let fits = (1..=MAX_CLIENTS).contains(&named.len());
        fits.then(|| Self(named.into_iter().collect()))
            .ok_or(BadClients)
    }
}

/// The spelling of the protocol that a subscription was made in. It decides the name of the subscription's id in
/// callbacks; the calls of either spelling find subscriptions of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// The earlier one, `/subscriptions`: `subscription_key`.
    #[default]
    Subscriptions,
    /// The later one, `/v1/webhooks`: `webhook_key`.
    Webhooks,
}

impl Spelling {
    /// What one subscription is called: `subscription`.
    pub fn one(self) -> &'static str {
        match self {
            Self::Subscriptions => "subscription",
            Self::Webhooks => "webhook",
        }
    }

    /// What several subscriptions are called: `subscriptions`.
    pub fn several(self) -> &'static str {
        match self {
            Self::Subscriptions => "subscriptions",
            Self::Webhooks => "webhooks",
        }
    }

    /// The name of a subscription's id where it stands beside other things: `subscription_key`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Subscriptions => "subscription_key",
            Self::Webhooks => "webhook_key",
        }
    }

    /// Whether it is the earlier one, which isn't stored.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The body of a callback, as JSON.
#[derive(Debug, Serialize)]
pub struct CallbackBody<'a> {
    /// The id of the subscription that receives the callback, under its name in the subscription's spelling.
    #[serde(flatten)]
    pub key: CallbackKey<'a>,
    /// The key of the entity that the event is about.
    pub entity_key: &'a EntityKey,
    /// The type of the entity.
    pub entity_type: EntityType,
    /// What has happened to the entity.
    pub callback_event: CallbackEvent,
}

/// The id of the subscription in a callback: a field, whose name depends on the spelling.
#[derive(Debug, Serialize)]
pub enum CallbackKey<'a> {
    /// `"subscription_key": "…"`.
    #[serde(rename = "subscription_key")]
    Subscription(&'a SubscriptionId),
    /// `"webhook_key": "…"`.
    #[serde(rename = "webhook_key")]
    Webhook(&'a SubscriptionId),
}

impl<'a> CallbackKey<'a> {
    /// The id in this spelling.
    pub fn new(spelling: Spelling, id: &'a SubscriptionId) -> Self {
        match spelling {
            Spelling::Subscriptions => Self::Subscription(id),
            Spelling::Webhooks => Self::Webhook(id),
        }
    }
}

impl fmt::Display for CallbackEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CLIENT: &str = "cl_aaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn a_key_is_any_text_that_is_not_too_long() {
        let longest = "🔑".repeat(MAX_KEY_LENGTH);
        for text in ["a", "a/b %2F?&=#", " ", "\u{0}\u{ffff}", &longest] {
            let key = EntityKey::try_from(text.to_owned()).unwrap();
            assert_eq!(key.as_str(), text);
        }
        for text in [String::new(), longest + "a"] {
            assert_eq!(EntityKey::try_from(text), Err(BadEntityKey));
        }
    }

    #[test]
    fn names_are_written_as_the_protocol_has_them() {
        for name in [
            "entity_updated",
            "document_status_changed",
            "final_document_generated",
        ] {
            let event: CallbackEvent = serde_json::from_value(json!(name)).unwrap();
            assert_eq!((event.as_str(), json!(event)), (name, json!(name)));
        }
        assert_eq!(json!(EntityType::Document), json!("Document"));
    }

    #[test]
    fn a_callback_names_its_subscription_as_the_spelling_does() {
        let id = SubscriptionId::new("s1");
        let entity_key = EntityKey::try_from("k".to_owned()).unwrap();
        for (spelling, stored) in [
            (Spelling::Subscriptions, "subscriptions"),
            (Spelling::Webhooks, "webhooks"),
        ] {
            let body = CallbackBody {
                key: CallbackKey::new(spelling, &id),
                entity_key: &entity_key,
                entity_type: EntityType::Document,
                callback_event: CallbackEvent::EntityUpdated,
            };
            let name = spelling.key();
            assert_eq!(
                serde_json::to_string(&body).unwrap(),
                format!(
                    r#"{{"{name}":"s1","entity_key":"k","entity_type":"Document","callback_event":"entity_updated"}}"#
                )
            );
            assert_eq!(json!(spelling), json!(stored));
            assert_eq!(spelling.is_default(), stored == "subscriptions");
        }
    }

    #[test]
    fn an_event_names_what_is_wrong_with_it() {
        let good = json!({
            "client_ids": [CLIENT, CLIENT],
            "entity_key": "k",
            "entity_type": "Document",
            "callback_event": "entity_updated",
        });
        let read: EntityEvent = serde_json::from_value(good.clone()).unwrap();
        assert_eq!(read.client_ids.iter().count(), 1);
        for (field, bad, problem) in [
            ("client_ids", json!([]), "1 to 100 clients"),
            ("client_ids", json!(vec![CLIENT; 101]), "1 to 100 clients"),
            ("client_ids", json!(["nobody"]), "client"),
            ("client_ids", json!(CLIENT), "a sequence"),
            ("entity_key", json!(""), "1 to 512 characters"),
            ("entity_type", json!("Envelope"), "unknown variant"),
            ("callback_event", json!("updated"), "unknown variant"),
            ("more", json!(1), "unknown field"),
        ] {
            let mut event = good.clone();
            event[field] = bad;
            let error = serde_json::from_value::<EntityEvent>(event).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
    }
}
