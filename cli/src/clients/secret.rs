//! `bellwire clients rotate-secret`.

use anyhow::{Context, ensure};
use bellwire_domain::endpoint::signature::ROTATION;
use bellwire_domain::{Secret, timestamp};
use serde_json::json;
use time::OffsetDateTime;

use super::{SHOWN_ONCE, Stack};

impl Stack {
    /// Replaces a client's secret; the one before is valid for another day.
    pub async fn rotate_secret(&self, client: &str) -> anyhow::Result<()> {
        let client_secret = Secret::generate("bws_").context("no randomness")?;
        let known = self.find(client).await?;
        let now = OffsetDateTime::now_utc();
        let (hash, valid_until) = (client_secret.hash(), now + ROTATION);
        let clients = &self.lifecycle.clients;
        let rotated = clients.rotate_secret(&known, &hash, now, valid_until, None);
        ensure!(
            rotated.await?,
            "the secret was replaced meanwhile, or the client is being deleted"
        );
        let valid_until = timestamp::iso(valid_until);
        self.output.one(
            &json!({
                "client_id": known.client_id,
                "client_secret": client_secret.expose(),
                "previous_secret_valid_until": valid_until,
            }),
            &[
                ("client id", known.client_id.as_str()),
                ("client secret", client_secret.expose()),
                ("the old one until", &valid_until),
            ],
        )?;
        self.output.remark(SHOWN_ONCE)
    }
}
