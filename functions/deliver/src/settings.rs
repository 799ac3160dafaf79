//! What the template says of deliveries.

use std::time::Duration;

use bellwire_outbound::{Limits, Sender};
use bellwire_queues::{Queue, Sources};
use bellwire_rules::UrlPolicy;
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::deadline;
use bellwire_runtime::env::{days, required};
use bellwire_store::{Deliveries, Events, Exchanges, Subscriptions};
use lambda_runtime::Error;

use crate::DeliverFunction;
use crate::attempt::WebhookSender;
use crate::bodies::Bodies;
use crate::owner_notifications::OwnerNotifications;
use crate::retries::Retries;

/// What an invocation has time for.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// How long one step towards a document may take: nothing more is begun when less is left.
    step: Duration,
}

/// How many exchanges one more step may take: one for an access token, whoever asks for it, and one for
/// the delivery.
const EXCHANGES_PER_STEP: u32 = 2;
/// By how much a lease outlasts the invocation.
const BEYOND: Duration = Duration::from_secs(5);
/// What a function needs at its end for its tables and queues.
const RESERVE: Duration = Duration::from_secs(10);

impl Time {
    /// How long a lease lasts: longer than the invocation, since whoever finds one that is over
    /// takes it for left behind.
    pub fn lease(self) -> Duration {
        deadline::remaining().unwrap_or(self.step) + BEYOND
    }

    /// Whether there is time for another step.
    pub fn is_left(self) -> bool {
        deadline::remaining().is_none_or(|remaining| remaining >= self.step)
    }
}

impl DeliverFunction {
    /// Everything as the template has it.
    pub fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let sqs = Lazy::new(&config, aws_sdk_sqs::Client::new);
        let queue = |name| Ok::<_, Error>(Queue::new(sqs.clone(), required(name)?));
        let subscriptions = Subscriptions::new(
            db.clone(),
            required("SUBSCRIPTIONS_TABLE")?,
            required("MEMBERS_TABLE")?,
        );
        let kept = days("EVENTS_KEPT_DAYS")?;
        let exchanges = Exchanges::new(
            db.clone(),
            required("EXCHANGES_TABLE")?,
            days("EXCHANGES_KEPT_DAYS")?,
        );
        let deliveries = Deliveries::new(
            db.clone(),
            required("DELIVERIES_TABLE")?,
            kept,
            subscriptions.clone(),
            exchanges,
        );
        let seconds = |name| Ok::<_, Error>(Duration::from_secs(required(name)?));
        let exchange = seconds("EXCHANGE_SECONDS")?;
        let limits = Limits {
            exchange,
            ..Limits::default()
        };
        let policy = UrlPolicy {
            allow_http: required("ALLOW_HTTP")?,
            open_networks: required("OPEN_NETWORKS")?,
        };
        let retries = Retries::new(
            required("RETRY_SCHEDULE")?,
            queue("RETRIES_QUEUE_URL")?,
            Lazy::new(&config, aws_sdk_scheduler::Client::new),
            required("SCHEDULE_GROUP")?,
            required("SCHEDULER_ROLE_ARN")?,
            required("DEAD_DELIVERIES_QUEUE_ARN")?,
        );
        Ok(Self {
            bodies: Bodies::new(
                Events::new(db, required("EVENTS_TABLE")?, kept),
                bellwire_payloads::Payloads::new(
                    &config,
                    required("PAYLOADS_BUCKET")?,
                    days("EVENTS_KEPT_DAYS")?,
                ),
            ),
            sender: WebhookSender::new(Sender::new(policy, limits)?, exchange, retries.count()),
            owners: OwnerNotifications::new(
                subscriptions.clone(),
                Lazy::new(&config, aws_sdk_eventbridge::Client::new),
                required("EVENT_BUS")?,
                days("DISABLED_AFTER_DAYS")?,
            ),
            subscriptions,
            deliveries,
            retries,
            sources: Sources::new(
                sqs.clone(),
                vec![
                    required("DELIVERIES_QUEUE_URL")?,
                    required("RETRIES_QUEUE_URL")?,
                ],
            ),
            first_attempts: queue("DELIVERIES_QUEUE_URL")?,
            dead_letters: queue("DEAD_DELIVERIES_QUEUE_URL")?,
            metrics_namespace: required("METRICS_NAMESPACE")?,
            time: Time {
                step: exchange * EXCHANGES_PER_STEP + RESERVE,
            },
        })
    }
}
