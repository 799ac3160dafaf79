//! `POST /subscriptions/{key}/secret/rotate`: replaces the signing secret of a subscription.

use bellwire_api::idempotency::Repeatable;
use bellwire_api::{Failure, envelope};
use bellwire_domain::endpoint::signature::{ROTATION, generate_secret};
use bellwire_domain::entity::Spelling;
use bellwire_domain::timestamp::millis;
use bellwire_store::Subscription;
use lambda_http::Body;
use lambda_http::http::{Response, StatusCode};
use serde_json::json;
use time::OffsetDateTime;

use crate::EntitySubscriptionsFunction;
use crate::view::EntitySubscriptionView;

impl EntitySubscriptionsFunction {
    /// Gives a subscription a new signing secret. For a day, callbacks are signed with the previous one
    /// as well. A repeated request gets the same response.
    ///
    /// # Errors
    /// 409 when another request changes the same subscription, or the `Idempotency-Key` came with
    /// another request; 500 when a table fails.
    pub(crate) async fn rotate(
        &self,
        subscription: &Subscription,
        spelling: Spelling,
        repeatable: &Repeatable<'_>,
    ) -> Result<Response<Body>, Failure> {
        if let Some(answer) = repeatable.earlier().await? {
            return Ok(answer);
        }
        let secret = generate_secret().map_err(Failure::internal)?;
        let now = OffsetDateTime::now_utc();
        let secrets = subscription
            .webhook()
            .secrets
            .clone()
            .rotated(secret.clone(), now);
        let shown = Subscription {
            updated_at: now,
            ..subscription.clone()
        };
        let data = json!({
            spelling.one(): EntitySubscriptionView::with_secret(&shown, &secret),
            "previous_secret_valid_until": millis(now + ROTATION),
        });
        let answer = envelope::with(StatusCode::OK, &data)?;
        let record = repeatable.record(&answer)?;
        let rotated = self
            .subscriptions
            .rotate(subscription, &secrets, now, record)
            .await?;
        if rotated {
            return Ok(answer);
        }
        repeatable.earlier().await?.ok_or_else(|| {
            Failure::conflict(
                "another request changes the same subscription; please look at it and try again",
            )
        })
    }
}
