//! `POST /subscribers/webhook/subscriptions/{subscriptionId}/deliveries/{deliveryId}/resend`: sends a delivery once more.

use bellwire_api::idempotency::Repeatable;
use bellwire_api::{Failure, accepted, idempotency_key};
use bellwire_domain::ids::{idempotent_event_id, new_event_id};
use bellwire_fanout::{Resent, Restricted};
use bellwire_store::subscription::Subscription;
use bellwire_store::topics::StoredTopic;
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde_json::json;
use time::OffsetDateTime;

use crate::WebhookSubscriptionsFunction;
use crate::switch::must_not_be_suspended;

impl WebhookSubscriptionsFunction {
    /// Sends a delivery once more, whether or not it has arrived: an event in one attempt, whose number the response has;
    /// of a document the current version, whole.
    ///
    /// # Errors
    /// 404 when there is no such delivery; 409 when the subscription is disabled or suspended, the payload is not kept any more, the
    /// delivery is a test or of a version that isn't current, or the `Idempotency-Key` came with another request; 500 when
    /// a table or the queue fails.
    pub(crate) async fn resend(
        &self,
        subscription: &Subscription,
        topic: &StoredTopic,
        request: &Request,
        repeatable: &Repeatable<'_>,
    ) -> Result<Response<Body>, Failure> {
        must_not_be_suspended(subscription)?;
        let (now, restricted) = (OffsetDateTime::now_utc(), Restricted::of(&topic.topic));
        if let Some(answer) = repeatable.earlier().await? {
            let resends = &self.resends;
            resends.complete(subscription, restricted, now).await?;
            return Ok(answer);
        }
        let delivery = self.delivery(subscription, topic.shards, request).await?;
        // The same in a repetition that comes before the response is on record.
        let resend_id = match idempotency_key::of(request)? {
            Some(key) => idempotent_event_id(&subscription.client_id, delivery.id.as_str(), key),
            None => new_event_id(),
        };
        let attempt = self.resends.attempt(&delivery) + 1;
        let answer = accepted(&json!({ "id": delivery.id, "attempt": attempt }))?;
        let record = repeatable.record(&answer)?;
        let resends = &self.resends;
        match resends
            .resend(subscription, &delivery, resend_id, record, restricted, now)
            .await?
        {
            Resent::Done => {
                repeatable.keep(&answer).await?;
                Ok(answer)
            }
            Resent::Before => repeatable
                .earlier()
                .await?
                .ok_or_else(|| Failure::try_again("please try again")),
            Resent::Refused(refused) => Err(refused.into()),
            Resent::Gone => Err(Failure::not_found("there is no such subscription")),
        }
    }
}
