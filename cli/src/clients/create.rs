//! `bellwire clients create`.

use anyhow::{Context, anyhow, bail};
use bellwire_domain::client::ExternalId;
use bellwire_domain::{ClientId, Secret};
use bellwire_store::keys::FIRST_KEY;
use bellwire_store::{ApiKey, Client};
use clap::Args;
use serde_json::json;
use time::OffsetDateTime;

use super::keys::new_api_key;
use super::{SHOWN_ONCE, Stack, labels, name, role};

/// The client to create.
#[derive(Args)]
pub struct Wanted {
    /// What to call it; no other client has this name
    name: String,
    /// Let it publish, and put queries on record for other clients
    #[arg(long)]
    publisher: bool,
    /// Let it manage clients, act for them, and do what any publisher may: the key of the provider's backend
    #[arg(long, conflicts_with = "publisher")]
    operator: bool,
    /// Your own id of it, such as a number of your database
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// What to sort it by, such as plan:gold; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
}

impl Stack {
    pub async fn create(&self, wanted: Wanted) -> anyhow::Result<()> {
        let name = name(&wanted.name)?;
        let external_id = wanted.external_id.as_deref().map(ExternalId::parse);
        let external_id = external_id.transpose();
        let external_id = external_id.map_err(|bad| anyhow!("an external id {bad}"))?;
        let labels = labels(&wanted.labels)?;
        let clients = &self.lifecycle.clients;
        // Two that are created at the very same time can still have the same name: the name helps an
        // operator to distinguish clients, and nothing else depends on it.
        let namesake = clients.list().await?;
        if let Some(namesake) = namesake.iter().find(|it| it.name == name.as_str()) {
            bail!(
                "there is a client of the name {} already: {}",
                name.as_str(),
                namesake.client_id
            );
        }
        let api_key = new_api_key()?;
        let client_secret = Secret::generate("bws_").context("no randomness")?;
        let id = match &external_id {
            Some(external_id) => external_id.client_id(),
            None => ClientId::generate().context("no randomness")?,
        };
        let now = OffsetDateTime::now_utc();
        let client = Client {
            publisher: wanted.publisher,
            operator: wanted.operator,
            api_keys: vec![api_key.hash()],
            labels,
            external_id,
            ..Client::new(id, name.as_str(), &client_secret.hash(), now)
        };
        let first_key = ApiKey::new(&client, &api_key, FIRST_KEY, now);
        let first_key = self.lifecycle.keys.put_new(&first_key)?;
        if !clients.create(&client, Some(first_key)).await? {
            let Some(external_id) = &client.external_id else {
                bail!("the client could not be created; please try again");
            };
            bail!("there is a client with the external id {external_id} already");
        }
        self.print_created(&client, &api_key, &client_secret)
    }

    fn print_created(
        &self,
        client: &Client,
        api_key: &Secret,
        client_secret: &Secret,
    ) -> anyhow::Result<()> {
        let mut object = json!({
            "client_id": client.client_id,
            "name": client.name,
            "publisher": client.publisher,
            "operator": client.operator,
            "api_key": api_key.expose(),
            "client_secret": client_secret.expose(),
        });
        let mut fields = vec![("client id", client.client_id.as_str())];
        if let (Some(id), Some(object)) = (&client.external_id, object.as_object_mut()) {
            object.insert("external_id".to_owned(), json!(id));
            fields.push(("external id", id.as_str()));
        }
        fields.extend([
            ("name", client.name.as_str()),
            ("role", role(client)),
            ("api key", api_key.expose()),
            ("client secret", client_secret.expose()),
        ]);
        self.output.one(&object, &fields)?;
        self.output.remark(SHOWN_ONCE)
    }
}
