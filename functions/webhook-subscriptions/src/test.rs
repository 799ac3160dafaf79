//! `POST /subscribers/webhook/subscriptions/{subscriptionId}/test`: delivers a test.

use bellwire_api::idempotency::Repeatable;
use bellwire_api::{Failure, accepted, body, idempotency_key};
use bellwire_domain::ids::{idempotent_event_id, new_event_id};
use bellwire_objects::payloads::Kept;
use bellwire_queues::{Delivery, DeliveryKind, Message};
use bellwire_store::subscription::Subscription;
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde_json::json;
use time::OffsetDateTime;

use crate::WebhookSubscriptionsFunction;
use crate::switch::must_not_be_suspended;

impl WebhookSubscriptionsFunction {
    /// Creates a test: the body, a JSON object, is sent to the webhook unchanged, in one attempt, even
    /// if the endpoint is disabled. The attempt is among the subscription's exchanges, under the
    /// response's `pipelineId`.
    ///
    /// # Errors
    /// 400 when the body is not a JSON object; 409 when the client may not see the topic any more, or the `Idempotency-Key` came with another
    /// request; 413; 500 when a table, the bucket or the queue fails.
    pub(crate) async fn test(
        &self,
        subscription: &Subscription,
        request: &Request,
        repeatable: &Repeatable<'_>,
    ) -> Result<Response<Body>, Failure> {
        must_not_be_suspended(subscription)?;
        let json = body::json_text(request)?;
        if !json.is_object() {
            return Err(Failure::bad_request("the body must be a JSON object"));
        }
        if let Some(answer) = repeatable.earlier().await? {
            return Ok(answer);
        }
        // The same in a repetition that comes before the response is on record.
        let id = &subscription.subscription_id;
        let event_id = match idempotency_key::of(request)? {
            Some(key) => idempotent_event_id(&subscription.client_id, id.as_str(), key),
            None => new_event_id(),
        };
        let text = json.as_str().as_bytes();
        let delivery = Delivery::new(
            subscription.subscription_id.clone(),
            subscription.client_id.clone(),
            OffsetDateTime::now_utc(),
            DeliveryKind::Test {
                payload: self
                    .payloads
                    .keep(event_id.as_str(), text, Kept::LikeEvents)
                    .await?,
                event_id,
            },
        );
        self.deliveries.send(Message::delivery(&delivery)?).await?;
        let answer = accepted(&json!({ "pipelineId": delivery.id() }))?;
        repeatable.keep(&answer).await?;
        Ok(answer)
    }
}
