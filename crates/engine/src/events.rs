//! Events of topics and entities, tests, and the end of a topic: each delivery is attempted in parallel with
//! the others and retried by itself, in no order.

use bellwire_domain::delivery::decision::Decision;
use bellwire_domain::delivery::outcome::AttemptOutcome;
use bellwire_domain::ids::MessageId;
use bellwire_queues::{Delivery, DeliveryKind};
use bellwire_store::prefetch::Prefetched;
use bellwire_store::subscription::Subscription;
use time::OffsetDateTime;

use crate::protocols::{is_missing, render_event};
use crate::targets::webhook::AttemptResult;
use crate::{Batch, Engine, Error};

impl Engine {
    /// Attempts a delivery of an event, unless it has arrived or its endpoint is disabled, and carries out
    /// what follows.
    pub(crate) async fn deliver_event(
        &self,
        delivery: &Delivery,
        prefetched: &Prefetched,
        message_id: &MessageId,
        batch: &Batch,
    ) -> Result<(), Error> {
        let Some(subscription) = prefetched.subscriptions.get(&delivery.subscription_id) else {
            tracing::info!("the subscription is gone");
            return Ok(());
        };
        // Accepted while the topic was being deleted: its subscribers were told that it is the end.
        let too_late = subscription
            .ended_at
            .is_some_and(|end| delivery.accepted_at > end);
        if too_late {
            tracing::info!("the topic was deleted before");
            return Ok(());
        }
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
        if !self.may_receive(delivery).await? {
            return Ok(());
        }
        let rendered = match render_event(delivery, subscription, &self.bodies).await {
            Err(error) if is_missing(&error) => {
                // It won't come back: another attempt would fail in the same way.
                let reason = "the payload is not kept any more";
                if delivery.resend.is_some() {
                    tracing::warn!(reason, "not sent once more");
                    return Ok(());
                }
                self.dead_letter(delivery, reason, batch).await?;
                return self.end(delivery, subscription).await;
            }
            rendered => rendered?,
        };
        tracing::Span::current().record("delivery", rendered.delivery_id.as_str());
        let document = || Error::Impossible("a document is no event");
        let mark = delivery.mark().ok_or_else(document)?;
        if prefetched.has_arrived(&mark) {
            tracing::info!("it has arrived before");
            return self.end(delivery, subscription).await;
        }
        if !self.time.is_left() {
            // An attempt that is cut off leaves no record.
            return Err(Error::NoTime);
        }
        let attempt = self.attempt(subscription, rendered, delivery.attempt);
        let mut attempt = attempt.await?;
        if delivery.resend.is_some() {
            return self
                .follow_resend(delivery, subscription, attempt, batch)
                .await;
        }
        let decision = self.retries.decide(&attempt.outcome, delivery.attempt);
        if let Decision::RetryAfter(pause) = decision {
            attempt.retried_in(pause);
        }
        let first = delivery.attempt == 0 && !prefetched.is_known(&mark);
        let reason = batch.note(delivery, attempt, delivery.accepted_at, Some((mark, first)));
        if is_test {
            return Ok(());
        }
        let id = &subscription.subscription_id;
        let now = OffsetDateTime::now_utc();
        match decision {
            Decision::Done => {
                // The failure of the attempt before may be too new to be seen.
                if subscription.failing_since.is_some() || delivery.attempt > 0 {
                    self.subscriptions.note_success(id).await?;
                }
                self.end(delivery, subscription).await
            }
            Decision::DisableEndpoint => {
                // The dead letter comes first: when the message is received again, the endpoint is found
                // disabled, and nothing more is done.
                self.dead_letter(delivery, &reason, batch).await?;
                self.owners.gone(subscription, now).await?;
                self.end(delivery, subscription).await
            }
            Decision::RetryAfter(pause) => {
                if self.subscriptions.note_failure(id, now).await?.is_none() {
                    return Ok(());
                }
                let next = Delivery {
                    attempt: delivery.attempt + 1,
                    ..delivery.clone()
                };
                self.retries.arrange(&next, pause, message_id).await
            }
            Decision::Exhausted => {
                let Some(subscription) = self.subscriptions.note_failure(id, now).await? else {
                    return Ok(());
                };
                self.dead_letter(delivery, &reason, batch).await?;
                self.owners.give_up(id, now).await?;
                self.end(delivery, &subscription).await
            }
        }
    }

    /// Records an attempt that the owner has asked for, and what it says of the endpoint. It is not retried, and no dead
    /// letter: the schedule of its delivery goes on as it would have, unless the delivery has arrived.
    async fn follow_resend(
        &self,
        delivery: &Delivery,
        subscription: &Subscription,
        mut attempt: AttemptResult,
        batch: &Batch,
    ) -> Result<(), Error> {
        attempt.content.resend = true;
        let outcome = attempt.outcome.clone();
        let key = delivery.key().map(|key| (key, false));
        batch.note(delivery, attempt, delivery.accepted_at, key);
        let (id, now) = (&subscription.subscription_id, OffsetDateTime::now_utc());
        match outcome {
            AttemptOutcome::Delivered => Ok(self.subscriptions.note_success(id).await?),
            AttemptOutcome::Gone => self.owners.gone(subscription, now).await,
            AttemptOutcome::Failed { .. } => {
                self.subscriptions.note_failure(id, now).await?;
                Ok(())
            }
        }
    }

    /// Moves a delivery to the dead-letter queue, with the reason.
    pub(crate) async fn dead_letter(
        &self,
        delivery: &Delivery,
        reason: &str,
        batch: &Batch,
    ) -> Result<(), Error> {
        tracing::warn!(reason, "dead letter");
        batch.metrics.exhausted(delivery.kind.protocol());
        let body = serde_json::to_string(delivery)?;
        let group = Some(delivery.client_id.clone());
        Ok(self
            .dead_letters
            .dead_letter(&body, reason, group, None)
            .await?)
    }

    /// The last event of a deleted topic ends its subscription. What was accepted before may still be under
    /// way, or wait for a retry, so that the subscription isn't removed at once.
    async fn end(&self, delivery: &Delivery, subscription: &Subscription) -> Result<(), Error> {
        if matches!(delivery.kind, DeliveryKind::TopicDeleted { .. }) {
            let now = OffsetDateTime::now_utc();
            self.subscriptions
                .expire(subscription, delivery.accepted_at, now)
                .await?;
        }
        Ok(())
    }
}
