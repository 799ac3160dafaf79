//! `Deliveries` and `Retries`: attempts deliveries of events and documents to endpoints. What it does is the
//! engine's (`crates/engine`).

use std::time::Duration;

use bellwire_app::{App, Setting};
use bellwire_domain::ids::MessageId;
use bellwire_engine::Engine;
use bellwire_engine::bodies::Bodies;
use bellwire_engine::owner_notifications::OwnerNotifications;
use bellwire_engine::retries::Retries;
use bellwire_engine::targets::webhook::WebhookSender;
use bellwire_engine::time_left::TimeLeft;
use bellwire_outbound::{Limits, Sender};
use bellwire_queues::{Delivery, Received, Source};
use lambda_runtime::Error;

/// What the function keeps between batches.
#[derive(Debug)]
pub struct DeliverFunction {
    engine: Engine,
    /// The queues that it is fed from.
    pub source: Source,
}

impl DeliverFunction {
    /// The function, as the template has it.
    ///
    /// # Errors
    /// When a setting is missing or malformed, or TLS can't be set up.
    pub fn new(app: &App) -> Result<Self, Error> {
        let exchange = Duration::from_secs(app.setting(Setting::ExchangeSeconds)?);
        let limits = Limits {
            exchange,
            ..Limits::default()
        };
        let sender = Sender::new(app.url_policy()?, limits)?;
        let retries = Retries::new(
            app.setting(Setting::RetrySchedule)?,
            app.queue(Setting::RetriesQueueUrl)?,
            app.scheduler(),
            app.setting(Setting::ScheduleGroup)?,
            app.setting(Setting::SchedulerRoleArn)?,
            app.setting(Setting::DeadDeliveriesQueueArn)?,
        );
        let owners = OwnerNotifications::new(
            app.subscriptions()?,
            app.event_bridge(),
            app.setting(Setting::EventBus)?,
            app.days(Setting::DisabledAfterDays)?,
        );
        let engine = Engine {
            subscriptions: app.subscriptions()?,
            deliveries: app.deliveries()?,
            bodies: Bodies::new(app.events()?, app.payloads()?),
            access: app.access_judge()?,
            webhooks: WebhookSender::new(sender, exchange, retries.count()),
            retries,
            owners,
            first_attempts: app.queue(Setting::DeliveriesQueueUrl)?,
            dead_letters: app.queue(Setting::DeadDeliveriesQueueUrl)?,
            time: TimeLeft::new(exchange),
            metrics_namespace: app.setting(Setting::MetricsNamespace)?,
        };
        let urls = [Setting::DeliveriesQueueUrl, Setting::RetriesQueueUrl];
        let source = app.source(&urls, Setting::DeadDeliveriesQueueUrl)?;
        Ok(Self { engine, source })
    }

    /// Attempts the deliveries of a batch. Returns the ids of the messages that have to be received again.
    pub async fn handle(&self, batch: Vec<Received<Delivery>>) -> Vec<MessageId> {
        self.engine.deliver(batch).await
    }
}
