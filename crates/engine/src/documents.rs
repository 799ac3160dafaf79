//! Documents: every endpoint ends at the publisher's document, whatever fails.
//!
//! A message says that a subscription wants a version. Whoever gets the lease
//! ([`bellwire_domain::delivery::lease`]) sends the missing versions one by one, in order. As soon as
//! the endpoint may have something else than it acknowledged last, or is far behind, it
//! gets the newest document whole.

use bellwire_domain::delivery::decision::Decision;
use bellwire_domain::delivery::lease::{Acquire, Ending, Then};
use bellwire_domain::delivery::session::{NextVersion, Session};
use bellwire_domain::ids::{MessageId, TopicId, nonce};
use bellwire_domain::timestamp::unix_millis;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_queues::{Delivery, DeliveryKind, EventType, Hops, Message};
use bellwire_store::leases::{Acquisition, Held, Released};
use bellwire_store::subscription::Subscription;
use bellwire_store::versions::Version;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

use crate::protocols::{is_missing, streams};
use crate::rendered::Rendered;
use crate::{Batch, Engine, Error};

/// How often a message is left to another function while nothing arrives.
const MOST_HOPS: u32 = 100;

/// What is sent next.
struct Step {
    version: Arc<Version>,
    event_type: EventType,
}

/// How sending ended.
struct Ended {
    ending: Ending,
    session: Session,
    /// The pause before the retry, if there is one.
    pause: Duration,
    /// Why an attempt failed, if one did.
    reason: String,
}

impl Ended {
    /// Without an attempt, since there is nothing to send.
    fn exhausted(session: Session, reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            ..Self::with(Ending::Failed { retry_at: None }, session)
        }
    }

    fn with(ending: Ending, session: Session) -> Self {
        Self {
            ending,
            session,
            pause: Duration::ZERO,
            reason: String::new(),
        }
    }
}

impl Engine {
    /// Brings a subscription to the wanted version, unless somebody else does.
    pub(crate) async fn deliver_document(
        &self,
        delivery: &Delivery,
        version: u64,
        message_id: &MessageId,
        batch: &Batch,
    ) -> Result<(), Error> {
        if !self.may_receive(delivery).await? {
            return Ok(());
        }
        let now = unix_millis(OffsetDateTime::now_utc());
        let request = Acquire {
            version,
            message_id,
            nonce: nonce(),
            failures: delivery.attempt,
            now,
            until: now + millis(self.time.lease()),
        };
        let id = &delivery.subscription_id;
        match self.subscriptions.acquire_lease(id, request).await? {
            Acquisition::Held(held) => self.send_missing(delivery, *held, message_id, batch).await,
            Acquisition::Nothing => {
                tracing::info!(version, "nothing to do");
                Ok(())
            }
            Acquisition::Gone => {
                tracing::info!("the subscription is gone");
                Ok(())
            }
            Acquisition::Disabled(subscription) => {
                tracing::info!("the endpoint is disabled");
                self.owners.notify_owner(&subscription).await
            }
            Acquisition::ArrangeRetry(subscription, retry) => {
                let progress = &subscription.progress;
                let next = again(delivery, progress.wanted, progress.failures);
                let pause = Duration::from_millis(retry.at.saturating_sub(now));
                self.retries.arrange(&next, pause, message_id).await
            }
            Acquisition::Busy => Err(Error::LeaseHeld),
        }
    }

    /// Sends what is missing, releases the lease, and sees to what follows.
    async fn send_missing(
        &self,
        delivery: &Delivery,
        mut held: Held,
        message_id: &MessageId,
        batch: &Batch,
    ) -> Result<(), Error> {
        let mut session = Session::begin(&held.subscription.progress);
        let mut arrived = false;
        loop {
            let ended = self
                .send_in_order(delivery, &held.subscription, session, &mut arrived, batch)
                .await?;
            let (ending, now) = (ended.ending, OffsetDateTime::now_utc());
            let released = self
                .subscriptions
                .release_lease(
                    &mut held,
                    ended.session,
                    ending,
                    now,
                    self.owners.disable_after,
                )
                .await?;
            let (subscription, then) = match released {
                Released::Done(subscription, then) => (subscription, then),
                Released::GoOn(more) => {
                    session = more;
                    continue;
                }
                Released::Lost if ending == Ending::UpToDate => {
                    tracing::info!("the lease was lost");
                    return Ok(());
                }
                // It is gone, or took too long: the message finds out.
                Released::Lost => return Err(Error::LeaseLost),
            };
            return match then {
                Then::Done => Ok(()),
                Then::NotifyOwner => self.owners.notify_owner(&subscription).await,
                Then::SendOn { version } => {
                    let hops = if arrived {
                        Ok(Hops::default())
                    } else {
                        delivery.hops.next(MOST_HOPS)
                    };
                    let rest = again(delivery, version, 0);
                    match hops {
                        Ok(hops) => self.send_on(Delivery { hops, ..rest }).await,
                        Err(reason) => self.dead_letter(&rest, &reason, batch).await,
                    }
                }
                Then::NewSchedule { version } => self.send_on(again(delivery, version, 0)).await,
                Then::Retry { version, failures } => {
                    let next = again(delivery, version, failures);
                    self.retries.arrange(&next, ended.pause, message_id).await
                }
                Then::DeadLetter { version, failures } => {
                    let delivery = again(delivery, version, failures);
                    self.dead_letter(&delivery, &ended.reason, batch).await
                }
            };
        }
    }

    /// Sends what is missing, one version after the other, up to the first that fails.
    async fn send_in_order(
        &self,
        delivery: &Delivery,
        subscription: &Subscription,
        mut session: Session,
        arrived: &mut bool,
        batch: &Batch,
    ) -> Result<Ended, Error> {
        while let Some(next) = session.next() {
            if !self.time.is_left() {
                tracing::info!(wanted = session.wanted, "no time left");
                return Ok(Ended::with(Ending::OutOfTime, session));
            }
            let Some(step) = self.step(subscription, next, session.wanted).await? else {
                return Ok(Ended::exhausted(session, "there is no document"));
            };
            let rendered = match self.render_version(subscription, &step).await {
                Err(error) if is_missing(&error) => {
                    tracing::warn!(version = step.version.version, "the payload is gone");
                    if matches!(next, NextVersion::InARow(_)) {
                        // The newest document is kept as long as the topic.
                        session = session.doubted();
                        continue;
                    }
                    let latest = self.bodies.latest(topic(subscription)?.0).await?;
                    if let Some(latest) = latest.filter(|it| it.version > step.version.version) {
                        session = session.wanting(latest.version);
                        continue;
                    }
                    // It won't come back: to try again would be to fail again.
                    return Ok(Ended::exhausted(
                        session,
                        "the payload is not kept any more",
                    ));
                }
                rendered => rendered?,
            };
            tracing::Span::current().record("delivery", rendered.delivery_id.as_str());
            let attempt = self.attempt(subscription, rendered, session.failures);
            let attempt = attempt.await?;
            let decision = self.retries.decide(&attempt.outcome, session.failures);
            // A new subscription, or one that is enabled, asks for what was accepted long ago.
            let accepted_at = step.version.accepted_at.max(delivery.accepted_at);
            let reason = batch.note(delivery, attempt, accepted_at, None);
            let (ending, pause) = match decision {
                Decision::Done => {
                    *arrived = true;
                    session = session.acknowledged(step.version.version);
                    continue;
                }
                Decision::DisableEndpoint => (Ending::Gone, Duration::ZERO),
                Decision::RetryAfter(pause) => {
                    let now = unix_millis(OffsetDateTime::now_utc());
                    let retry_at = Some(now + millis(pause));
                    (Ending::Failed { retry_at }, pause)
                }
                Decision::Exhausted => (Ending::Failed { retry_at: None }, Duration::ZERO),
            };
            return Ok(Ended {
                ending,
                session: session.failed(),
                pause,
                reason,
            });
        }
        Ok(Ended::with(Ending::UpToDate, session))
    }

    /// The version that comes next, and how it is sent. `None` when there is no document.
    async fn step(
        &self,
        subscription: &Subscription,
        next: NextVersion,
        wanted: u64,
    ) -> Result<Option<Step>, Error> {
        let (topic_id, mode) = topic(subscription)?;
        if let NextVersion::InARow(version) = next
            && let Some(next) = self.bodies.version(topic_id, version).await?
        {
            let patches = mode == SubscriptionMode::SnapshotPatch;
            let event_type = if patches && next.patch.is_some() {
                EventType::Patch
            } else {
                EventType::Snapshot
            };
            return Ok(Some(Step {
                version: next,
                event_type,
            }));
        }
        let newest = match self.bodies.version(topic_id, wanted).await? {
            Some(newest) => Some(newest),
            None => self.bodies.latest(topic_id).await?,
        };
        Ok(newest.map(|version| Step {
            version,
            event_type: EventType::Snapshot,
        }))
    }

    /// The version as it is sent.
    async fn render_version(
        &self,
        subscription: &Subscription,
        step: &Step,
    ) -> Result<Rendered, Error> {
        let version = &step.version;
        let payload = match (&version.patch, step.event_type) {
            (Some(patch), EventType::Patch) => patch,
            _ => &version.snapshot,
        };
        let body = self.bodies.read(payload).await?;
        streams::version(subscription, version, step.event_type, body)
    }

    /// Has another message go on. If it can't be sent, this one comes again, and goes on itself.
    async fn send_on(&self, delivery: Delivery) -> Result<(), Error> {
        let message = Message::delivery(&delivery)?;
        Ok(self.first_attempts.send(message).await?)
    }
}

fn topic(subscription: &Subscription) -> Result<(&TopicId, SubscriptionMode), Error> {
    let topic = subscription.topic();
    topic.ok_or(Error::Impossible("an entity has no documents"))
}

/// The delivery again, of this version, after so many failures.
fn again(delivery: &Delivery, version: u64, failures: usize) -> Delivery {
    Delivery {
        attempt: failures,
        hops: Hops::default(),
        kind: DeliveryKind::Document { version },
        ..delivery.clone()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
