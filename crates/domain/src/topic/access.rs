//! Who may see a topic and receive its publications, and which publishers may publish to it and change it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ClientId;
use crate::client::{ClientReference, Label, Labels};

/// How many clients a topic names, at most.
pub const MAX_CLIENTS: usize = 500;
/// How many labels a topic names, at most.
pub const MAX_TOPIC_LABELS: usize = 50;

/// Who may see a topic: `"everyone"`, `{"clients": […]}` by either of their ids, or `{"labels": […]}`, of which a client
/// has to carry one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TopicAccess {
    /// Every client.
    #[default]
    Everyone,
    /// These clients.
    Clients(NamedClients),
    /// The clients that carry one of these labels.
    Labels(NamedLabels),
}

impl TopicAccess {
    /// Whether every client may see the topic.
    pub fn is_everyone(&self) -> bool {
        *self == Self::Everyone
    }

    /// Whether it depends on the labels of clients.
    pub fn needs_labels(&self) -> bool {
        matches!(self, Self::Labels(_))
    }

    /// Whether it permits the client with this id and these labels.
    pub fn permits(&self, client_id: &ClientId, labels: &Labels) -> bool {
        match self {
            Self::Everyone => true,
            Self::Clients(clients) => clients.contains(client_id),
            Self::Labels(named) => named.0.iter().any(|label| labels.contains(label)),
        }
    }
}

/// Which publishers may publish to a topic and change it, beside operators: `"everyone"`, or `{"clients": […]}` by either
/// of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TopicPublishers {
    /// Every publisher. Topics of earlier versions, which name none, have this.
    #[default]
    Everyone,
    /// These, as far as they are publishers.
    Clients(NamedClients),
}

impl TopicPublishers {
    /// One publisher alone.
    pub fn only(client_id: ClientId) -> Self {
        Self::Clients(NamedClients(vec![ClientReference::Id(client_id)]))
    }

    /// Whether every publisher is meant.
    pub fn is_everyone(&self) -> bool {
        *self == Self::Everyone
    }

    /// Whether the publisher with this id is meant.
    pub fn include(&self, client_id: &ClientId) -> bool {
        match self {
            Self::Everyone => true,
            Self::Clients(clients) => clients.contains(client_id),
        }
    }

    /// Whether this client is named.
    pub fn name(&self, client_id: &ClientId) -> bool {
        matches!(self, Self::Clients(clients) if clients.contains(client_id))
    }
}

/// Up to 500 clients, as they were named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<ClientReference>")]
pub struct NamedClients(Vec<ClientReference>);

impl NamedClients {
    fn contains(&self, client_id: &ClientId) -> bool {
        let mut named = self.0.iter();
        named.any(|named| match named {
            ClientReference::Id(id) => id == client_id,
            ClientReference::External(id) => id.client_id() == *client_id,
        })
    }
}

/// There are none, or more than a topic may name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {most} {what}")]
pub struct BadNumber {
    most: usize,
    what: &'static str,
}

impl TryFrom<Vec<ClientReference>> for NamedClients {
    type Error = BadNumber;

    fn try_from(mut clients: Vec<ClientReference>) -> Result<Self, BadNumber> {
        let mut seen = BTreeSet::new();
        clients.retain(|client| seen.insert(client.client_id()));
        if (1..=MAX_CLIENTS).contains(&clients.len()) {
            return Ok(Self(clients));
        }
        Err(BadNumber {
            most: MAX_CLIENTS,
            what: "ids of clients",
        })
    }
}

/// Up to 50 labels, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<Label>")]
pub struct NamedLabels(BTreeSet<Label>);

impl TryFrom<BTreeSet<Label>> for NamedLabels {
    type Error = BadNumber;

    fn try_from(labels: BTreeSet<Label>) -> Result<Self, BadNumber> {
        if (1..=MAX_TOPIC_LABELS).contains(&labels.len()) {
            return Ok(Self(labels));
        }
        Err(BadNumber {
            most: MAX_TOPIC_LABELS,
            what: "labels",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;
    use crate::client::ExternalId;

    fn labels(labels: &[&str]) -> Labels {
        from_value(json!(labels)).unwrap()
    }

    #[test]
    fn access_is_for_everyone_for_clients_or_for_labels() {
        let acme = ExternalId::parse("acme").unwrap().client_id();
        let other = ClientId::generate().unwrap();
        let permits = |access: Value, id: &ClientId, has: &[&str]| {
            let access: TopicAccess = from_value(access).unwrap();
            access.permits(id, &labels(has))
        };
        assert!(permits(json!("everyone"), &other, &[]));
        for named in ["acme", acme.as_str()] {
            let access = json!({"clients": ["someone", named]});
            assert!(permits(access.clone(), &acme, &[]));
            assert!(!permits(access, &other, &["acme"]));
        }
        let access = json!({"labels": ["gold", "eu"]});
        assert!(permits(access.clone(), &other, &["eu", "silver"]));
        assert!(!permits(access.clone(), &other, &["silver"]));
        assert!(!permits(access, &other, &[]));
    }

    #[test]
    fn it_is_written_as_it_was_said() {
        let id = ClientId::generate().unwrap();
        for said in [
            json!("everyone"),
            json!({"clients": ["acme", id.as_str()]}),
            json!({"labels": ["eu", "gold"]}),
        ] {
            let access: TopicAccess = from_value(said.clone()).unwrap();
            assert_eq!(serde_json::to_value(access).unwrap(), said);
        }
        // A client that is named twice counts once.
        let internal = ExternalId::parse("acme").unwrap().client_id();
        let twice: NamedClients = from_value(json!(["acme", internal.as_str()])).unwrap();
        assert_eq!(twice.0.len(), 1);
    }

    #[test]
    fn what_names_nobody_or_too_many_is_refused() {
        let many: Vec<String> = (0..=MAX_CLIENTS).map(|n| format!("c{n}")).collect();
        let many_labels: Vec<String> = (0..=MAX_TOPIC_LABELS).map(|n| format!("l{n}")).collect();
        for bad in [
            json!({"clients": []}),
            json!({"clients": many}),
            json!({"clients": ["a b"]}),
            json!({"clients": "acme"}),
            json!({"clients": null}),
            json!({"labels": []}),
            json!({"labels": many_labels}),
            json!({"labels": ["Gold"]}),
            json!({"clients": ["acme"], "labels": ["gold"]}),
            json!({"groups": ["acme"]}),
            json!({}),
            json!("nobody"),
            json!(null),
            json!([]),
        ] {
            assert!(from_value::<TopicAccess>(bad.clone()).is_err(), "{bad}");
        }
        assert!(from_value::<TopicPublishers>(json!({"labels": ["gold"]})).is_err());
    }

    #[test]
    fn publishers_are_all_or_those_that_are_named() {
        let (one, other) = (ClientId::generate().unwrap(), ClientId::generate().unwrap());
        let everyone = TopicPublishers::default();
        assert!(everyone.include(&other) && !everyone.name(&other));
        let only = TopicPublishers::only(one.clone());
        assert!(only.include(&one) && only.name(&one));
        assert!(!only.include(&other) && !only.name(&other));
    }
}
