//! What the API returns, as far as pages show it.

use bellwire_domain::timestamp::iso_serde;
pub use bellwire_web::model::{Items, Topic};
use serde::Deserialize;
use time::OffsetDateTime;

/// A client.
#[derive(Clone, Debug, Deserialize)]
pub struct Client {
    /// Its id.
    pub client_id: String,
    /// The provider's id of it.
    pub external_id: Option<String>,
    /// Its name.
    pub name: String,
    /// What the provider sorts it by.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Whether it may publish.
    pub publisher: bool,
    /// Whether it is an operator.
    pub operator: bool,
    /// Whether it is disabled.
    pub disabled: bool,
    /// When it was created.
    #[serde(with = "iso_serde")]
    pub created_at: OffsetDateTime,
    /// Since when it is being deleted.
    #[serde(default, with = "iso_serde::option")]
    pub deleting_since: Option<OffsetDateTime>,
    /// Its keys, where one client is shown.
    #[serde(default)]
    pub keys: Vec<Key>,
}

impl Client {
    /// What it is, in one word, and the class of its colour.
    pub fn state(&self) -> (&'static str, &'static str) {
        if self.deleting_since.is_some() {
            ("being deleted", "warn")
        } else if self.disabled {
            ("disabled", "bad")
        } else {
            ("active", "good")
        }
    }

    /// What it may do.
    pub fn role(&self) -> &'static str {
        match (self.operator, self.publisher) {
            (true, _) => "operator",
            (false, true) => "publisher",
            (false, false) => "customer",
        }
    }
}

/// An API key.
#[derive(Clone, Debug, Deserialize)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its last characters.
    pub last_four: Option<String>,
    /// The day on which it was last used.
    pub used_on: Option<String>,
    /// The key itself, when it was just made.
    pub api_key: Option<String>,
}

/// An endpoint that fails or is disabled.
#[derive(Clone, Debug, Deserialize)]
pub struct FailingEndpoint {
    /// Whose it is.
    pub client_id: String,
    /// The URL.
    pub url: String,
    /// Since when every attempt has failed.
    #[serde(default, with = "iso_serde::option")]
    pub failing_since: Option<OffsetDateTime>,
    /// Since when nothing is sent to it.
    #[serde(default, with = "iso_serde::option")]
    pub disabled_at: Option<OffsetDateTime>,
    /// Why.
    pub disabled_reason: Option<String>,
}
