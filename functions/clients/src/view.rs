//! What is returned of a client, and of a key: no hashes.

use bellwire_domain::ClientId;
use bellwire_domain::client::{ExternalId, Labels};
use bellwire_domain::timestamp::iso_serde;
use bellwire_store::{ApiKey, Client};
use serde::Serialize;
use time::OffsetDateTime;

/// A client as a list shows it. Times are in ISO 8601.
#[derive(Serialize)]
pub struct ListedClient<'a> {
    client_id: &'a ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a ExternalId>,
    name: &'a str,
    labels: &'a Labels,
    publisher: bool,
    operator: bool,
    disabled: bool,
    #[serde(with = "iso_serde")]
    created_at: OffsetDateTime,
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    disabled_at: Option<OffsetDateTime>,
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    deleting_since: Option<OffsetDateTime>,
}

impl<'a> From<&'a Client> for ListedClient<'a> {
    fn from(client: &'a Client) -> Self {
        Self {
            client_id: &client.client_id,
            external_id: client.external_id.as_ref(),
            name: &client.name,
            labels: &client.labels,
            publisher: client.publisher,
            operator: client.operator,
            disabled: client.disabled_at.is_some(),
            created_at: client.created_at,
            disabled_at: client.disabled_at,
            deleting_since: client.deleting_since,
        }
    }
}

/// A client with its keys, oldest first.
#[derive(Serialize)]
pub struct ClientView<'a> {
    #[serde(flatten)]
    client: ListedClient<'a>,
    keys: Vec<KeyView<'a>>,
}

impl<'a> ClientView<'a> {
    /// The view of a client that has these keys.
    pub fn new(client: &'a Client, keys: &'a [ApiKey]) -> Self {
        Self {
            client: client.into(),
            keys: keys.iter().map(KeyView::of).collect(),
        }
    }
}

/// A key, by its last characters.
#[derive(Serialize)]
pub struct KeyView<'a> {
    id: String,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_four: Option<&'a str>,
    #[serde(with = "iso_serde")]
    created_at: OffsetDateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_on: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
}

impl<'a> KeyView<'a> {
    fn of(key: &'a ApiKey) -> Self {
        Self {
            id: key.id(),
            name: &key.name,
            last_four: key.last_four.as_deref(),
            created_at: key.created_at,
            used_on: key.used_on.as_deref(),
            api_key: None,
        }
    }

    /// The view of a key that was just made, with the key itself.
    pub fn made(key: &'a ApiKey, secret: &'a str) -> Self {
        Self {
            api_key: Some(secret),
            ..Self::of(key)
        }
    }
}
