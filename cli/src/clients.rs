//! `bellwire clients`: who may call the API.

use anyhow::{Context, anyhow, bail, ensure};
use bellwire_domain::endpoint::signature::ROTATION;
use bellwire_domain::timestamp::{self, iso_serde};
use bellwire_domain::{ClientId, Secret};
use bellwire_store::keys::{FIRST_KEY, KeyAdded};
use bellwire_store::{ApiKey, Client, Clients, Keys};
use clap::Subcommand;
use serde::Serialize;
use time::OffsetDateTime;

use crate::own::Own;
use crate::print::Output;
use crate::stack;

const MAX_NAME_LENGTH: usize = 100;
const SHOWN_ONCE: &str = "Keep these now: they are stored as hashes and can't be shown again.";
const UNTIL_THEN: &str =
    "Functions that are running may accept the old key for another 60 seconds.";

#[derive(Subcommand)]
pub enum Command {
    /// Make a client; prints its key and secret, this once
    Create {
        /// What to call it; no other client has this name
        name: String,
        /// Let it publish, and put queries on record for other clients
        #[arg(long)]
        publisher: bool,
        /// Let it manage clients, act for them, and do what any publisher may: the key of the provider's backend
        #[arg(long, conflicts_with = "publisher")]
        operator: bool,
    },
    /// List all clients
    List,
    /// Disable a client: its key and secret stop working, and nothing more is delivered to it
    Disable {
        /// The client's id
        client_id: String,
    },
    /// Enable a client that was disabled
    Enable {
        /// The client's id
        client_id: String,
    },
    /// Remove a client with all that is its own: subscriptions, their records, queries
    Delete {
        /// The client's id
        client_id: String,
    },
    /// Replace a client's secret; prints the new one, this once. The old one is good for another day
    RotateSecret {
        /// The client's id
        client_id: String,
    },
    /// Replace a client's API key; prints the new one, this once
    RotateKey {
        /// The client's id
        client_id: String,
    },
}

/// A client as it is printed: without its hashes.
#[derive(Serialize)]
struct Listed<'a> {
    client_id: &'a ClientId,
    name: &'a str,
    publisher: bool,
    operator: bool,
    #[serde(with = "iso_serde")]
    created_at: OffsetDateTime,
    #[serde(with = "iso_serde::option")]
    key_rotated_at: Option<OffsetDateTime>,
    #[serde(with = "iso_serde::option")]
    disabled_at: Option<OffsetDateTime>,
}

impl<'a> From<&'a Client> for Listed<'a> {
    fn from(client: &'a Client) -> Self {
        Self {
            client_id: &client.client_id,
            name: &client.name,
            publisher: client.publisher,
            operator: client.operator,
            created_at: client.created_at,
            key_rotated_at: client.key_rotated_at,
            disabled_at: client.disabled_at,
        }
    }
}

/// Runs one of the commands on the clients of a stack.
pub async fn run(command: Command, stack: &str, output: Output) -> anyhow::Result<()> {
    let config = stack::aws().await;
    let db = aws_sdk_dynamodb::Client::new(&config);
    let table = stack::output(&config, stack, "ClientsTable").await?;
    let keys = stack::output(&config, stack, "KeysTable").await?;
    let keys = Keys::new(db.clone(), keys, table.clone());
    let clients = Clients::new(db, table);
    match command {
        Command::Create {
            name,
            publisher,
            operator,
        } => {
            let role = (publisher, operator);
            create(&clients, &keys, name, role, output).await
        }
        Command::List => list(&clients, output).await,
        Command::Disable { client_id } => disable(stack, &client_id, output).await,
        Command::Enable { client_id } => enable(stack, &client_id, output).await,
        Command::Delete { client_id } => delete(stack, &client_id, output).await,
        Command::RotateSecret { client_id } => rotate_secret(&clients, &client_id, output).await,
        Command::RotateKey { client_id } => rotate_key(&clients, &keys, &client_id, output).await,
    }
}

async fn create(
    clients: &Clients,
    keys: &Keys,
    name: String,
    (publisher, operator): (bool, bool),
    output: Output,
) -> anyhow::Result<()> {
    let length = name.chars().count();
    ensure!(
        (1..=MAX_NAME_LENGTH).contains(&length) && !name.trim().is_empty(),
        "a name has 1 to {MAX_NAME_LENGTH} characters"
    );
    // Two that are created at the very same time can still have the same name: the name helps an
    // operator to distinguish clients, and nothing else depends on it.
    if let Some(namesake) = clients.list().await?.iter().find(|it| it.name == name) {
        bail!(
            "there is a client of the name {name} already: {}",
            namesake.client_id
        );
    }
    let api_key = new_api_key()?;
    let client_secret = Secret::generate("bws_").context("no randomness")?;
    let (id, now) = (
        ClientId::generate().context("no randomness")?,
        OffsetDateTime::now_utc(),
    );
    let client = Client {
        publisher,
        operator,
        api_keys: vec![api_key.hash()],
        ..Client::new(id, &name, &client_secret.hash(), now)
    };
    let key = keys.put_new(&ApiKey::new(&client, &api_key, FIRST_KEY, now))?;
    ensure!(
        clients.create(&client, Some(key)).await?,
        "the client could not be created; please try again"
    );
    output.one(
        &serde_json::json!({
            "client_id": client.client_id,
            "name": client.name,
            "publisher": client.publisher,
            "operator": client.operator,
            "api_key": api_key.expose(),
            "client_secret": client_secret.expose(),
        }),
        &[
            ("client id", client.client_id.as_str()),
            ("name", &client.name),
            ("role", role(&client)),
            ("api key", api_key.expose()),
            ("client secret", client_secret.expose()),
        ],
    )?;
    output.remark(SHOWN_ONCE)
}

async fn list(clients: &Clients, output: Output) -> anyhow::Result<()> {
    let found = clients.list().await?;
    let listed: Vec<Listed<'_>> = found.iter().map(Listed::from).collect();
    output.many(
        "clients",
        &listed,
        &["CLIENT ID", "NAME", "ROLE", "CREATED", "STATE"],
        found.iter().map(|client| {
            vec![
                client.client_id.to_string(),
                client.name.clone(),
                role(client).to_owned(),
                timestamp::spaced(client.created_at)
                    .chars()
                    .take(19)
                    .collect(),
                match client.disabled_at {
                    Some(_) => "disabled".to_owned(),
                    None => "active".to_owned(),
                },
            ]
        }),
    )
}

async fn disable(stack: &str, client_id: &str, output: Output) -> anyhow::Result<()> {
    let id = parse(client_id)?;
    let client = Own::of(stack).await?.disable(&id).await?;
    print_state(client, client_id, "disabled", output)?;
    output.remark(UNTIL_THEN)
}

async fn enable(stack: &str, client_id: &str, output: Output) -> anyhow::Result<()> {
    let id = parse(client_id)?;
    let client = Own::of(stack).await?.enable(&id).await?;
    print_state(client, client_id, "active", output)
}

fn print_state(
    client: Option<Client>,
    client_id: &str,
    state: &str,
    output: Output,
) -> anyhow::Result<()> {
    let client = client.ok_or_else(|| no_such_client(client_id))?;
    output.one(
        &Listed::from(&client),
        &[
            ("client id", client.client_id.as_str()),
            ("name", &client.name),
            ("state", state),
        ],
    )
}

async fn delete(stack: &str, client_id: &str, output: Output) -> anyhow::Result<()> {
    let id = parse(client_id)?;
    ensure!(
        Own::of(stack).await?.delete(&id).await?,
        no_such_client(client_id)
    );
    output.one(
        &serde_json::json!({ "client_id": client_id, "deleted": true }),
        &[("client id", client_id), ("state", "deleted")],
    )
}

async fn rotate_secret(clients: &Clients, client_id: &str, output: Output) -> anyhow::Result<()> {
    let id = parse(client_id)?;
    let client_secret = Secret::generate("bws_").context("no randomness")?;
    let known = clients.get(&id).await?;
    let known = known.ok_or_else(|| no_such_client(client_id))?;
    let now = OffsetDateTime::now_utc();
    let valid_until = now + ROTATION;
    let hash = client_secret.hash();
    let rotated = clients
        .rotate_secret(&known, &hash, now, valid_until)
        .await?;
    let client = rotated.ok_or_else(|| anyhow!("the secret was replaced meanwhile"))?;
    let valid_until = timestamp::iso(valid_until);
    output.one(
        &serde_json::json!({
            "client_id": client.client_id,
            "client_secret": client_secret.expose(),
            "previous_secret_valid_until": valid_until,
        }),
        &[
            ("client id", client.client_id.as_str()),
            ("client secret", client_secret.expose()),
            ("the old one until", &valid_until),
        ],
    )?;
    output.remark(SHOWN_ONCE)
}

/// Adds a key, and revokes all others. If it is cut off in between, the next one revokes what is left.
async fn rotate_key(
    clients: &Clients,
    keys: &Keys,
    client_id: &str,
    output: Output,
) -> anyhow::Result<()> {
    let found = clients.get(&parse(client_id)?).await?;
    let client = found.ok_or_else(|| no_such_client(client_id))?;
    let api_key = new_api_key()?;
    let new = ApiKey::new(&client, &api_key, FIRST_KEY, OffsetDateTime::now_utc());
    let added = keys.add(&new, None).await?;
    ensure!(
        added == KeyAdded::Done,
        "the client is disabled, or has too many keys"
    );
    for hash in client.key_hashes() {
        keys.revoke(&client, hash).await?;
    }
    output.one(
        &serde_json::json!({
            "client_id": client.client_id,
            "api_key": api_key.expose(),
        }),
        &[
            ("client id", client.client_id.as_str()),
            ("api key", api_key.expose()),
        ],
    )?;
    output.remark(SHOWN_ONCE)?;
    output.remark(UNTIL_THEN)
}

fn new_api_key() -> anyhow::Result<Secret> {
    Secret::generate("bwk_").context("no randomness")
}

fn parse(client_id: &str) -> anyhow::Result<ClientId> {
    ClientId::parse(client_id).ok_or_else(|| no_such_client(client_id))
}

fn no_such_client(client_id: &str) -> anyhow::Error {
    anyhow!("there is no client {client_id}")
}

fn role(client: &Client) -> &'static str {
    if client.operator {
        "operator"
    } else if client.publisher {
        "publisher"
    } else {
        "subscriber"
    }
}
