//! Documents: every endpoint ends at the publisher's document, whatever fails.
//!
//! A message says that a subscription wants a version. Whoever gets the turn
//! ([`bellwire_store::turns`]) sends the missing versions one by one, in order. As soon as
//! the endpoint may have something else than it acknowledged last, or is far behind, it
//! gets the newest document whole.

use bellwire_queues::{Delivery, EventType, Hops, Message, Protocol, Told};
use bellwire_rules::ids::{delivery_id, nonce, version_id};
use bellwire_rules::modes::SubscriptionMode;
use bellwire_rules::verdict::Verdict;
use bellwire_store::events::Version;
use bellwire_store::subscription::{DisabledReason, Progress, Subscription};
use bellwire_store::turns::{Answer, GivenBack, Outcome, Turn, Wish};
use lambda_runtime::Error;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

use crate::attempt::{Letter, Versions};
use crate::retries::Next;
use crate::{Batch, Function};

/// How many versions an endpoint may be behind and still get each of them.
const MAX_BACKLOG: u64 = 100;
/// How often a message is left to another function while nothing arrives.
const MOST_HOPS: u32 = 100;

/// What is sent next.
struct Step {
    version: Arc<Version>,
    event_type: EventType,
}

impl Function {
    /// Brings a subscription to the wanted version, unless somebody else does.
    pub async fn serve(
        &self,
        delivery: &Delivery,
        version: u64,
        message_id: &str,
        batch: &Batch,
    ) -> Result<(), Error> {
        let now = unix_millis(OffsetDateTime::now_utc());
        let wish = Wish {
            subscription_id: &delivery.subscription_id,
            version,
            message_id,
            nonce: nonce(),
            failures: delivery.attempt,
            now,
            until: now + millis(self.time.turn()),
        };
        match self.subscriptions.take_turn(wish).await? {
            Answer::Yours(turn) => self.send_missing(delivery, &turn, message_id, batch).await,
            Answer::Nothing => {
                tracing::info!(version, "nothing to do");
                Ok(())
            }
            Answer::Gone => {
                tracing::info!("the subscription is gone");
                Ok(())
            }
            Answer::Disabled(subscription) => {
                tracing::info!("the endpoint is disabled");
                self.owners.announce(&subscription).await
            }
            Answer::ArrangeRetry(subscription) => {
                let progress = &subscription.progress;
                let pause = progress.retry_at.unwrap_or(now).saturating_sub(now);
                let next = again(delivery, version, progress.failures);
                let pause = Duration::from_millis(pause);
                self.retries.arrange(&next, pause, message_id).await
            }
            Answer::Later => Err("an earlier attempt at the same message has the turn".into()),
        }
    }

    /// Sends what is missing, and gives the turn back.
    async fn send_missing(
        &self,
        delivery: &Delivery,
        turn: &Turn,
        message_id: &str,
        batch: &Batch,
    ) -> Result<(), Error> {
        let subscription = &turn.subscription;
        let mut wanted = subscription.progress.wanted;
        let mut so_far = Outcome {
            acknowledged: subscription.progress.acknowledged,
            in_doubt: turn.in_doubt,
            snapshots_asked: subscription.progress.snapshots_asked,
            failures: subscription.progress.failures,
            retry_at: None,
            arrived: None,
        };
        let mut arrived = false;
        loop {
            while so_far.in_doubt || so_far.acknowledged < wanted {
                if !self.time.is_left() {
                    let hops = if arrived {
                        Ok(Hops::default())
                    } else {
                        delivery.hops.next(MOST_HOPS)
                    };
                    return self
                        .leave_to_another(delivery, turn, so_far, wanted, hops, batch)
                        .await;
                }
                let Some(step) = self.step(subscription, so_far, wanted).await? else {
                    tracing::warn!(wanted, "there is no document");
                    break;
                };
                let letter = self
                    .document_letter(subscription, &step, so_far.failures)
                    .await?;
                tracing::Span::current().record("delivery", &letter.delivery_id);
                let sent = self.post.send(letter).await?;
                // A new subscription, or one that is enabled, asks for what was accepted long ago.
                let accepted_at = step.version.accepted_at.max(delivery.accepted_at);
                let (verdict, reason) =
                    batch.note(sent, Protocol::Streams, so_far.failures, accepted_at, false);
                match verdict {
                    Verdict::Delivered => {
                        arrived = true;
                        so_far = Outcome {
                            acknowledged: step.version.version,
                            in_doubt: false,
                            failures: 0,
                            arrived: Some(true),
                            ..so_far
                        };
                    }
                    Verdict::Gone => {
                        so_far.in_doubt = true;
                        so_far.arrived = Some(false);
                        let now = OffsetDateTime::now_utc();
                        self.subscriptions
                            .give_back(turn, so_far, None, now)
                            .await?;
                        self.owners
                            .disable(subscription, DisabledReason::Gone)
                            .await?;
                        return Ok(());
                    }
                    Verdict::Failed { leave_alone } => {
                        so_far.in_doubt = true;
                        so_far.arrived = Some(false);
                        let failed = Failed {
                            so_far,
                            wanted,
                            leave_alone,
                            reason: &reason,
                            message_id,
                        };
                        return self.after_failure(delivery, turn, failed, batch).await;
                    }
                }
            }
            let now = OffsetDateTime::now_utc();
            let given_back = self
                .subscriptions
                .give_back(turn, so_far, Some(wanted), now)
                .await?;
            match given_back {
                GivenBack::Done(_) => return Ok(()),
                GivenBack::MoreWanted(progress) => {
                    wanted = progress.wanted;
                    so_far = so_far.seeing(&progress);
                }
                GivenBack::Lost => {
                    tracing::info!("the subscription is gone");
                    return Ok(());
                }
            }
        }
    }

    /// What comes next on the way to the wanted version.
    async fn step(
        &self,
        subscription: &Subscription,
        so_far: Outcome,
        wanted: u64,
    ) -> Result<Option<Step>, Error> {
        let (topic_id, mode) = topic(subscription)?;
        let behind = wanted.saturating_sub(so_far.acknowledged);
        let in_a_row = !so_far.in_doubt && so_far.acknowledged > 0 && behind <= MAX_BACKLOG;
        if in_a_row
            && let Some(next) = self
                .bodies
                .version(topic_id, so_far.acknowledged + 1)
                .await?
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

    async fn document_letter<'a>(
        &self,
        subscription: &'a Subscription,
        step: &Step,
        attempt: usize,
    ) -> Result<Letter<'a>, Error> {
        let version = &step.version;
        let payload = match (&version.patch, step.event_type) {
            (Some(patch), EventType::Patch) => patch,
            _ => &version.snapshot,
        };
        let event_id = version_id(topic(subscription)?.0, version.version);
        Ok(Letter {
            subscription,
            delivery_id: delivery_id(&event_id, &subscription.subscription_id),
            event_id,
            event_type: step.event_type.as_str(),
            versions: Some(Versions {
                version: version.version,
                // A patch is kept with the version that it leads to, from the one before.
                base: (step.event_type == EventType::Patch).then_some(version.version - 1),
            }),
            body: self.bodies.read(payload).await?,
            attempt,
        })
    }

    /// Gives the turn back because there is no time left, and has another message go on.
    /// If that message can't be sent, this one comes again, and goes on itself.
    async fn leave_to_another(
        &self,
        delivery: &Delivery,
        turn: &Turn,
        so_far: Outcome,
        wanted: u64,
        hops: Result<Hops, String>,
        batch: &Batch,
    ) -> Result<(), Error> {
        tracing::info!(wanted, "no time left");
        let now = OffsetDateTime::now_utc();
        let given_back = self
            .subscriptions
            .give_back(turn, so_far, None, now)
            .await?;
        if let GivenBack::MoreWanted(progress) = given_back {
            let so_far = so_far.seeing(&progress);
            self.subscriptions
                .give_back(turn, so_far, None, now)
                .await?;
        }
        let rest = again(delivery, wanted, 0);
        match hops {
            Ok(hops) => {
                let rest = Delivery { hops, ..rest };
                Ok(self.first_attempts.send(Message::delivery(&rest)?).await?)
            }
            Err(reason) => self.bury(&rest, &reason, batch).await,
        }
    }

    /// Gives the turn back after an attempt that failed, and sees to what has to follow.
    async fn after_failure(
        &self,
        delivery: &Delivery,
        turn: &Turn,
        failed: Failed<'_>,
        batch: &Batch,
    ) -> Result<(), Error> {
        let Failed { so_far, wanted, .. } = failed;
        let began_with = began_with(delivery, so_far.failures, wanted);
        let now = OffsetDateTime::now_utc();
        let next = self.retries.next(so_far.failures, failed.leave_alone);
        let outcome = match next {
            Next::In(pause) => Outcome {
                failures: so_far.failures + 1,
                retry_at: Some(unix_millis(now) + millis(pause)),
                ..so_far
            },
            Next::Never => Outcome {
                failures: 0,
                ..so_far
            },
        };
        let given_back = self
            .subscriptions
            .give_back(turn, outcome, None, now)
            .await?;
        let GivenBack::Done(subscription) = given_back else {
            // It is gone, or was given back and nobody heard of it: the message finds out.
            return Err("the turn was lost".into());
        };
        match next {
            Next::In(pause) => {
                let next = again(delivery, began_with, outcome.failures);
                self.retries.arrange(&next, pause, failed.message_id).await
            }
            Next::Never if self.owners.give_up(&subscription, now).await? => Ok(()),
            // What was wanted since has not had all attempts: it gets a schedule of its own.
            Next::Never if more_is_wanted(&subscription.progress, so_far, began_with) => {
                let rest = again(delivery, subscription.progress.wanted, 0);
                Ok(self.first_attempts.send(Message::delivery(&rest)?).await?)
            }
            Next::Never => {
                let delivery = again(delivery, wanted, so_far.failures);
                self.bury(&delivery, failed.reason, batch).await
            }
        }
    }
}

fn topic(subscription: &Subscription) -> Result<(&str, SubscriptionMode), &'static str> {
    subscription.topic().ok_or("entities have no documents")
}

/// An attempt that failed.
struct Failed<'a> {
    so_far: Outcome,
    wanted: u64,
    leave_alone: Option<Duration>,
    reason: &'a str,
    message_id: &'a str,
}

/// The newest version that was wanted when a schedule began: at its first failure what was sent, and
/// later what the message of a retry says.
fn began_with(delivery: &Delivery, failures: usize, wanted: u64) -> u64 {
    match delivery.told {
        Told::Document { version } if failures > 0 => version,
        _ => wanted,
    }
}

/// Whether a later version than a schedule began with, or a snapshot, was asked for since.
fn more_is_wanted(progress: &Progress, so_far: Outcome, began_with: u64) -> bool {
    progress.wanted > began_with || progress.snapshots_asked != so_far.snapshots_asked
}

/// The delivery again, of this version, after so many failures.
fn again(delivery: &Delivery, version: u64, failures: usize) -> Delivery {
    Delivery {
        attempt: failures,
        hops: Hops::default(),
        told: Told::Document { version },
        ..delivery.clone()
    }
}

/// Milliseconds since 1970.
fn unix_millis(at: OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
