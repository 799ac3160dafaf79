//! `GET`: the client's callback URLs, and whether each is confirmed.

use bellwire_api::Failure;
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::{ClientId, Format, Statuses};
use bellwire_query_notifications::Registrations;
use bellwire_store::{Callback, CallbackStatus};
use serde::Serialize;
use time::OffsetDateTime;

/// The body of the response.
#[derive(Serialize)]
pub struct Subscriptions {
    subscriptions: Vec<Subscription>,
}

#[derive(Serialize)]
struct Subscription {
    #[serde(rename = "callbackUrl")]
    callback_url: String,
    status: CallbackStatus,
    statuses: Statuses,
    format: Format,
    #[serde(with = "iso_serde")]
    created_at: OffsetDateTime,
    #[serde(with = "iso_serde::option")]
    confirmed_at: Option<OffsetDateTime>,
}

impl From<Callback> for Subscription {
    fn from(callback: Callback) -> Self {
        Self {
            callback_url: callback.callback_url,
            status: callback.status,
            statuses: callback.statuses,
            format: callback.format,
            created_at: callback.created_at,
            confirmed_at: callback.confirmed_at,
        }
    }
}

/// The client's URLs as SNS has them, oldest first.
///
/// # Errors
/// 500 when SNS or the table fails.
pub async fn list(
    registrations: &Registrations,
    client: &ClientId,
) -> Result<Subscriptions, Failure> {
    let callbacks = registrations
        .list(client)
        .await
        .map_err(Failure::internal)?;
    Ok(Subscriptions {
        subscriptions: callbacks.into_iter().map(Subscription::from).collect(),
    })
}
