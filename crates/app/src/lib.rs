//! The parts of functions: settings, clients of AWS, tables, queues and buckets, each created in one
//! way.
//!
//! A function takes from [`App`] what it needs, and reads no environment variable itself. Clients of
//! AWS are created when they are first used: creating one takes a tenth of a function's start.

mod settings;

use std::error::Error as StdError;
use std::str::FromStr;
use std::sync::OnceLock;

use aws_config::SdkConfig;
use bellwire_api::idempotency::Idempotency;
use bellwire_api::{Authenticator, Edge, TopicPermissions};
use bellwire_athena::{Athena, Executions};
use bellwire_client_lifecycle::ClientLifecycle;
use bellwire_domain::UrlPolicy;
use bellwire_fanout::{AccessJudge, Audience, EventPublisher, Resends};
use bellwire_objects::Payloads;
use bellwire_objects::Results;
use bellwire_outbound::Consent;
use bellwire_query_notifications::{ClientTopics, Completions, Publisher, Registrations};
use bellwire_queues::{Queue, Source};
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::{env, logs};
use bellwire_store::{
    Answers, Attempts, Callbacks, Clients, Counts, Deliveries, Events, Keys, Limits, Members,
    Queries, SignIns, Subscriptions, Topics,
};

pub use bellwire_runtime::env::BadSetting;
pub use settings::{Setting, Settings};

/// The result of reading settings.
type Read<T> = Result<T, BadSetting>;

/// The function's environment, from which its parts are created.
#[derive(Debug)]
pub struct App {
    config: SdkConfig,
    settings: Settings,
    db: OnceLock<aws_sdk_dynamodb::Client>,
    sqs: Lazy<aws_sdk_sqs::Client>,
    sns: Lazy<aws_sdk_sns::Client>,
}

impl App {
    /// Starts logging, and configures the SDK from the environment variables that Lambda sets.
    ///
    /// # Errors
    /// When the region is not set.
    pub fn start() -> Read<Self> {
        logs::start();
        Ok(Self::new(aws::lambda_config()?, Settings::Environment))
    }

    /// The parts of a function that reaches AWS by `config`.
    pub fn new(config: SdkConfig, settings: Settings) -> Self {
        Self {
            db: OnceLock::new(),
            sqs: Lazy::new(&config, aws_sdk_sqs::Client::new),
            sns: Lazy::new(&config, aws_sdk_sns::Client::new),
            settings,
            config,
        }
    }

    /// The value of a setting, parsed as a `T`.
    ///
    /// # Errors
    /// When it isn't set, or can't be parsed.
    pub fn setting<T>(&self, setting: Setting) -> Read<T>
    where
        T: FromStr<Err: Into<Box<dyn StdError + Send + Sync>>>,
    {
        env::parsed(setting.name(), self.settings.get(setting))
    }

    /// The value of a setting that is a number of days, which may be a fraction.
    ///
    /// # Errors
    /// When it isn't set, isn't a number, or is out of a duration's range.
    pub fn days(&self, setting: Setting) -> Read<time::Duration> {
        env::days(setting.name(), self.settings.get(setting))
    }

    /// The client of DynamoDB, which all tables share.
    fn db(&self) -> aws_sdk_dynamodb::Client {
        let make = || aws_sdk_dynamodb::Client::new(&self.config);
        self.db.get_or_init(make).clone()
    }

    /// What is done with every request of a function behind the API; `methods` returns the methods of a resource.
    ///
    /// # Errors
    /// When the setting is missing.
    pub fn edge(&self, methods: fn(&str) -> Vec<&'static str>) -> Read<Edge> {
        let origins: String = self.setting(Setting::AllowedOrigins)?;
        Ok(Edge::new(methods, &origins))
    }

    // ---------------------------------------------------------------- tables

    /// The Clients table: who may call.
    pub fn clients(&self) -> Read<Clients> {
        Ok(Clients::new(
            self.db(),
            self.setting(Setting::ClientsTable)?,
        ))
    }

    /// The Keys table: API keys by their hashes.
    pub fn keys(&self) -> Read<Keys> {
        Ok(Keys::new(
            self.db(),
            self.setting(Setting::KeysTable)?,
            self.setting(Setting::ClientsTable)?,
        ))
    }

    /// The SignIns table: portal links, and wrong keys.
    pub fn sign_ins(&self) -> Read<SignIns> {
        let table = self.setting(Setting::SignInsTable)?;
        Ok(SignIns::new(self.db(), table))
    }

    /// The Topics table: topics, and the names that are taken.
    pub fn topics(&self) -> Read<Topics> {
        Ok(Topics::new(self.db(), self.setting(Setting::TopicsTable)?))
    }

    /// The Subscriptions table, with the Members table, which is written in the same transactions.
    pub fn subscriptions(&self) -> Read<Subscriptions> {
        Ok(Subscriptions::new(
            self.db(),
            self.setting(Setting::SubscriptionsTable)?,
            self.setting(Setting::MembersTable)?,
        ))
    }

    /// The Members table: which subscriptions an audience has.
    pub fn members(&self) -> Read<Members> {
        Ok(Members::new(
            self.db(),
            self.setting(Setting::MembersTable)?,
        ))
    }

    /// The Events table: events, and versions of documents, kept for [`Setting::EventsKeptDays`].
    pub fn events(&self) -> Read<Events> {
        Ok(Events::new(
            self.db(),
            self.setting(Setting::EventsTable)?,
            self.days(Setting::EventsKeptDays)?,
        ))
    }

    /// The Exchanges table: attempts, shown for [`Setting::ExchangesKeptDays`].
    pub fn attempts(&self) -> Read<Attempts> {
        Ok(Attempts::new(
            self.db(),
            self.setting(Setting::ExchangesTable)?,
            self.days(Setting::ExchangesKeptDays)?,
        ))
    }

    /// The Counts table: how many attempts there were in each hour.
    pub fn counts(&self) -> Read<Counts> {
        Ok(Counts::new(self.db(), self.setting(Setting::CountsTable)?))
    }

    /// What is on record of deliveries, with the table of marks of earlier versions.
    pub fn deliveries(&self) -> Read<Deliveries> {
        Ok(Deliveries::new(
            self.attempts()?,
            self.setting(Setting::DeliveriesTable)?,
            self.days(Setting::EventsKeptDays)?,
            self.subscriptions()?,
        ))
    }

    /// The Queries table: whose a query is, and how it ended.
    pub fn queries(&self) -> Read<Queries> {
        Ok(Queries::new(
            self.db(),
            self.setting(Setting::QueriesTable)?,
        ))
    }

    // ---------------------------------------------------------------- queues and buckets

    /// The queue whose URL is this setting.
    pub fn queue(&self, url: Setting) -> Read<Queue> {
        Ok(Queue::new(self.sqs.clone(), self.setting(url)?))
    }

    /// The queues that the function receives messages from, and the queue for those that can't be
    /// parsed.
    pub fn source(&self, urls: &[Setting], dead_letters: Setting) -> Read<Source> {
        let urls = urls.iter().map(|url| self.setting(*url));
        Ok(Source::new(
            self.sqs.clone(),
            urls.collect::<Read<Vec<String>>>()?,
            self.queue(dead_letters)?,
        ))
    }

    /// The bucket of payloads that are too large for messages and items.
    pub fn payloads(&self) -> Read<Payloads> {
        Ok(Payloads::new(
            &self.config,
            self.setting(Setting::PayloadsBucket)?,
            self.days(Setting::EventsKeptDays)?,
        ))
    }

    /// The bucket of query results, which Athena writes.
    pub fn results(&self) -> Read<Results> {
        Ok(Results::new(
            &self.config,
            self.setting(Setting::ResultsBucket)?,
        ))
    }

    // ---------------------------------------------------------------- other services of AWS

    /// The calls of Athena that functions make.
    pub fn athena(&self) -> Athena {
        Athena::new(&self.config)
    }

    /// A client of another service, made by `make` when it is first used.
    pub fn client<T: 'static>(&self, make: fn(&SdkConfig) -> T) -> Lazy<T> {
        Lazy::new(&self.config, make)
    }

    /// A client of EventBridge, which events are put on a bus with.
    pub fn event_bridge(&self) -> Lazy<aws_sdk_eventbridge::Client> {
        Lazy::new(&self.config, aws_sdk_eventbridge::Client::new)
    }

    /// A client of EventBridge Scheduler, which schedules late retries.
    pub fn scheduler(&self) -> Lazy<aws_sdk_scheduler::Client> {
        Lazy::new(&self.config, aws_sdk_scheduler::Client::new)
    }

    // ---------------------------------------------------------------- what is built on these

    /// Authentication by API keys, against the tables of keys and clients.
    pub fn authenticator(&self) -> Read<Authenticator> {
        Ok(Authenticator::new(self.clients()?, self.keys()?))
    }

    /// What callers may do with topics, by the labels in the Clients table.
    pub fn topic_permissions(&self) -> Read<TopicPermissions> {
        Ok(TopicPermissions::new(self.clients()?))
    }

    /// Judges who may receive a topic's publications.
    pub fn access_judge(&self) -> Read<AccessJudge> {
        Ok(AccessJudge::new(
            self.topics()?,
            self.clients()?,
            self.subscriptions()?,
            self.events()?,
            self.queue(Setting::DeliveriesQueueUrl)?,
        ))
    }

    /// The responses to requests with an `Idempotency-Key`, in the Answers table.
    pub fn idempotency(&self) -> Read<Idempotency> {
        let table = self.setting(Setting::AnswersTable)?;
        Ok(Idempotency::new(Answers::new(self.db(), table)))
    }

    /// The Callbacks table: the URLs that clients registered for query notifications.
    pub fn callbacks(&self) -> Read<Callbacks> {
        let table = self.setting(Setting::CallbacksTable)?;
        Ok(Callbacks::new(self.db(), table))
    }

    /// What follows for all that belongs to a client when it is disabled, enabled or deleted.
    pub fn client_lifecycle(&self) -> Read<ClientLifecycle> {
        Ok(ClientLifecycle {
            clients: self.clients()?,
            keys: self.keys()?,
            subscriptions: self.subscriptions()?,
            attempts: self.attempts()?,
            counts: self.counts()?,
            access: self.access_judge()?,
            callbacks: self.callbacks()?,
            queries: self.queries()?,
            topics: self.topics()?,
            notifications: self.notification_publisher()?,
            tasks: self.queue(Setting::ClientTasksQueueUrl)?,
        })
    }

    /// The registrations of callback URLs, in SNS and in the Callbacks table.
    pub fn registrations(&self) -> Read<Registrations> {
        let topics = ClientTopics::new(
            (*self.sns).clone(),
            self.setting(Setting::TopicPrefix)?,
            self.setting(Setting::UndeliveredQueueArn)?,
            self.setting(Setting::TopicsKeyArn)?,
        );
        Ok(Registrations::new(self.callbacks()?, topics))
    }

    /// Records how queries end, and notifies their owners.
    pub fn completions(&self) -> Read<Completions> {
        Ok(Completions::new(
            self.queries()?,
            self.clients()?,
            self.notification_publisher()?,
        ))
    }

    /// Publishes notifications of queries to the SNS topics of clients.
    pub fn notification_publisher(&self) -> Read<Publisher> {
        let prefix = self.setting(Setting::TopicPrefix)?;
        Ok(Publisher::new(self.sns.clone(), prefix))
    }

    /// Brings the record of queries up to date with Athena.
    pub fn executions(&self) -> Read<Executions> {
        Ok(Executions::new(self.athena(), self.completions()?))
    }

    /// Creates the deliveries of events for audiences.
    pub fn audience(&self) -> Read<Audience> {
        Ok(Audience::new(
            self.members()?,
            self.queue(Setting::FanOutsQueueUrl)?,
            self.queue(Setting::DeliveriesQueueUrl)?,
        ))
    }

    /// Publishes events: records them, and creates their deliveries.
    pub fn event_publisher(&self) -> Read<EventPublisher> {
        let fan_outs = self.queue(Setting::FanOutsQueueUrl)?;
        Ok(EventPublisher::new(
            self.events()?,
            self.audience()?,
            fan_outs,
        ))
    }

    /// Sends deliveries once more, at the request of their owners.
    pub fn resends(&self) -> Read<Resends> {
        Ok(Resends::new(
            self.events()?,
            self.attempts()?,
            self.subscriptions()?,
            self.queue(Setting::DeliveriesQueueUrl)?,
            self.setting(Setting::RetrySchedule)?,
        ))
    }

    /// Which callback URLs and webhooks the stack allows.
    pub fn url_policy(&self) -> Read<UrlPolicy> {
        Ok(UrlPolicy {
            allow_http: self.setting(Setting::AllowHttp)?,
            open_networks: self.setting(Setting::OpenNetworks)?,
        })
    }

    /// Asks endpoints for their consent, if the stack requires it.
    pub fn consent(&self) -> Read<Consent> {
        let needed = self.setting(Setting::EndpointConsent)?;
        Ok(Consent::new(needed, self.url_policy()?))
    }

    /// How many subscriptions of the function's kind a client may have, in all and at one host.
    pub fn subscription_limits(&self) -> Read<Limits> {
        Ok(Limits {
            of_client: self.setting(Setting::SubscriptionsPerClient)?,
            at_host: self.setting(Setting::SubscriptionsPerHost)?,
        })
    }
}
