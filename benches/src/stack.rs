//! The tables and settings of a stack, on the stand-ins, as `template.yaml` has them.

use anyhow::{Context, Result};
use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};

use bellwire_domain::{ClientId, Secret};
use bellwire_store::{ApiKey, Client, Clients, Keys};
use time::OffsetDateTime;

use crate::aws::Aws;

/// A table: its name, its keys, and its index with its keys.
type Table = (
    &'static str,
    &'static [&'static str],
    Option<(&'static str, &'static [&'static str])>,
);

const TABLES: &[Table] = &[
    (
        "clients",
        &["client_id"],
        Some(("by-api-key", &["api_key_sha256"])),
    ),
    ("keys", &["key_sha256"], None),
    ("sign-ins", &["id"], None),
    ("callbacks", &["client_id", "callback_id"], None),
    (
        "queries",
        &["execution_id"],
        Some(("by-client", &["client_id", "registered_at"])),
    ),
    (
        "topics",
        &["topic_id"],
        Some(("listed", &["listed", "created_at"])),
    ),
    (
        "subscriptions",
        &["subscription_id"],
        Some(("by-client", &["client_id", "listed"])),
    ),
    ("members", &["audience_segment", "subscription_id"], None),
    ("events", &["source", "key"], None),
    ("exchanges", &["subscription_id", "exchange_id"], None),
    ("counts", &["subscription_id", "hour"], None),
    ("deliveries", &["delivery_id"], None),
];

/// The attributes in the index of subscriptions, beside its keys.
const LISTED: [&str; 13] = [
    "topic_id",
    "mode",
    "entity_key",
    "segment",
    "webhook_url",
    "webhook_headers",
    "authorization",
    "secrets",
    "created_at",
    "updated_at",
    "disabled",
    "unannounced",
    "failing_since",
];

/// The settings of all functions: each reads those that it needs.
const SETTINGS: &[(&str, &str)] = &[
    ("RUNNING_QUERIES_PER_CLIENT", "10"),
    ("WAITING_REQUESTS_PER_CLIENT", "5"),
    ("SUBSCRIPTIONS_PER_CLIENT", "1000000"),
    ("SUBSCRIPTIONS_PER_HOST", "1000000"),
    ("ENDPOINT_CONSENT", "none"),
    ("ANSWERS_TABLE", "answers"),
    ("ALLOWED_ORIGINS", ""),
    ("CLIENTS_TABLE", "clients"),
    ("KEYS_TABLE", "keys"),
    ("SIGN_INS_TABLE", "sign-ins"),
    ("PORTAL_RETURN_ORIGINS", ""),
    ("FUNCTION_PREFIX", "bellwire-"),
    ("CONSOLE_NAME", "Webhooks"),
    ("CONSOLE_LOGO_URL", ""),
    ("CONSOLE_COLOUR", "#0b6bcb"),
    ("CALLBACKS_TABLE", "callbacks"),
    ("QUERIES_TABLE", "queries"),
    ("TOPICS_TABLE", "topics"),
    ("SUBSCRIPTIONS_TABLE", "subscriptions"),
    ("MEMBERS_TABLE", "members"),
    ("EVENTS_TABLE", "events"),
    ("EVENTS_KEPT_DAYS", "7"),
    ("EXCHANGES_TABLE", "exchanges"),
    ("EXCHANGES_KEPT_DAYS", "7"),
    ("COUNTS_TABLE", "counts"),
    ("DELIVERIES_TABLE", "deliveries"),
    ("PAYLOADS_BUCKET", "payloads"),
    ("RESULTS_BUCKET", "results"),
    ("TOPIC_PREFIX", "arn:aws:sns:us-east-1:000000000000:bench-"),
    ("TOPICS_KEY_ARN", ""),
    (
        "UNDELIVERED_QUEUE_ARN",
        "arn:aws:sqs:us-east-1:000000000000:undelivered",
    ),
    ("PUBLICATIONS_QUEUE_URL", "http://sqs/publications.fifo"),
    ("FAN_OUTS_QUEUE_URL", "http://sqs/fan-outs"),
    ("DELIVERIES_QUEUE_URL", "http://sqs/deliveries"),
    ("RETRIES_QUEUE_URL", "http://sqs/retries"),
    (
        "RETRIES_QUEUE_ARN",
        "arn:aws:sqs:us-east-1:000000000000:retries",
    ),
    ("RENDERINGS_QUEUE_URL", "http://sqs/renderings"),
    (
        "DEAD_PUBLICATIONS_QUEUE_URL",
        "http://sqs/dead-publications",
    ),
    ("DEAD_FAN_OUTS_QUEUE_URL", "http://sqs/dead-fan-outs"),
    ("CLIENT_TASKS_QUEUE_URL", "http://sqs/client-tasks"),
    (
        "DEAD_CLIENT_TASKS_QUEUE_URL",
        "http://sqs/dead-client-tasks",
    ),
    ("DEAD_DELIVERIES_QUEUE_URL", "http://sqs/dead-deliveries"),
    (
        "DEAD_PUBLICATIONS_QUEUE_URL",
        "http://sqs/dead-publications",
    ),
    (
        "FAILED_COMPLETIONS_QUEUE_URL",
        "http://sqs/failed-completions",
    ),
    ("UNDELIVERED_QUEUE_URL", "http://sqs/undelivered"),
    ("FAILED_COUNTS_QUEUE_URL", "http://sqs/failed-counts"),
    (
        "DEAD_DELIVERIES_QUEUE_ARN",
        "arn:aws:sqs:us-east-1:000000000000:dead-deliveries",
    ),
    ("DEAD_RENDERINGS_QUEUE_URL", "http://sqs/dead-renderings"),
    ("SCHEDULE_GROUP", "bench"),
    ("SCHEDULER_ROLE_ARN", "arn:aws:iam::000000000000:role/bench"),
    ("EVENT_BUS", "bench"),
    ("METRICS_NAMESPACE", "bench"),
    ("RETRY_SCHEDULE", "0s 5s 30s 2m 15m 1h 6h 24h"),
    ("DISABLED_AFTER_DAYS", "5"),
    ("EXCHANGE_SECONDS", "15"),
    ("RENDERING_SECONDS", "20"),
    ("WORKGROUP", "bench"),
    ("QUERY_DATABASE", "bench"),
    ("ALLOW_HTTP", "true"),
    ("OPEN_NETWORKS", "127.0.0.0/8"),
];

/// The id of the client that the files in `events/` belong to.
pub const CLIENT_ID: &str = "cl_aaaaaaaaaaaaaaaaaaaaaaaa";

/// The environment of every function.
pub fn environment(aws: &Aws) -> Vec<(String, String)> {
    let endpoint = (
        "AWS_ENDPOINT_URL".to_owned(),
        format!("http://{}", aws.address),
    );
    let settings = SETTINGS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    settings.chain([endpoint]).collect()
}

/// A client of the stand-in for DynamoDB.
pub fn dynamodb(aws: &Aws) -> DynamoDb {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{}", aws.address))
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"))
        .http_client(bellwire_runtime::aws::http_client())
        .build();
    DynamoDb::from_conf(config)
}

/// Creates the tables.
pub async fn create_tables(db: &DynamoDb) -> Result<()> {
    for (name, keys, index) in TABLES {
        let mut defined: Vec<&str> = Vec::new();
        let mut request = db
            .create_table()
            .table_name(*name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(schema(keys)?));
        defined.extend(*keys);
        if let Some((index, keys)) = index {
            defined.extend(*keys);
            let projection = if *name == "subscriptions" {
                Projection::builder()
                    .projection_type(ProjectionType::Include)
                    .set_non_key_attributes(Some(LISTED.map(str::to_owned).to_vec()))
            } else {
                Projection::builder().projection_type(ProjectionType::All)
            };
            request = request.global_secondary_indexes(
                GlobalSecondaryIndex::builder()
                    .index_name(*index)
                    .projection(projection.build())
                    .set_key_schema(Some(schema(keys)?))
                    .build()?,
            );
        }
        for name in defined {
            request = request.attribute_definitions(
                AttributeDefinition::builder()
                    .attribute_name(name)
                    .attribute_type(ScalarAttributeType::S)
                    .build()?,
            );
        }
        request.send().await?;
    }
    Ok(())
}

fn schema(keys: &[&str]) -> Result<Vec<KeySchemaElement>> {
    let mut schema = Vec::new();
    for (name, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let element = KeySchemaElement::builder()
            .attribute_name(*name)
            .key_type(kind);
        schema.push(element.build()?);
    }
    Ok(schema)
}

/// Adds the client that the files in `events/` belong to: a publisher, and an operator, with
/// their key.
pub async fn add_sample_client(db: &DynamoDb) -> Result<()> {
    let clients = Clients::new(db.clone(), "clients".to_owned());
    let keys = Keys::new(db.clone(), "keys".to_owned(), "clients".to_owned());
    let client_id = ClientId::parse(CLIENT_ID).context("the sample's id")?;
    let secret = Secret::new("bws_sample-secret-of-the-files-in-events").hash();
    let now = OffsetDateTime::now_utc();
    let client = Client {
        publisher: true,
        operator: true,
        ..Client::new(client_id, "events", &secret, now)
    };
    let key = Secret::new("bwk_sample-key-of-the-files-in-events");
    let key = ApiKey {
        // Its first use of the day isn't what is measured.
        used_on: Some("9999-12-31".to_owned()),
        ..ApiKey::new(&client, &key, "events", now)
    };
    let client = Client {
        api_keys: vec![key.key_sha256.clone()],
        ..client
    };
    clients.create(&client, Some(keys.put_new(&key)?)).await?;
    Ok(())
}
