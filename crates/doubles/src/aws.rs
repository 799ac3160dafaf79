//! The account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bellwire_app::{App, Settings};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Notify;

use crate::client::InMemory;
use crate::events::Scheduled;
use crate::faults::{Effect, Fault, Plan};
use crate::queues::Sent;
use crate::tables;
use crate::topics::Topic;

/// An AWS account in memory, with the tables of `template.yaml`.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    db: aws_sdk_dynamodb::Client,
    state: Arc<State>,
}

/// What the account holds, but for the tables.
#[derive(Debug, Default)]
pub struct State {
    pub plan: Mutex<Plan>,
    pub killed: Notify,
    pub queues: Mutex<Vec<(String, Sent)>>,
    pub objects: Mutex<HashMap<String, Vec<u8>>>,
    pub topics: Mutex<HashMap<String, Topic>>,
    pub events: Mutex<Vec<Value>>,
    pub schedules: Mutex<HashMap<String, Scheduled>>,
}

impl Aws {
    /// An account with these tables, by their logical ids; all are empty. With the clients there are their keys.
    pub async fn with_tables(names: &[&str]) -> Self {
        let tables_at = tables::start().await;
        let state = Arc::new(State::default());
        let http_client = SharedHttpClient::new(InMemory::new(Arc::clone(&state)));
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "key", "secret", None, None, "test",
            )))
            .endpoint_url(tables_at)
            .http_client(http_client)
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .time_source(SharedTimeSource::new(SystemTimeSource::new()))
            // As often as in a function, with pauses that a test can wait for.
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .build();
        let db = aws_sdk_dynamodb::Client::new(&config);
        for name in names {
            tables::create(&db, name).await;
            if *name == "ClientsTable" {
                tables::create(&db, "KeysTable").await;
            }
        }
        let aws = Self { config, db, state };
        aws.state.plan.lock().unwrap().calls.clear();
        aws
    }

    /// The parts of a function, of which `function` is the logical id without `Function`. Its settings are those of
    /// a stack with the template's defaults, but for `changes`.
    pub fn app(&self, function: &str, changes: &[(&str, &str)]) -> App {
        let mut settings = bellwire_template::settings(function);
        for (name, value) in changes {
            let before = settings.insert((*name).to_owned(), (*value).to_owned());
            assert!(before.is_some(), "{function} has no setting {name}");
        }
        App::new(self.config.clone(), Settings::Given(settings))
    }

    /// Lets something go wrong with the next `times` calls of an operation, such as `PutItem`.
    pub fn fail(&self, operation: &str, fault: Fault, times: usize) {
        let planned = (operation.to_owned(), fault, times);
        self.state.plan.lock().unwrap().faults.push(planned);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.state.plan.lock().unwrap().faults.clear();
    }

    /// Runs a function that is killed at its `n`th call of AWS, from 1. `None` if it was; its result if it ended
    /// before.
    pub async fn killed_at<T>(
        &self,
        n: usize,
        effect: Effect,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        self.state.plan.lock().unwrap().kill = Some((n, effect));
        let result = tokio::select! {
            biased;
            result = work => Some(result),
            () = self.state.killed.notified() => None,
        };
        self.state.plan.lock().unwrap().kill = None;
        result
    }

    /// The operations that were called since the last time that this was asked, in order.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.plan.lock().unwrap().calls)
    }

    /// How many operations were called since [`Self::calls`] was asked last.
    pub fn called(&self) -> usize {
        self.state.plan.lock().unwrap().calls.len()
    }

    /// The messages that were sent to a queue, of which `queue` is the logical id.
    pub fn sent(&self, queue: &str) -> Vec<Sent> {
        let url = bellwire_template::queue_url(queue);
        let queues = self.state.queues.lock().unwrap();
        let of_queue = queues.iter().filter(|(to, _)| *to == url);
        of_queue.map(|(_, sent)| sent.clone()).collect()
    }

    /// The messages that were sent to a queue, parsed.
    pub fn messages<T: DeserializeOwned>(&self, queue: &str) -> Vec<T> {
        let sent = self.sent(queue).into_iter();
        sent.map(|sent| serde_json::from_str(&sent.body).unwrap())
            .collect()
    }

    /// Forgets the messages that were sent.
    pub fn empty_queues(&self) {
        self.state.queues.lock().unwrap().clear();
    }

    /// The items of a table, as JSON, in no order. Bytes are shown as their number.
    pub async fn items(&self, table: &str) -> Vec<Value> {
        let found = self.db.scan().table_name(table).send().await.unwrap();
        let items = found.items.unwrap_or_default().into_iter();
        items
            .map(|mut item| {
                for value in item.values_mut() {
                    if let AttributeValue::B(bytes) = value {
                        *value = AttributeValue::N(bytes.as_ref().len().to_string());
                    }
                }
                serde_dynamo::from_item(item).unwrap()
            })
            .collect()
    }

    /// Puts an item of texts into a table.
    pub async fn put_item(&self, table: &str, item: &[(&str, &str)]) {
        let item = item.iter();
        let item =
            item.map(|(name, value)| ((*name).to_owned(), AttributeValue::S((*value).to_owned())));
        let put = self
            .db
            .put_item()
            .table_name(table)
            .set_item(Some(item.collect()));
        put.send().await.unwrap();
    }

    /// Sets an attribute of an item to a text.
    pub async fn set_text(&self, table: &str, key: &[(&str, &str)], name: &str, value: &str) {
        let update = self
            .update(table, key)
            .update_expression("SET #name = :value");
        let update = update.expression_attribute_names("#name", name);
        let value = AttributeValue::S(value.to_owned());
        let update = update.expression_attribute_values(":value", value);
        update.send().await.unwrap();
    }

    /// Sets an attribute of an item to a number, if the item has the attribute: to let a lease expire.
    pub async fn set_number(&self, table: &str, key: &[(&str, &str)], name: &str, value: u64) {
        let update = self
            .update(table, key)
            .update_expression("SET #name = :value");
        let update = update.expression_attribute_names("#name", name);
        let value = AttributeValue::N(value.to_string());
        let update = update.expression_attribute_values(":value", value);
        let update = update.condition_expression("attribute_exists(#name)");
        let _ = update.send().await;
    }

    fn update(&self, table: &str, key: &[(&str, &str)]) -> UpdateItemFluentBuilder {
        let key = key.iter();
        let key =
            key.map(|(name, value)| ((*name).to_owned(), AttributeValue::S((*value).to_owned())));
        self.db
            .update_item()
            .table_name(table)
            .set_key(Some(key.collect()))
    }

    /// Creates a topic of SNS.
    pub fn create_topic(&self, name: &str) {
        let arn = format!("arn:aws:sns:us-east-1:123456789012:{name}");
        self.state
            .topics
            .lock()
            .unwrap()
            .insert(arn, Topic::default());
    }

    /// The topics of SNS, by their ARNs.
    pub fn topics(&self) -> HashMap<String, Topic> {
        self.state.topics.lock().unwrap().clone()
    }

    /// The events that were put on buses.
    pub fn events(&self) -> Vec<Value> {
        self.state.events.lock().unwrap().clone()
    }

    /// The schedules, by their names.
    pub fn schedules(&self) -> HashMap<String, Scheduled> {
        self.state.schedules.lock().unwrap().clone()
    }
}
