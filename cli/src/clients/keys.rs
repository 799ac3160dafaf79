//! `bellwire clients keys`, and `rotate-key`.

use anyhow::{Context, anyhow, bail, ensure};
use bellwire_domain::Secret;
use bellwire_domain::timestamp::iso_serde;
use bellwire_store::keys::{FIRST_KEY, KeyAdded, MAX_KEYS, key_id};
use bellwire_store::{ApiKey, Client};
use clap::Subcommand;
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;

use super::{SHOWN_ONCE, Stack, UNTIL_THEN, name};

#[derive(Subcommand)]
pub enum Command {
    /// List a client's keys, by their last characters
    List {
        /// The client's id, or the one that you gave it
        client: String,
    },
    /// Make another key; prints it, this once
    Create {
        /// The client's id, or the one that you gave it
        client: String,
        /// What to call the key
        #[arg(long)]
        name: Option<String>,
    },
    /// Revoke a key
    Revoke {
        /// The client's id, or the one that you gave it
        client: String,
        /// The key's id, as `list` shows it
        key_id: String,
    },
}

/// A key as it is printed.
#[derive(Serialize)]
pub struct ListedKey<'a> {
    id: String,
    name: &'a str,
    last_four: Option<&'a str>,
    #[serde(with = "iso_serde")]
    created_at: OffsetDateTime,
    used_on: Option<&'a str>,
}

impl<'a> From<&'a ApiKey> for ListedKey<'a> {
    fn from(key: &'a ApiKey) -> Self {
        Self {
            id: key.id(),
            name: &key.name,
            last_four: key.last_four.as_deref(),
            created_at: key.created_at,
            used_on: key.used_on.as_deref(),
        }
    }
}

impl ListedKey<'_> {
    /// The key in one line.
    pub fn line(&self) -> String {
        format!(
            "{}  …{}  used {}  {}",
            self.id,
            self.last_four.unwrap_or("????"),
            self.used_on.unwrap_or("never"),
            self.name
        )
    }
}

impl Stack {
    /// Lists a client's keys.
    pub async fn list_keys(&self, client: &str) -> anyhow::Result<()> {
        let client = self.find(client).await?;
        let keys = self.lifecycle.keys.of(&client).await?;
        let keys: Vec<ListedKey<'_>> = keys.iter().map(ListedKey::from).collect();
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        self.output.many(
            "keys",
            &keys,
            &["KEY ID", "NAME", "ENDS WITH", "USED ON"],
            keys.iter().map(|key| {
                vec![
                    key.id.clone(),
                    key.name.to_owned(),
                    text(key.last_four),
                    text(key.used_on),
                ]
            }),
        )
    }

    /// Adds a key to a client.
    pub async fn create_key(&self, client: &str, called: Option<&str>) -> anyhow::Result<()> {
        let called = called.map(name).transpose()?;
        let client = self.find(client).await?;
        let called = called.as_ref().map_or("key", |name| name.as_str());
        let (api_key, id) = self.add_key(&client, called).await?;
        self.output.one(
            &json!({
                "client_id": client.client_id,
                "id": id,
                "name": called,
                "api_key": api_key.expose(),
            }),
            &[
                ("client id", client.client_id.as_str()),
                ("key id", &id),
                ("name", called),
                ("api key", api_key.expose()),
            ],
        )?;
        self.output.remark(SHOWN_ONCE)
    }

    /// Revokes a key of a client.
    pub async fn revoke_key(&self, client: &str, id: &str) -> anyhow::Result<()> {
        let found = self.find(client).await?;
        let hash = found.key_hashes().find(|hash| key_id(hash) == id);
        let hash = hash.with_context(|| format!("the client {client} has no key {id}"))?;
        self.lifecycle.keys.revoke(&found, hash).await?;
        self.output.one(
            &json!({ "client_id": found.client_id, "id": id, "revoked": true }),
            &[
                ("client id", found.client_id.as_str()),
                ("key id", id),
                ("state", "revoked"),
            ],
        )?;
        self.output.remark(UNTIL_THEN)
    }

    /// Adds a key, and revokes all others. If it is cut off in between, the next one revokes what is left.
    pub async fn rotate_key(&self, client: &str) -> anyhow::Result<()> {
        let client = self.find(client).await?;
        let (api_key, _) = self.add_key(&client, FIRST_KEY).await?;
        for hash in client.key_hashes() {
            self.lifecycle.keys.revoke(&client, hash).await?;
        }
        self.output.one(
            &json!({
                "client_id": client.client_id,
                "api_key": api_key.expose(),
            }),
            &[
                ("client id", client.client_id.as_str()),
                ("api key", api_key.expose()),
            ],
        )?;
        self.output.remark(SHOWN_ONCE)?;
        self.output.remark(UNTIL_THEN)
    }

    /// Adds a key to a client. Returns it, and its id.
    async fn add_key(&self, client: &Client, called: &str) -> anyhow::Result<(Secret, String)> {
        ensure!(
            client.disabled_at.is_none(),
            "the client is disabled, or being deleted"
        );
        let api_key = new_api_key()?;
        let new = ApiKey::new(client, &api_key, called, OffsetDateTime::now_utc());
        match self.lifecycle.keys.add(&new, None).await? {
            KeyAdded::Done => Ok((api_key, new.id())),
            KeyAdded::Refused if client.key_hashes().count() >= MAX_KEYS => Err(anyhow!(
                "a client can have at most {MAX_KEYS} keys: revoke one first"
            )),
            KeyAdded::Refused => bail!("the client was changed meanwhile; please try again"),
        }
    }
}

pub fn new_api_key() -> anyhow::Result<Secret> {
    Secret::generate("bwk_").context("no randomness")
}
