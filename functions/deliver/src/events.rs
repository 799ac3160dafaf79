//! What stands for itself: events of topics and entities, tests, and the end of a topic. Each delivery is sent in
//! parallel with the others and retried by itself, in no order.

use bellwire_payloads::PayloadError;
use bellwire_queues::{Delivery, DeliveryKind, EventType};
use bellwire_rules::entity::CallbackBody;
use bellwire_rules::error_event::ErrorEvent;
use bellwire_rules::ids::delivery_id;
use bellwire_rules::outcome::AttemptOutcome;
use bellwire_store::deliveries::Prefetched;
use bellwire_store::subscription::Subscription;
use bytes::Bytes;
use lambda_runtime::Error;
use time::OffsetDateTime;

use crate::attempt::WebhookRequest;
use crate::retries::NextAttempt;
use crate::{Batch, DeliverFunction};

impl DeliverFunction {
    /// Sends a delivery, unless it has arrived, and sees to what has to follow.
    pub async fn deliver_event(
        &self,
        delivery: &Delivery,
        known: &Prefetched,
        message_id: &str,
        batch: &Batch,
    ) -> Result<(), Error> {
        let Some(subscription) = known.subscriptions.get(&delivery.subscription_id) else {
            tracing::info!("the subscription is gone");
            return Ok(());
        };
        let is_test = matches!(delivery.kind, DeliveryKind::Test { .. });
        if subscription.client_disabled {
            tracing::info!("the client is disabled");
            return self.end(delivery, subscription).await;
        }
        if subscription.disabled.is_some() && !is_test {
            self.owners.notify_owner(subscription).await?;
            tracing::info!("the endpoint is disabled");
            return self.end(delivery, subscription).await;
        }
        let request = match self.request(delivery, subscription).await {
            Err(error) if matches!(error.downcast_ref(), Some(PayloadError::Missing)) => {
                // It won't come back: to try again would be to fail again.
                let reason = "the payload is not kept any more";
                self.dead_letter(delivery, reason, batch).await?;
                return self.end(delivery, subscription).await;
            }
            request => request?,
        };
        tracing::Span::current().record("delivery", &request.delivery_id);
        if known.arrived.contains(&request.delivery_id) {
            tracing::info!("it has arrived before");
            return self.end(delivery, subscription).await;
        }
        if !self.time.is_left() {
            // An attempt that is cut off leaves no record.
            return Err("no time is left for an attempt".into());
        }
        let mut sent = self.sender.send(request).await?;
        let next = match sent.outcome {
            AttemptOutcome::Failed { leave_alone } => {
                self.retries.next(delivery.attempt, leave_alone)
            }
            AttemptOutcome::Delivered | AttemptOutcome::Gone => NextAttempt::Never,
        };
        if let NextAttempt::After(pause) = next {
            sent.retried_in(pause);
        }
        let protocol = delivery.kind.protocol();
        let (outcome, reason) =
            batch.note(sent, protocol, delivery.attempt, delivery.accepted_at, true);
        if is_test {
            return Ok(());
        }
        match outcome {
            AttemptOutcome::Delivered => {
                if subscription.failing_since.is_some() {
                    self.subscriptions
                        .note_success(&subscription.subscription_id)
                        .await?;
                }
                self.end(delivery, subscription).await
            }
            AttemptOutcome::Gone => {
                // Before it is disabled: the repetition of a message finds that, and goes no further.
                self.dead_letter(delivery, &reason, batch).await?;
                self.owners
                    .gone(subscription, OffsetDateTime::now_utc())
                    .await?;
                self.end(delivery, subscription).await
            }
            AttemptOutcome::Failed { .. } => {
                let now = OffsetDateTime::now_utc();
                let id = &subscription.subscription_id;
                let Some(subscription) = self.subscriptions.note_failure(id, now).await? else {
                    return Ok(());
                };
                match next {
                    NextAttempt::After(pause) => {
                        let next = Delivery {
                            attempt: delivery.attempt + 1,
                            ..delivery.clone()
                        };
                        self.retries.arrange(&next, pause, message_id).await
                    }
                    NextAttempt::Never => {
                        self.dead_letter(delivery, &reason, batch).await?;
                        self.owners.give_up(id, now).await?;
                        self.end(delivery, &subscription).await
                    }
                }
            }
        }
    }

    /// Puts a delivery among the dead letters.
    pub async fn dead_letter(
        &self,
        delivery: &Delivery,
        reason: &str,
        batch: &Batch,
    ) -> Result<(), Error> {
        tracing::warn!(reason, "dead request");
        batch.metrics.exhausted(delivery.kind.protocol());
        let body = serde_json::to_string(delivery)?;
        let group = Some(delivery.client_id.clone());
        Ok(self
            .dead_letters
            .dead_letter(&body, reason, group, None)
            .await?)
    }

    /// With the last word on a deleted topic, its subscription ends. What was accepted before
    /// may still be on its way, or wait for a retry, so it isn't removed at once.
    async fn end(&self, delivery: &Delivery, subscription: &Subscription) -> Result<(), Error> {
        if matches!(delivery.kind, DeliveryKind::TopicDeleted { .. }) {
            let now = OffsetDateTime::now_utc();
            self.subscriptions.expire(subscription, now).await?;
        }
        Ok(())
    }

    async fn request<'a>(
        &self,
        delivery: &Delivery,
        subscription: &'a Subscription,
    ) -> Result<WebhookRequest<'a>, Error> {
        let id = &subscription.subscription_id;
        let (event_id, event_type, body) = match &delivery.kind {
            DeliveryKind::Event { event_id, payload }
            | DeliveryKind::Test { event_id, payload } => {
                let body = self.bodies.read(payload).await?;
                (event_id, EventType::Event.as_str(), body)
            }
            DeliveryKind::TopicDeleted { event_id } => {
                let error = ErrorEvent::topic_not_found(id, delivery.accepted_at);
                let body = Bytes::from(serde_json::to_vec(&error)?);
                (event_id, EventType::Error.as_str(), body)
            }
            DeliveryKind::Entity {
                event_id,
                entity_type,
                callback_event,
            } => {
                let entity_key = subscription.entity().ok_or("topics have no entity")?;
                let callback = CallbackBody {
                    subscription_key: id,
                    entity_key,
                    entity_type: *entity_type,
                    callback_event: *callback_event,
                };
                let body = Bytes::from(serde_json::to_vec(&callback)?);
                (event_id, callback_event.as_str(), body)
            }
            DeliveryKind::Document { .. } => {
                return Err("documents don't stand for themselves".into());
            }
        };
        Ok(WebhookRequest {
            subscription,
            delivery_id: delivery_id(event_id, id),
            event_id: event_id.clone(),
            event_type,
            versions: None,
            body,
            attempt: delivery.attempt,
        })
    }
}
