//! `POST {"token"}`: confirms a callback URL by the token that SNS sent to it. The token proves that
//! the client can read what is sent there.

use bellwire_api::Failure;
use bellwire_domain::{ClientId, Secret};
use bellwire_query_notifications::Registrations;

use crate::register::Progress;

/// Confirms the URL that the token was sent to. Idempotent: the same token gets the same response.
///
/// # Errors
/// 400 when the token is wrong, expired, or for a URL that another client has registered; 500 when SNS
/// or the table fails.
pub async fn confirm(
    registrations: &Registrations,
    client: &ClientId,
    token: &Secret,
) -> Result<Progress, Failure> {
    registrations
        .confirm(client, token)
        .await
        .map_err(Failure::internal)?
        .map(Progress::from)
        .ok_or_else(|| {
            Failure::field(
                "token",
                "wrong or expired; a token is valid for two days, and only with the API key \
                 that registered its callback URL",
            )
        })
}
