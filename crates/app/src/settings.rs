//! The settings that the template passes to functions as environment variables. Their names are here
//! and nowhere else.

use std::collections::BTreeMap;

/// Where the values of settings come from.
#[derive(Clone, Debug)]
pub enum Settings {
    /// The environment variables of the process.
    Environment,
    /// These values, by the names of environment variables: for tests.
    Given(BTreeMap<String, String>),
}

impl Settings {
    /// The value of a setting; `None` if it isn't set.
    pub fn get(&self, setting: Setting) -> Option<String> {
        match self {
            Self::Environment => std::env::var(setting.name()).ok(),
            Self::Given(values) => values.get(setting.name()).cloned(),
        }
    }
}

macro_rules! settings {
    ($($(#[$doc:meta])* $setting:ident = $name:literal,)*) => {
        /// A setting of a stack; `template.yaml` has the values.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Setting {
            $($(#[$doc])* $setting,)*
        }

        impl Setting {
            /// All settings.
            pub const ALL: &[Self] = &[$(Self::$setting,)*];

            /// The name of the environment variable.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$setting => $name,)*
                }
            }
        }
    };
}

settings! {
    /// The origins whose pages may read responses of the API, separated by commas.
    AllowedOrigins = "ALLOWED_ORIGINS",
    /// The name of the Clients table.
    ClientsTable = "CLIENTS_TABLE",
    /// The name of the Keys table.
    KeysTable = "KEYS_TABLE",
    /// The name of the SignIns table.
    SignInsTable = "SIGN_INS_TABLE",
    /// The origins that portal links may lead back to, separated by commas.
    PortalReturnOrigins = "PORTAL_RETURN_ORIGINS",
    /// The name of the Callbacks table.
    CallbacksTable = "CALLBACKS_TABLE",
    /// The name of the Queries table.
    QueriesTable = "QUERIES_TABLE",
    /// The name of the Topics table.
    TopicsTable = "TOPICS_TABLE",
    /// The name of the Subscriptions table.
    SubscriptionsTable = "SUBSCRIPTIONS_TABLE",
    /// The name of the Members table.
    MembersTable = "MEMBERS_TABLE",
    /// The name of the Events table.
    EventsTable = "EVENTS_TABLE",
    /// The name of the Exchanges table.
    ExchangesTable = "EXCHANGES_TABLE",
    /// The name of the Counts table.
    CountsTable = "COUNTS_TABLE",
    /// The name of the Deliveries table.
    DeliveriesTable = "DELIVERIES_TABLE",
    /// The name of the Answers table.
    AnswersTable = "ANSWERS_TABLE",
    /// The name of the bucket of payloads that are too large for messages and items.
    PayloadsBucket = "PAYLOADS_BUCKET",
    /// The name of the bucket of query results.
    ResultsBucket = "RESULTS_BUCKET",
    /// The URL of the FIFO queue of publications.
    PublicationsQueueUrl = "PUBLICATIONS_QUEUE_URL",
    /// The URL of the dead-letter queue of publications.
    DeadPublicationsQueueUrl = "DEAD_PUBLICATIONS_QUEUE_URL",
    /// The URL of the queue of fan-outs and replays.
    FanOutsQueueUrl = "FAN_OUTS_QUEUE_URL",
    /// The URL of the dead-letter queue of fan-outs.
    DeadFanOutsQueueUrl = "DEAD_FAN_OUTS_QUEUE_URL",
    /// The URL of the queue of work on clients.
    ClientTasksQueueUrl = "CLIENT_TASKS_QUEUE_URL",
    /// The URL of the dead-letter queue of work on clients.
    DeadClientTasksQueueUrl = "DEAD_CLIENT_TASKS_QUEUE_URL",
    /// The URL of the queue of first attempts.
    DeliveriesQueueUrl = "DELIVERIES_QUEUE_URL",
    /// The URL of the queue of retries.
    RetriesQueueUrl = "RETRIES_QUEUE_URL",
    /// The URL of the dead-letter queue of deliveries.
    DeadDeliveriesQueueUrl = "DEAD_DELIVERIES_QUEUE_URL",
    /// The ARN of the same queue.
    DeadDeliveriesQueueArn = "DEAD_DELIVERIES_QUEUE_ARN",
    /// The URL of the queue of ends of queries that could not be processed.
    FailedCompletionsQueueUrl = "FAILED_COMPLETIONS_QUEUE_URL",
    /// The URL of the queue of notifications that SNS could not deliver.
    UndeliveredQueueUrl = "UNDELIVERED_QUEUE_URL",
    /// The URL of the queue of what could not be counted.
    FailedCountsQueueUrl = "FAILED_COUNTS_QUEUE_URL",
    /// The URL of the queue of results to render as JSON Lines.
    RenderingsQueueUrl = "RENDERINGS_QUEUE_URL",
    /// The URL of the dead-letter queue of renderings.
    DeadRenderingsQueueUrl = "DEAD_RENDERINGS_QUEUE_URL",
    /// The ARN of the queue of notifications that SNS could not deliver.
    UndeliveredQueueArn = "UNDELIVERED_QUEUE_ARN",
    /// The beginning of the ARNs of clients' SNS topics; the client's id follows.
    TopicPrefix = "TOPIC_PREFIX",
    /// The ARN of the KMS key of clients' SNS topics; empty without one.
    TopicsKeyArn = "TOPICS_KEY_ARN",
    /// The name of the event bus on which owners of endpoints are notified.
    EventBus = "EVENT_BUS",
    /// The name of the group of EventBridge Scheduler's schedules.
    ScheduleGroup = "SCHEDULE_GROUP",
    /// The ARN of the role with which EventBridge Scheduler sends messages.
    SchedulerRoleArn = "SCHEDULER_ROLE_ARN",
    /// What the names of the stack's functions begin with.
    FunctionPrefix = "FUNCTION_PREFIX",
    /// What the consoles call the product.
    ConsoleName = "CONSOLE_NAME",
    /// The URL of the logo that the consoles show; empty for none.
    ConsoleLogoUrl = "CONSOLE_LOGO_URL",
    /// The colour of what the consoles emphasise, such as `#0b6bcb`.
    ConsoleColour = "CONSOLE_COLOUR",
    /// The name of Athena's workgroup; empty in a stack that runs no queries.
    Workgroup = "WORKGROUP",
    /// The name of the database of tables that SQL names without one.
    QueryDatabase = "QUERY_DATABASE",
    /// How long a request waits for a rendering, in seconds.
    RenderingSeconds = "RENDERING_SECONDS",
    /// How long events can be replayed, in days.
    EventsKeptDays = "EVENTS_KEPT_DAYS",
    /// How long attempts are on record, in days.
    ExchangesKeptDays = "EXCHANGES_KEPT_DAYS",
    /// The pauses before attempts, such as `0s 5s 2m 1h`.
    RetrySchedule = "RETRY_SCHEDULE",
    /// How long an attempt may take, in seconds.
    ExchangeSeconds = "EXCHANGE_SECONDS",
    /// After how many days of failure an endpoint is disabled.
    DisabledAfterDays = "DISABLED_AFTER_DAYS",
    /// The namespace of the metrics of deliveries.
    MetricsNamespace = "METRICS_NAMESPACE",
    /// Whether callback URLs may use `http`: `true` or `false`.
    AllowHttp = "ALLOW_HTTP",
    /// Non-global networks that callback URLs may point at, as CIDR blocks.
    OpenNetworks = "OPEN_NETWORKS",
    /// Whether endpoints have to consent: `none` or `options`.
    EndpointConsent = "ENDPOINT_CONSENT",
    /// How many subscriptions of the function's kind a client may have.
    SubscriptionsPerClient = "SUBSCRIPTIONS_PER_CLIENT",
    /// How many of them may be at one host.
    SubscriptionsPerHost = "SUBSCRIPTIONS_PER_HOST",
    /// How many queries of a client may run at once.
    RunningQueriesPerClient = "RUNNING_QUERIES_PER_CLIENT",
    /// How many requests of a client may wait for a result at once.
    WaitingRequestsPerClient = "WAITING_REQUESTS_PER_CLIENT",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_template_hands_out_these_settings_and_no_others() {
        let ours: BTreeSet<String> = Setting::ALL.iter().map(|it| it.name().to_owned()).collect();
        assert_eq!(ours.len(), Setting::ALL.len());
        assert_eq!(bellwire_template::variables(), ours);
    }
}
