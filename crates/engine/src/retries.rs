//! When and how a delivery that failed is tried again.

use std::time::Duration;

use aws_sdk_scheduler::Client as Scheduler;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, Target,
};
use bellwire_domain::delivery::decision::{Decision, after_attempt};
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::delivery::outcome::AttemptOutcome;
use bellwire_domain::delivery::retry::{RetrySchedule, random};
use bellwire_domain::ids::{MessageId, retry_id};
use bellwire_domain::timestamp::schedule_time;
use bellwire_queues::{Delivery, DeliveryKind, LONGEST_DELAY, Message, Queue};
use bellwire_runtime::aws::Lazy;
use time::OffsetDateTime;

use crate::Error;

/// The schedule, and the ways to have a message later: SQS holds one back for up to 15
/// minutes, EventBridge Scheduler sends one at any time.
#[derive(Debug)]
pub struct Retries {
    schedule: RetrySchedule,
    queue: Queue,
    scheduler: Lazy<Scheduler>,
    group: String,
    role_arn: String,
    dead_letters_arn: String,
}

impl Retries {
    /// By this schedule; this queue; and schedules in this group, which send to it by this role, or to
    /// the dead letters.
    pub fn new(
        schedule: RetrySchedule,
        queue: Queue,
        scheduler: Lazy<Scheduler>,
        group: String,
        role_arn: String,
        dead_letters_arn: String,
    ) -> Self {
        Self {
            schedule,
            queue,
            scheduler,
            group,
            role_arn,
            dead_letters_arn,
        }
    }

    /// How many retries a delivery has.
    pub fn count(&self) -> usize {
        self.schedule.retries()
    }

    /// What follows an attempt with this outcome, after `failures` others that failed.
    pub fn decide(&self, outcome: &AttemptOutcome, failures: usize) -> Decision {
        after_attempt(outcome, failures, &self.schedule, random())
    }

    /// Has it recorded later that a delivery has arrived.
    pub async fn leave_arrival(&self, key: &DeliveryKey) -> Result<(), Error> {
        let kind = DeliveryKind::Arrived {
            event_id: key.event_id.clone(),
        };
        let id = key.subscription_id.clone();
        let arrival = Delivery::new(id, String::new(), key.accepted_at, kind).in_shard(key.shard);
        Ok(self.queue.send(Message::new(&arrival)?).await?)
    }

    /// Has the delivery tried again after the pause. To do so again arranges for the same.
    /// `message_id` is the message whose attempt has failed.
    pub async fn arrange(
        &self,
        delivery: &Delivery,
        pause: Duration,
        message_id: &MessageId,
    ) -> Result<(), Error> {
        tracing::info!(seconds = pause.as_secs_f64(), "retry");
        if pause <= LONGEST_DELAY {
            let message = Message::delivery(delivery)?.after(pause);
            return Ok(self.queue.send(message).await?);
        }
        let at = OffsetDateTime::now_utc() + pause;
        // A target that is a queue would send without a group, by which SQS is fair between clients:
        // Scheduler has one for FIFO queues alone. This calls SendMessage as we would.
        // https://docs.aws.amazon.com/scheduler/latest/APIReference/API_SqsParameters.html
        // https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
        let partition = self.dead_letters_arn.split(':').nth(1).unwrap_or("aws");
        let send_message = format!("arn:{partition}:scheduler:::aws-sdk:sqs:sendMessage");
        let call = self.queue.call(Message::delivery(delivery)?);
        let target = Target::builder()
            .arn(send_message)
            .role_arn(&self.role_arn)
            .input(call.to_string())
            .dead_letter_config(
                DeadLetterConfig::builder()
                    .arn(&self.dead_letters_arn)
                    .build(),
            )
            .build()?;
        let window = FlexibleTimeWindow::builder()
            .mode(FlexibleTimeWindowMode::Off)
            .build()?;
        let answer = self
            .scheduler
            .create_schedule()
            .group_name(&self.group)
            .name(name(delivery, message_id))
            .schedule_expression(format!("at({})", schedule_time(at)))
            .flexible_time_window(window)
            .target(target)
            .action_after_completion(ActionAfterCompletion::Delete)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // An earlier attempt at the same message has made it.
                Some(refused) if refused.is_conflict_exception() => Ok(()),
                _ => Err(Error::Scheduler(anyhow::Error::from(error))),
            },
        }
    }
}

/// The name of a delivery's schedule: the same when the same message comes again.
fn name(delivery: &Delivery, message_id: &MessageId) -> String {
    let id = retry_id(message_id, &delivery.subscription_id);
    format!("{id}-{}", delivery.attempt)
}
