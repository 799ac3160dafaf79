//! `bellwire clients list` and `show`.

use anyhow::anyhow;
use bellwire_domain::ClientId;
use bellwire_domain::client::{ExternalId, Label, Labels};
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::topic::search::Search;
use bellwire_store::Client;
use serde::Serialize;
use time::OffsetDateTime;

use super::keys::ListedKey;
use super::{Stack, role, state};
use crate::print::to_the_second;

/// A client as it is printed: without its hashes.
#[derive(Serialize)]
pub struct Listed<'a> {
    client_id: &'a ClientId,
    external_id: Option<&'a ExternalId>,
    name: &'a str,
    labels: &'a Labels,
    publisher: bool,
    operator: bool,
    #[serde(with = "iso_serde")]
    created_at: OffsetDateTime,
    #[serde(with = "iso_serde::option")]
    key_rotated_at: Option<OffsetDateTime>,
    #[serde(with = "iso_serde::option")]
    disabled_at: Option<OffsetDateTime>,
    #[serde(with = "iso_serde::option")]
    deleting_since: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<ListedKey<'a>>>,
}

impl<'a> From<&'a Client> for Listed<'a> {
    fn from(client: &'a Client) -> Self {
        Self {
            client_id: &client.client_id,
            external_id: client.external_id.as_ref(),
            name: &client.name,
            labels: &client.labels,
            publisher: client.publisher,
            operator: client.operator,
            created_at: client.created_at,
            key_rotated_at: client.key_rotated_at,
            disabled_at: client.disabled_at,
            deleting_since: client.deleting_since,
            keys: None,
        }
    }
}

impl Stack {
    /// Lists the clients that the search expression fits, or all.
    pub async fn list(&self, search: Option<&str>) -> anyhow::Result<()> {
        let search = search.map(Search::parse).transpose();
        let search = search.map_err(|bad| anyhow!("--search {bad}"))?;
        let mut found = self.lifecycle.clients.list().await?;
        if let Some(search) = search {
            let fits = |client: &Client| {
                let listed = serde_json::to_value(Listed::from(client));
                listed.is_ok_and(|listed| search.matches(&listed))
            };
            found.retain(fits);
        }
        let listed: Vec<Listed<'_>> = found.iter().map(Listed::from).collect();
        self.output.many(
            "clients",
            &listed,
            &["CLIENT ID", "NAME", "ROLE", "CREATED", "STATE"],
            found.iter().map(|client| {
                vec![
                    client.client_id.to_string(),
                    client.name.clone(),
                    role(client).to_owned(),
                    to_the_second(client.created_at),
                    state(client).to_owned(),
                ]
            }),
        )
    }

    /// Shows a client with its keys.
    pub async fn show(&self, client: &str) -> anyhow::Result<()> {
        let client = self.find(client).await?;
        let keys = self.lifecycle.keys.of(&client).await?;
        let keys: Vec<ListedKey<'_>> = keys.iter().map(ListedKey::from).collect();
        let external_id = client.external_id.as_ref().map_or("", ExternalId::as_str);
        let labels: Vec<&str> = client.labels.iter().map(Label::as_str).collect();
        let (labels, created) = (labels.join(", "), to_the_second(client.created_at));
        let shown: Vec<String> = keys.iter().map(ListedKey::line).collect();
        let mut fields = vec![
            ("client id", client.client_id.as_str()),
            ("external id", external_id),
            ("name", &client.name),
            ("labels", &labels),
            ("role", role(&client)),
            ("created", &created),
            ("state", state(&client)),
        ];
        fields.extend(shown.iter().map(|line| ("key", line.as_str())));
        let listed = Listed {
            keys: Some(keys),
            ..Listed::from(&client)
        };
        self.output.one(&listed, &fields)
    }

    /// Prints a client that was changed.
    pub fn print_changed(&self, client: &Client) -> anyhow::Result<()> {
        self.output.one(
            &Listed::from(client),
            &[
                ("client id", client.client_id.as_str()),
                ("name", &client.name),
                ("state", state(client)),
            ],
        )
    }
}
