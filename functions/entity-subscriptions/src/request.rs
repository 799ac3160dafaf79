//! The bodies of `POST` requests.

use bellwire_domain::entity::EntityKey;
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

/// The subscription that a client asks for.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEntitySubscription {
    /// The key of the entity whose events are delivered.
    pub entity_key: EntityKey,
    /// The URL that they are delivered to, not checked yet.
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
    /// The client's credentials, and the subscription that it asks for.
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
