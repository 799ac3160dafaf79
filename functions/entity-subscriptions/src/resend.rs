//! `POST /subscriptions/{key}/deliveries/{deliveryKey}/resend`: sends a delivery once more.

use bellwire_api::idempotency::Repeatable;
use bellwire_api::{Failure, envelope, idempotency_key};
use bellwire_domain::ids::{idempotent_event_id, new_event_id};
use bellwire_fanout::{Resent, Restricted};
use bellwire_store::Subscription;
use lambda_http::http::{Response, StatusCode};
use lambda_http::{Body, Request};
use serde_json::json;
use time::OffsetDateTime;

use crate::EntitySubscriptionsFunction;

impl EntitySubscriptionsFunction {
    /// Sends a delivery once more, whether or not it has arrived, in one attempt, whose number the response has.
    ///
    /// # Errors
    /// 404 when there is no such delivery; 409 when the subscription is disabled, the event is not kept any more, or the
    /// `Idempotency-Key` came with another request; 500 when a table or the queue fails.
    pub(crate) async fn resend(
        &self,
        subscription: &Subscription,
        request: &Request,
        repeatable: &Repeatable<'_>,
    ) -> Result<Response<Body>, Failure> {
        if let Some(answer) = repeatable.earlier().await? {
            return Ok(answer);
        }
        let delivery = self.delivery(subscription, request).await?;
        // The same in a repetition that comes before the response is on record.
        let resend_id = match idempotency_key::of(request)? {
            Some(key) => idempotent_event_id(&subscription.client_id, delivery.id.as_str(), key),
            None => new_event_id(),
        };
        let now = OffsetDateTime::now_utc();
        let resends = &self.resends;
        match resends
            .resend(
                subscription,
                &delivery,
                resend_id,
                None,
                Restricted(false),
                now,
            )
            .await?
        {
            Resent::Done => {}
            Resent::Before => return Err(Failure::try_again("please try again")),
            Resent::Refused(refused) => return Err(refused.into()),
            Resent::Gone => return Err(Failure::not_found("there is no such subscription")),
        }
        let attempt = self.resends.attempt(&delivery) + 1;
        let data = json!({ "delivery_key": delivery.id, "attempt": attempt });
        let answer = envelope::with(StatusCode::ACCEPTED, &data)?;
        repeatable.keep(&answer).await?;
        Ok(answer)
    }
}
