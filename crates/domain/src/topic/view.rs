//! What a caller sees of a topic.

use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::ids::TopicId;
use crate::timestamp::iso_serde;
use crate::topic::definition::{Payload, PublisherType};
use crate::topic::{Subscribers, Topic, TopicAccess, TopicPublishers};

/// A topic, as the API returns it. Only those who may change it see the publisher's notes, and who else may do what.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicView<'a> {
    id: &'a TopicId,
    name: &'a str,
    publisher: PublisherView<'a>,
    subscribers: &'a Subscribers,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'a TopicAccess>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publishers: Option<&'a TopicPublishers>,
    #[serde(with = "iso_serde")]
    create_timestamp: OffsetDateTime,
    #[serde(with = "iso_serde")]
    modify_timestamp: OffsetDateTime,
}

/// How publications arrive, and what they are.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PublisherView<'a> {
    #[serde(rename = "type")]
    kind: PublisherType,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<&'a Map<String, Value>>,
    payload: Payload,
    #[serde(skip_serializing_if = "Option::is_none")]
    always_on: Option<bool>,
}

impl<'a> TopicView<'a> {
    /// The view of someone who may change the topic.
    pub fn full(topic: &'a Topic) -> Self {
        let publisher = &topic.publisher;
        Self {
            id: &topic.id,
            name: &topic.name,
            publisher: PublisherView {
                kind: publisher.kind,
                config: Some(&publisher.config),
                payload: publisher.payload,
                always_on: publisher.always_on,
            },
            subscribers: &topic.subscribers,
            access: Some(&topic.access),
            publishers: Some(&topic.publishers),
            create_timestamp: topic.create_timestamp,
            modify_timestamp: topic.modify_timestamp,
        }
    }

    /// The view of someone who may only see it.
    pub fn limited(topic: &'a Topic) -> Self {
        let full = Self::full(topic);
        Self {
            publisher: PublisherView {
                config: None,
                ..full.publisher
            },
            access: None,
            publishers: None,
            ..full
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn notes_and_access_are_for_those_who_may_change_it() {
        let definition = json!({
            "name": "orders",
            "publisher": {"type": "http-post", "config": {"team": "sales"}, "alwaysOn": false},
            "access": {"labels": ["gold"]},
        });
        let definition = from_value(definition).unwrap();
        let topic = Topic::new(TopicId::new("t1"), definition, OffsetDateTime::UNIX_EPOCH);
        let full = to_value(TopicView::full(&topic)).unwrap();
        assert_eq!(full["publisher"]["config"], json!({"team": "sales"}));
        assert_eq!(full["access"], json!({"labels": ["gold"]}));
        assert_eq!(full["publishers"], json!("everyone"));
        let mut limited = to_value(TopicView::limited(&topic)).unwrap();
        for hidden in ["access", "publishers"] {
            assert_eq!(limited.get(hidden), None);
            limited[hidden] = full[hidden].clone();
        }
        assert_eq!(limited["publisher"].get("config"), None);
        limited["publisher"]["config"] = full["publisher"]["config"].clone();
        assert_eq!(limited, full);
    }
}
