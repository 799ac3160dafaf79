//! `GET …/deliveries/{deliveryId}/payload` and `GET …/topics/{topicId}/document`: what was sent, and a topic's current
//! document.

use bellwire_api::{Failure, etag, json_text};
use bellwire_domain::topic::Topic;
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::Shards;
use bellwire_objects::ObjectError;
use bellwire_store::subscription::Subscription;
use lambda_http::http::{Response, StatusCode};
use lambda_http::{Body, Request};
use time::OffsetDateTime;

use crate::WebhookSubscriptionsFunction;
use crate::switch::must_not_be_suspended;

impl WebhookSubscriptionsFunction {
    /// What a delivery was of, as it was sent.
    ///
    /// # Errors
    /// 404 when there is no such delivery, or what was published isn't kept any more; 409 when the client may not see the
    /// topic any more; 500 when a table or the bucket fails.
    pub(crate) async fn payload(
        &self,
        subscription: &Subscription,
        shards: Shards,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        must_not_be_suspended(subscription)?;
        let delivery = self.delivery(subscription, shards, request).await?;
        let now = OffsetDateTime::now_utc();
        let payload = self.resends.payload(subscription, &delivery, now).await?;
        self.read(payload, "the payload is not kept any more").await
    }

    /// A topic's current document. Its entity tag is the number of its version.
    ///
    /// # Errors
    /// 404 when there is none; 500 when the table or the bucket fails.
    pub(crate) async fn document(&self, topic: &Topic) -> Result<Response<Body>, Failure> {
        let latest = self.events.latest(&topic.id).await?;
        let version = latest.as_ref().map_or(0, |latest| latest.version);
        let snapshot = latest.map(|latest| latest.snapshot);
        let document = self.read(snapshot, "the topic has no document yet").await?;
        Ok(etag::with(document, version))
    }

    async fn read(&self, payload: Option<Payload>, gone: &str) -> Result<Response<Body>, Failure> {
        let payload = payload.ok_or_else(|| Failure::not_found(gone))?;
        let bytes = self
            .payloads
            .read(&payload)
            .await
            .map_err(|error| match error {
                // Its item is removed later than the object.
                ObjectError::Missing => Failure::not_found(gone),
                other => other.into(),
            })?;
        let text = String::from_utf8(bytes).map_err(Failure::internal)?;
        Ok(json_text(StatusCode::OK, text))
    }
}
