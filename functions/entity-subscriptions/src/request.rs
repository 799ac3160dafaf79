//! The bodies of `POST` requests.

use bellwire_api::{Failure, body};
use bellwire_domain::entity::{EntityKey, Spelling};
use bellwire_domain::object::object;
use lambda_http::Request;
use serde::{Deserialize, Serialize};

use crate::credentials::Credentials;

/// The body of `POST /subscriptions`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    client_id: Option<String>,
    client_secret: Option<String>,
    #[serde(deserialize_with = "object")]
    subscription: CreateEntitySubscription,
}

/// The body of `POST /v1/webhooks`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscribeWebhook {
    client_id: Option<String>,
    client_secret: Option<String>,
    #[serde(deserialize_with = "object")]
    webhook: CreateEntitySubscription,
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

/// The body of `POST /subscriptions/{key}/secret/rotate`, and of other requests that say nothing else.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfCredentials {
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// The client's credentials, and the subscription that it asks for in this spelling.
///
/// # Errors
/// 400 and 413 for a body that is refused; 401 when it and the header `Authorization` have different credentials.
pub fn subscribe(
    request: &Request,
    spelling: Spelling,
) -> Result<(Credentials, CreateEntitySubscription), Failure> {
    let (client_id, client_secret, create) = match spelling {
        Spelling::Subscriptions => {
            let body: Subscribe = body::json(request)?;
            (body.client_id, body.client_secret, body.subscription)
        }
        Spelling::Webhooks => {
            let body: SubscribeWebhook = body::json(request)?;
            (body.client_id, body.client_secret, body.webhook)
        }
    };
    let credentials = Credentials::of(request, client_id, client_secret)?;
    Ok((credentials, create))
}

/// The client's credentials. The body may be left out where they are in the header `Authorization`.
///
/// # Errors
/// As for [`subscribe`].
pub fn credentials(request: &Request) -> Result<Credentials, Failure> {
    let body: OfCredentials = if request.body().as_ref().is_empty() {
        OfCredentials::default()
    } else {
        body::json(request)?
    };
    Credentials::of(request, body.client_id, body.client_secret)
}
