//! `POST {"callbackUrl"}`: SNS sends a token to the URL. Again while it waits: the
//! token is sent again. Already confirmed: nothing is sent, options may change.

use bellwire_edge::Failure;
use bellwire_notifications::{DeadLetterQueue, Registrations};
use bellwire_rules::ClientId;
use bellwire_store::callbacks::Wanted;
use bellwire_store::{Callback, CallbackStatus};
use serde::Serialize;

use crate::request::Registration;

/// How many URLs a client may register. SNS allows 200 filter policies per topic.
/// <https://docs.aws.amazon.com/general/latest/gr/sns.html>
const MAX_URLS: usize = 100;

/// How far a URL got, in a sentence and in a word.
#[derive(Serialize)]
pub struct Progress {
    message: &'static str,
    #[serde(rename = "callbackUrl")]
    callback_url: String,
    status: CallbackStatus,
}

impl From<Callback> for Progress {
    fn from(callback: Callback) -> Self {
        Self {
            message: match callback.status {
                CallbackStatus::PendingConfirmation => {
                    "A confirmation request is on its way to the callback URL. \
                     POST the token that it contains to confirm the subscription."
                }
                CallbackStatus::Confirmed => "The subscription is confirmed.",
            },
            callback_url: callback.callback_url,
            status: callback.status,
        }
    }
}

/// Registers a URL for the client.
pub async fn register(
    registrations: &Registrations,
    dead_letters: &DeadLetterQueue,
    client: &ClientId,
    wish: Registration,
) -> Result<Progress, Failure> {
    let known = registrations
        .get(client, wish.url.as_str())
        .await
        .map_err(Failure::internal)?;
    match known {
        Some(callback) if callback.is_confirmed() => {
            change_options(registrations, client, callback, wish).await
        }
        None if registrations
            .count(client)
            .await
            .map_err(Failure::internal)?
            >= MAX_URLS =>
        {
            Err(Failure::conflict(format!(
                "callbackUrl: {MAX_URLS} URLs are registered already, which is the most; unsubscribe one first"
            )))
        }
        pending => {
            let (statuses, format) = pending.map(|it| (it.statuses, it.format)).unzip();
            registrations
                .request_confirmation(
                    client,
                    &wish.url,
                    wish.statuses.or(statuses).unwrap_or_default(),
                    wish.format.or(format).unwrap_or_default(),
                    dead_letters,
                )
                .await
                .map(Progress::from)
                .map_err(Failure::internal)
        }
    }
}

async fn change_options(
    registrations: &Registrations,
    client: &ClientId,
    callback: Callback,
    wish: Registration,
) -> Result<Progress, Failure> {
    let wanted = Wanted {
        statuses: wish.statuses.unwrap_or(callback.statuses.clone()),
        format: wish.format.unwrap_or(callback.format),
        ..callback.wanted()
    };
    if (&wanted.statuses, wanted.format) != (&callback.statuses, callback.format) {
        registrations
            .change_options(client, &wanted)
            .await
            .map_err(Failure::internal)?;
    }
    Ok(callback.into())
}
