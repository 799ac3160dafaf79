//! `bellwire clients`: who may call the API.
//!
//! `create`, `list` (and `show`), `change` (names, labels, disabling, enabling, deletion), `keys` and `secret`.

mod change;
mod create;
mod keys;
mod list;
mod secret;

use anyhow::anyhow;
use bellwire_client_lifecycle::ClientLifecycle;
use bellwire_domain::client::{DisplayName, Labels};
use bellwire_store::Client;
use clap::Subcommand;

use crate::lifecycle;
use crate::print::Output;
use crate::stack::{self, Deployed};
use crate::tables::find_client;

const SHOWN_ONCE: &str = "Keep these now: they are stored as hashes and can't be shown again.";
const UNTIL_THEN: &str =
    "Functions that are running may accept the old key for another 60 seconds.";

#[derive(Subcommand)]
pub enum Command {
    /// Make a client; prints its key and secret, this once
    Create(create::Wanted),
    /// List all clients
    List {
        /// Only those that an expression fits, such as 'labels:gold AND disabled_at?', as in the API
        #[arg(long)]
        search: Option<String>,
    },
    /// Show a client with its keys
    Show {
        /// The client's id, or the one that you gave it
        client: String,
    },
    /// Change a client's name or labels
    Update(change::Update),
    /// Disable a client: its keys and secret stop working, and nothing more is delivered to it
    Disable {
        /// The client's id, or the one that you gave it
        client: String,
    },
    /// Enable a client that was disabled
    Enable {
        /// The client's id, or the one that you gave it
        client: String,
    },
    /// Remove a client with all that is its own: subscriptions, their records, queries
    Delete {
        /// The client's id, or the one that you gave it
        client: String,
    },
    /// List, create and revoke a client's API keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Replace a client's secret; prints the new one, this once. The old one is good for another day
    RotateSecret {
        /// The client's id, or the one that you gave it
        client: String,
    },
    /// Replace all API keys of a client by a new one; prints it, this once
    RotateKey {
        /// The client's id, or the one that you gave it
        client: String,
    },
}

/// Runs one of the commands on the clients of a stack.
pub async fn run(command: Command, stack: &str, output: Output) -> anyhow::Result<()> {
    let config = stack::aws().await;
    let deployed = Deployed::read(&config, stack).await?;
    let stack = Stack {
        lifecycle: lifecycle::of(&config, &deployed)?,
        output,
    };
    match command {
        Command::Create(wanted) => stack.create(wanted).await,
        Command::List { search } => stack.list(search.as_deref()).await,
        Command::Show { client } => stack.show(&client).await,
        Command::Update(update) => stack.update(update).await,
        Command::Disable { client } => stack.set_disabled(&client, true).await,
        Command::Enable { client } => stack.set_disabled(&client, false).await,
        Command::Delete { client } => stack.delete(&client).await,
        Command::Keys(keys::Command::List { client }) => stack.list_keys(&client).await,
        Command::Keys(keys::Command::Create { client, name }) => {
            stack.create_key(&client, name.as_deref()).await
        }
        Command::Keys(keys::Command::Revoke { client, key_id }) => {
            stack.revoke_key(&client, &key_id).await
        }
        Command::RotateSecret { client } => stack.rotate_secret(&client).await,
        Command::RotateKey { client } => stack.rotate_key(&client).await,
    }
}

/// The clients of a stack, and where to print.
struct Stack {
    lifecycle: ClientLifecycle,
    output: Output,
}

impl Stack {
    /// The client with this id, the stack's or the provider's.
    async fn find(&self, client: &str) -> anyhow::Result<Client> {
        find_client(&self.lifecycle.clients, client).await
    }
}

fn name(text: &str) -> anyhow::Result<DisplayName> {
    DisplayName::try_from(text.to_owned()).map_err(|bad| anyhow!("a name {bad}"))
}

fn labels(texts: &[String]) -> anyhow::Result<Labels> {
    let labels = texts.iter().map(|text| text.clone().try_into());
    let labels = labels
        .collect::<Result<Vec<_>, _>>()
        .map_err(|bad| anyhow!("labels {bad}"))?;
    labels.try_into().map_err(|bad| anyhow!("labels {bad}"))
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

fn state(client: &Client) -> &'static str {
    if client.deleting_since.is_some() {
        "being deleted"
    } else if client.disabled_at.is_some() {
        "disabled"
    } else {
        "active"
    }
}
