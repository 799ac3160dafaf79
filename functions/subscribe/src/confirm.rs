//! `POST {"token"}`: the token that SNS sent to a URL comes back, and with it the
//! proof that whoever registered the URL can read what arrives there.

use bellwire_edge::Failure;
use bellwire_notifications::Registrations;
use bellwire_rules::{ClientId, Secret};

use crate::register::Progress;

/// Confirms the URL that the token was sent to. Again with the same token: the
/// same answer.
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
