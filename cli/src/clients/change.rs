//! `bellwire clients update`, `disable`, `enable` and `delete`.

use anyhow::{anyhow, bail, ensure};
use bellwire_domain::client::Labels;
use bellwire_runtime::deadline::Steps;
use bellwire_store::{Client, ClientChange};
use clap::Args;
use serde_json::json;

use super::{Stack, UNTIL_THEN, labels, name};
use crate::progress;
use crate::tables::no_such_client;

/// What to change of a client.
#[derive(Args)]
pub struct Update {
    /// The client's id, or the one that you gave it
    client: String,
    /// What to call it
    #[arg(long)]
    name: Option<String>,
    /// A label, instead of all that it has; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Take away all labels
    #[arg(long, conflicts_with = "labels")]
    no_labels: bool,
}

impl Stack {
    /// Changes a client's name or labels.
    pub async fn update(&self, update: Update) -> anyhow::Result<()> {
        let labels = match (update.no_labels, update.labels.is_empty()) {
            (true, _) => Some(Labels::default()),
            (false, true) => None,
            (false, false) => Some(labels(&update.labels)?),
        };
        let change = ClientChange {
            name: update.name.as_deref().map(name).transpose()?,
            labels,
            disabled: None,
        };
        ensure!(
            !change.is_empty(),
            "nothing to change: give --name, --label or --no-labels"
        );
        let changed = self.change(&update.client, &change).await?;
        self.print_changed(&changed)
    }

    /// Disables a client, or enables it, with all that belongs to it.
    pub async fn set_disabled(&self, client: &str, disabled: bool) -> anyhow::Result<()> {
        let change = ClientChange {
            disabled: Some(disabled),
            ..ClientChange::default()
        };
        let changed = self.change(client, &change).await?;
        self.print_changed(&changed)?;
        if disabled {
            self.output.remark(UNTIL_THEN)?;
        }
        Ok(())
    }

    async fn change(&self, client: &str, change: &ClientChange) -> anyhow::Result<Client> {
        let known = self.find(client).await?;
        let changed = self.lifecycle.change(&known, change).await?;
        changed.ok_or_else(|| anyhow!("the client {client} is being deleted"))
    }

    /// Removes a client, and everything that belongs to it.
    pub async fn delete(&self, client: &str) -> anyhow::Result<()> {
        let known = self.find(client).await?;
        let bar = progress::bar("subscriptions");
        let watch = |done, all| progress::show(&bar, done, all);
        let deleted = self.lifecycle.delete(&known, &watch).await;
        bar.finish_and_clear();
        match deleted? {
            Some(Steps::Done) => {}
            Some(Steps::OutOfTime) => bail!(
                "not all of the client {client} could be removed yet: please run the command again"
            ),
            None => return Err(no_such_client(client)),
        }
        let id = &known.client_id;
        self.output.one(
            &json!({ "client_id": id, "deleted": true }),
            &[("client id", id.as_str()), ("state", "deleted")],
        )
    }
}
