//! `POST {"callbackUrl"}`: SNS sends a token to the URL. While the URL is not confirmed, the same
//! request has a token sent again. Once it is, nothing is sent, and the request may change the options.

use bellwire_api::Failure;
use bellwire_domain::ClientId;
use bellwire_query_notifications::{RegistrationError, Registrations};
use bellwire_store::callbacks::Wanted;
use bellwire_store::{Callback, CallbackStatus};
use serde::Serialize;

use crate::request::Registration;

/// The most URLs that a client may register. Every URL has a filter policy, and SNS allows 200 of them
/// per topic (and 10,000 per account, unless that quota is raised).
/// <https://docs.aws.amazon.com/general/latest/gr/sns.html>
const MAX_URLS: usize = 100;

/// The body of the response: the status of a URL, with a sentence that explains it.
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

/// Registers a URL for the client, or changes the options of one that is confirmed.
///
/// # Errors
/// 400 when SNS refuses the URL; 409 when the client has as many URLs as it may have; 500 when SNS or
/// the table fails.
pub async fn register(
    registrations: &Registrations,
    client: &ClientId,
    registration: Registration,
) -> Result<Progress, Failure> {
    let known = registrations
        .get(client, registration.url.as_str())
        .await
        .map_err(Failure::internal)?;
    let callback = match known {
        Some(callback) if callback.is_confirmed() => callback,
        pending => {
            if pending.is_none() {
                check_room(registrations, client).await?;
            }
            request_confirmation(registrations, client, &registration, pending).await?
        }
    };
    if callback.is_confirmed() {
        change_options(registrations, client, &callback, registration).await?;
    }
    Ok(callback.into())
}

/// Checks that the client may register another URL; 409 if not.
async fn check_room(registrations: &Registrations, client: &ClientId) -> Result<(), Failure> {
    let registered = registrations
        .list(client)
        .await
        .map_err(Failure::internal)?;
    if registered.len() < MAX_URLS {
        return Ok(());
    }
    Err(Failure::conflicting_field(
        "callbackUrl",
        format_args!(
            "{MAX_URLS} URLs are registered already, which is the most; unsubscribe one first"
        ),
    ))
}

/// Makes SNS send a token to the URL. Options that the request leaves out stay as they are in the
/// pending registration, or get their defaults.
async fn request_confirmation(
    registrations: &Registrations,
    client: &ClientId,
    registration: &Registration,
    pending: Option<Callback>,
) -> Result<Callback, Failure> {
    let (statuses, format) = pending.map(|it| (it.statuses, it.format)).unzip();
    registrations
        .request_confirmation(
            client,
            &registration.url,
            registration
                .statuses
                .clone()
                .or(statuses)
                .unwrap_or_default(),
            registration.format.or(format).unwrap_or_default(),
        )
        .await
        .map_err(|error| match error {
            // Such as a host name that SNS doesn't accept.
            RegistrationError::Sns(refused) if refused.is_invalid_parameter() => {
                Failure::field("callbackUrl", "Amazon SNS can't send to this URL")
            }
            other => Failure::internal(other),
        })
}

/// Changes the options of a confirmed URL to those that the request has; options that it leaves out
/// stay.
async fn change_options(
    registrations: &Registrations,
    client: &ClientId,
    callback: &Callback,
    registration: Registration,
) -> Result<(), Failure> {
    let wanted = Wanted {
        statuses: registration
            .statuses
            .unwrap_or_else(|| callback.statuses.clone()),
        format: registration.format.unwrap_or(callback.format),
        ..callback.wanted()
    };
    if (&wanted.statuses, wanted.format) == (&callback.statuses, callback.format) {
        return Ok(());
    }
    registrations
        .change_options(client, &wanted)
        .await
        .map_err(Failure::internal)
}
