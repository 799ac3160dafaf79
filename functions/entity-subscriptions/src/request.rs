//! The bodies of the calls that have one.

use bellwire_rules::entity::EntityKey;
use serde::{Deserialize, Serialize};

use crate::credentials::Credentials;

/// The body of `POST /subscriptions`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    client_id: Option<String>,
    client_secret: Option<String>,
    subscription: CreateEntitySubscription,
}

/// What a client wants to be told, and where.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEntitySubscription {
    /// Of which entity.
    pub entity_key: EntityKey,
    /// The URL that is called, as it was sent.
    pub callback: String,
}

/// The body of `POST /subscriptions/{key}/secret/rotate`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateSecret {
    client_id: Option<String>,
    client_secret: Option<String>,
}

impl Subscribe {
    /// Who wants what.
    pub fn parts(self) -> (Credentials, CreateEntitySubscription) {
        let credentials = Credentials::new(self.client_id, self.client_secret);
        (credentials, self.subscription)
    }
}

impl From<RotateSecret> for Credentials {
    fn from(body: RotateSecret) -> Self {
        Self::new(body.client_id, body.client_secret)
    }
}
