//! What the API returns, as far as both consoles read it.

use serde::Deserialize;

/// A page of a list of protocol B, or of clients.
#[derive(Debug, Deserialize)]
pub struct Items<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What leads to others.
    #[serde(default)]
    pub links: Links,
}

/// The links of a list.
#[derive(Debug, Default, Deserialize)]
pub struct Links {
    /// To the next page.
    pub next: Option<String>,
}

/// A topic.
#[derive(Clone, Debug, Deserialize)]
pub struct Topic {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What is published.
    pub publisher: Publisher,
}

/// What is published to a topic.
#[derive(Clone, Debug, Deserialize)]
pub struct Publisher {
    /// Documents or events.
    pub payload: Payload,
}

/// The kind of what is published.
#[derive(Clone, Debug, Deserialize)]
pub struct Payload {
    /// `snapshot` or `event`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Topic {
    /// Whether events are published to it, and no document.
    pub fn has_events(&self) -> bool {
        self.publisher.payload.kind == "event"
    }
}
