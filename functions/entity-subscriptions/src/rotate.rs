//! `POST /subscriptions/{key}/secret/rotate`.

use bellwire_edge::{Failure, envelope};
use bellwire_rules::signature::{ROTATION, generate_secret};
use bellwire_rules::timestamp::millis;
use bellwire_store::Subscription;
use lambda_http::Body;
use lambda_http::http::{Response, StatusCode};
use serde_json::json;
use time::OffsetDateTime;

use crate::Function;
use crate::shown::Shown;

impl Function {
    /// Gives a subscription a new signing secret. For a day, callbacks are signed with the
    /// one before it too.
    pub async fn rotate(&self, subscription: &Subscription) -> Result<Response<Body>, Failure> {
        let secret = generate_secret().map_err(Failure::internal)?;
        let now = OffsetDateTime::now_utc();
        let secrets = subscription.secrets.clone().rotated(secret.clone(), now);
        let rotated = self
            .subscriptions
            .rotate(subscription, &secrets, now)
            .await?
            .ok_or_else(|| {
                Failure::conflict(
                    "another request changes the same subscription; please look at it and try again",
                )
            })?;
        let data = json!({
            "subscription": Shown::with_secret(&rotated, &secret),
            "previous_secret_valid_until": millis(now + ROTATION),
        });
        envelope::with(StatusCode::OK, &data)
    }
}
