//! A DynamoDB emulator on loopback, one for each test, with one table or more.

#[allow(dead_code)] // not every test is about attempts
pub mod attempts;
#[allow(dead_code)] // not every test takes snapshots
pub mod stored;
#[allow(dead_code)] // not every test has subscriptions
pub mod subscriptions;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, Projection, ProjectionType, ScalarAttributeType,
};
use bellwire_domain::ids::{MessageId, SubscriptionId, TopicId};

/// The name of the first table.
pub const TABLE: &str = "table";

/// Starts an emulator with a table [`TABLE`]. `keys` are the partition key and, if any, the sort key, as
/// in `template.yaml`; `index` is the name of an index, and its keys.
pub async fn table(keys: &[&str], index: Option<(&str, &[&str])>) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let database = dynoxide::Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_on(listener, database));

    let config = aws_sdk_dynamodb::Config::builder()
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::for_tests())
        .http_client(bellwire_runtime::aws::http_client())
        .build();
    let db = Client::from_conf(config);
    create(&db, TABLE, keys, index).await;
    db
}

/// Adds a table with these keys.
#[allow(dead_code)] // not every test needs two
pub async fn add_table(db: &Client, name: &str, keys: &[&str]) {
    create(db, name, keys, None).await;
}

/// A text as an attribute.
#[allow(dead_code)] // not every test writes items itself
pub fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

async fn create(db: &Client, name: &str, keys: &[&str], index: Option<(&str, &[&str])>) {
    let mut request = db
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        request = request
            .attribute_definitions(text(name))
            .key_schema(key(name, kind));
    }
    if let Some((index, names)) = index {
        let mut schema = GlobalSecondaryIndex::builder()
            .index_name(index)
            .projection(
                Projection::builder()
                    .projection_type(ProjectionType::All)
                    .build(),
            );
        for (name, kind) in names.iter().zip([KeyType::Hash, KeyType::Range]) {
            request = request.attribute_definitions(text(name));
            schema = schema.key_schema(key(name, kind));
        }
        request = request.global_secondary_indexes(schema.build().unwrap());
    }
    request.send().await.unwrap();
}

fn text(name: &str) -> AttributeDefinition {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .unwrap()
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()
        .unwrap()
}

/// The id of a subscription, for as long as the test runs.
#[allow(dead_code)] // not every test has subscriptions
pub fn sid(text: &str) -> &'static SubscriptionId {
    Box::leak(Box::new(SubscriptionId::new(text)))
}

/// The id of a topic, for as long as the test runs.
#[allow(dead_code)] // not every test has topics
pub fn tid(text: &str) -> &'static TopicId {
    Box::leak(Box::new(TopicId::new(text)))
}

/// The id of a message, for as long as the test runs.
#[allow(dead_code)] // not every test acquires leases
pub fn message_id(text: &str) -> &'static MessageId {
    Box::leak(Box::new(MessageId::new(text)))
}
