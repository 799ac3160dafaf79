//! How a topic's publications are delivered: its types of subscribers, each with its modes.
//!
//! Bellwire delivers to webhooks. What a publisher says of other types is checked, kept and shown, for those who
//! deliver to them.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::object::Strict;
use crate::topic::definition::{BadDefinition, check_config};
use crate::topic::modes::{BadModes, Modes, PayloadType, SubscriptionMode};

/// The types of subscribers that a topic has, each at most once; webhooks alone, when it names none.
///
/// In JSON a list, `[{"type": "webhook", …}]`, or a map, `{"webhook": {…}}`. It is written in the form in which it was
/// read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subscribers {
    form: Form,
    types: Vec<(SubscriberType, SubscriberSettings)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    List,
    Map,
}

/// The ways in which publications are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscriberType {
    /// By a POST to a URL.
    Webhook,
    /// As server-sent events, by others than Bellwire.
    Sse,
    /// Into a topic of Kafka, by others than Bellwire.
    Kafka,
    /// Through a WebSocket, by others than Bellwire.
    Websocket,
}

impl SubscriberType {
    /// Its name in JSON.
    fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Sse => "sse",
            Self::Kafka => "kafka",
            Self::Websocket => "websocket",
        }
    }
}

/// What a topic says of one type of subscribers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SubscriberSettings {
    /// The modes that subscriptions may have; all that fit, when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allowed_subscription_modes: Option<Vec<SubscriptionMode>>,
    /// The mode of a subscription that asks for none; the first allowed one, when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_subscription_mode: Option<SubscriptionMode>,
    /// The publisher's own notes; Bellwire reads nothing from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<Map<String, Value>>,
}

/// An entry of the list. It has the fields of [`SubscriberSettings`]: serde can't refuse unknown ones of a flattened
/// structure.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "type")]
    kind: SubscriberType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allowed_subscription_modes: Option<Vec<SubscriptionMode>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_subscription_mode: Option<SubscriptionMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<Map<String, Value>>,
}

impl SubscriberSettings {
    /// The modes of subscriptions of this type.
    fn modes(&self, payload: PayloadType) -> Result<Modes, BadModes> {
        Modes::new(
            payload,
            self.allowed_subscription_modes.as_deref(),
            self.default_subscription_mode,
        )
    }
}

impl Subscribers {
    /// Whether webhooks may subscribe: where webhooks are named, and where nothing is.
    pub fn accept_webhooks(&self) -> bool {
        self.types.is_empty() || self.webhook().is_some()
    }

    /// The modes in which publications can be delivered to webhooks: all that fit, when nothing is said of webhooks.
    ///
    /// # Errors
    /// When what is said contradicts itself or the payload.
    pub fn modes(&self, payload: PayloadType) -> Result<Modes, BadModes> {
        match self.webhook() {
            Some(settings) => settings.modes(payload),
            None => Modes::new(payload, None, None),
        }
    }

    fn webhook(&self) -> Option<&SubscriberSettings> {
        let mut types = self.types.iter();
        let (_, settings) = types.find(|(kind, _)| *kind == SubscriberType::Webhook)?;
        Some(settings)
    }

    /// Checks that each type is there once, with modes that fit the payload, and a `config` that is not too long.
    pub(crate) fn check(&self, payload: PayloadType) -> Result<(), BadDefinition> {
        for (index, (kind, settings)) in self.types.iter().enumerate() {
            let field = match self.form {
                Form::List => format!("subscribers[{index}]"),
                Form::Map => format!("subscribers.{}", kind.name()),
            };
            let earlier = self.types.iter().take(index);
            if earlier.into_iter().any(|(it, _)| it == kind) {
                let problem = format!("{} must not be there twice", kind.name());
                return Err(BadDefinition::new(format!("{field}.type"), problem));
            }
            if let Some(config) = &settings.config {
                check_config(&format!("{field}.config"), config)?;
            }
            settings.modes(payload).map_err(|bad| {
                let field = match bad {
                    BadModes::Empty | BadModes::Unfit => {
                        format!("{field}.allowedSubscriptionModes")
                    }
                    BadModes::NotAllowed => format!("{field}.defaultSubscriptionMode"),
                };
                BadDefinition::new(field, bad)
            })?;
        }
        Ok(())
    }
}

impl Serialize for Subscribers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.form {
            Form::List => to.collect_seq(self.types.iter().cloned().map(|(kind, it)| Entry {
                kind,
                allowed_subscription_modes: it.allowed_subscription_modes,
                default_subscription_mode: it.default_subscription_mode,
                config: it.config,
            })),
            Form::Map => {
                let mut map = to.serialize_map(Some(self.types.len()))?;
                for (kind, settings) in &self.types {
                    map.serialize_entry(kind, settings)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Subscribers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(EitherForm)
    }
}

/// Reads either form. An untagged enum would not say which field is wrong.
struct EitherForm;

impl<'de> Visitor<'de> for EitherForm {
    type Value = Subscribers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or a map of types of subscribers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        let entries = Vec::<Strict<Entry>>::deserialize(SeqAccessDeserializer::new(entries))?;
        let settings = entries.into_iter().map(|Strict(it)| {
            let settings = SubscriberSettings {
                allowed_subscription_modes: it.allowed_subscription_modes,
                default_subscription_mode: it.default_subscription_mode,
                config: it.config,
            };
            (it.kind, settings)
        });
        Ok(Subscribers {
            form: Form::List,
            types: settings.collect(),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut types: Vec<(SubscriberType, SubscriberSettings)> = Vec::new();
        // As text, of which an error can say the place.
        while let Some(name) = entries.next_key::<String>()? {
            let kind = SubscriberType::deserialize(name.as_str().into_deserializer())?;
            if types.iter().any(|(it, _)| *it == kind) {
                return Err(A::Error::duplicate_field(kind.name()));
            }
            let Strict(settings) = entries.next_value()?;
            types.push((kind, settings));
        }
        Ok(Subscribers {
            form: Form::Map,
            types,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(subscribers: &Value) -> Result<Subscribers, String> {
        serde_json::from_str(&subscribers.to_string()).map_err(|bad| bad.to_string())
    }

    fn checked(subscribers: &Value) -> Result<Subscribers, (String, String)> {
        let subscribers = read(subscribers).unwrap();
        match subscribers.check(PayloadType::Snapshot) {
            Ok(()) => Ok(subscribers),
            Err(bad) => Err((bad.field, bad.problem)),
        }
    }

    #[test]
    fn either_form_is_shown_as_it_was_given() {
        let webhook = json!({"allowedSubscriptionModes": ["snapshot-only"], "config": {"a": [1]}});
        for given in [
            json!([]),
            json!({}),
            json!([{"type": "webhook", "defaultSubscriptionMode": "snapshot-only"}]),
            json!([{"type": "kafka", "config": {}}, {"type": "sse"}, {"type": "websocket"}]),
            json!({ "webhook": webhook }),
            json!({"websocket": {}, "webhook": webhook, "kafka": {"config": {"topic": "t"}}}),
        ] {
            let read = checked(&given).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), given);
        }
        assert_eq!(read(&json!([])).unwrap(), Subscribers::default());
    }

    #[test]
    fn what_is_neither_form_is_refused() {
        for (given, word) in [
            (json!(null), "a list or a map"),
            (json!("webhook"), "a list or a map"),
            (json!(["webhook"]), "invalid type"),
            (json!([{}]), "type"),
            (json!([{"type": "mail"}]), "mail"),
            (json!([{"type": "webhook", "more": 1}]), "more"),
            (json!({"mail": {}}), "mail"),
            (json!({"webhook": null}), "invalid type"),
            (json!({"webhook": {"type": "webhook"}}), "type"),
            (json!({"webhook": {"config": 1}}), "invalid type"),
            (json!({"sse": {"allowedSubscriptionModes": ["all"]}}), "all"),
        ] {
            let bad = read(&given).unwrap_err();
            assert!(bad.contains(word), "{given}: {bad}");
        }
        let twice = serde_json::from_str::<Subscribers>(r#"{"sse": {}, "sse": {}}"#);
        let twice = twice.unwrap_err().to_string();
        assert!(twice.contains("duplicate"), "{twice}");
    }

    #[test]
    fn each_type_is_there_once_and_its_modes_fit() {
        for (given, field, problem) in [
            (
                json!([{"type": "webhook"}, {"type": "sse"}, {"type": "webhook"}]),
                "subscribers[2].type",
                "twice",
            ),
            (
                json!([{"type": "webhook", "allowedSubscriptionModes": []}]),
                "subscribers[0].allowedSubscriptionModes",
                "empty",
            ),
            (
                json!([{"type": "webhook"}, {"type": "kafka", "allowedSubscriptionModes": ["event"]}]),
                "subscribers[1].allowedSubscriptionModes",
                "fit",
            ),
            (
                json!({"sse": {"defaultSubscriptionMode": "event"}}),
                "subscribers.sse.defaultSubscriptionMode",
                "allows",
            ),
        ] {
            let (at, why) = checked(&given).unwrap_err();
            assert_eq!(at, field);
            assert!(why.contains(problem), "{why}");
        }
    }

    #[test]
    fn webhooks_may_subscribe_where_they_are_named_or_nothing_is() {
        let patch = Ok(SubscriptionMode::SnapshotPatch);
        let only = Ok(SubscriptionMode::SnapshotOnly);
        let modes = json!({"allowedSubscriptionModes": ["snapshot-only"]});
        for (given, accepted, mode) in [
            (json!([]), true, patch),
            (json!({}), true, patch),
            (json!([{"type": "sse"}, {"type": "webhook"}]), true, patch),
            (json!({"sse": {}, "webhook": modes}), true, only),
            (json!({ "sse": modes }), false, patch),
            (json!([{"type": "kafka"}]), false, patch),
        ] {
            let subscribers = checked(&given).unwrap();
            assert_eq!(subscribers.accept_webhooks(), accepted, "{given}");
            let default = subscribers.modes(PayloadType::Snapshot);
            assert_eq!(default.and_then(|it| it.choose(None)), mode, "{given}");
        }
    }
}
