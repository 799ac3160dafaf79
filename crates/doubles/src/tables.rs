//! DynamoDB: an embedded emulator on loopback, with the tables of `template.yaml`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use bellwire_template::Keys;
use serde_json::{Value, json};

use crate::client::{Call, json_response};

/// Starts an emulator without tables. Returns its URL.
pub async fn start() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let database = dynoxide::Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    url
}

/// Creates a table of the template.
pub async fn create(db: &Client, name: &str) {
    let tables = bellwire_template::tables();
    let table = tables.iter().find(|table| table.name == name).unwrap();
    let mut names: Vec<&String> = table.keys.iter().collect();
    names.extend(table.indexes.iter().flat_map(|index| &index.keys));
    names.sort();
    names.dedup();
    let attributes = names.into_iter().map(|name| {
        let definition = AttributeDefinition::builder().attribute_name(name);
        definition
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap()
    });
    let everything = Projection::builder()
        .projection_type(ProjectionType::All)
        .build();
    let indexes: Vec<GlobalSecondaryIndex> = table
        .indexes
        .iter()
        .map(|index| {
            let schema = GlobalSecondaryIndex::builder().index_name(&index.name);
            let schema = schema.set_key_schema(Some(schema_of(index)));
            schema.projection(everything.clone()).build().unwrap()
        })
        .collect();
    db.create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes.collect()))
        .set_key_schema(Some(schema_of(table)))
        .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
        .send()
        .await
        .unwrap();
}

fn schema_of(keys: &Keys) -> Vec<KeySchemaElement> {
    let kinds = keys.keys.iter().zip([KeyType::Hash, KeyType::Range]);
    kinds
        .map(|(name, kind)| {
            let element = KeySchemaElement::builder().attribute_name(name);
            element.key_type(kind).build().unwrap()
        })
        .collect()
}

/// Carries out a call. With `partial`, of a batch only the first key, and the others are left unprocessed.
pub async fn carry_out(
    call: Call,
    network: SharedHttpConnector,
    partial: bool,
) -> Result<HttpResponse, ConnectorError> {
    let mut body = call.body.clone();
    if !partial {
        return network.call(call.request_with(&body)).await;
    }
    let (list, unprocessed) = match call.operation.as_str() {
        "BatchGetItem" => (Some("Keys"), "UnprocessedKeys"),
        "BatchWriteItem" => (None, "UnprocessedItems"),
        other => panic!("{other} can't be done in part"),
    };
    let left_out = leave_out(&mut body["RequestItems"], list);
    let response = network.call(call.request_with(&body)).await?;
    let body = aws_smithy_types::byte_stream::ByteStream::new(response.into_body());
    let bytes = body.collect().await.unwrap().into_bytes();
    let mut answer: Value = serde_json::from_slice(&bytes).unwrap();
    answer[unprocessed] = left_out;
    Ok(json_response(200, &answer))
}

/// Leaves the first entry in the tables of a batch. Returns the others. The entries of a table are in its field
/// `list`, or all that there is.
fn leave_out(tables: &mut Value, list: Option<&str>) -> Value {
    let entries = |table: &mut Value, kept: usize| -> Vec<Value> {
        let entries = match list {
            Some(list) => &mut table[list],
            None => table,
        };
        entries.as_array_mut().unwrap().split_off(kept)
    };
    let mut left_out = json!({});
    let tables = tables.as_object_mut().unwrap();
    for (n, (name, table)) in tables.iter_mut().enumerate() {
        let mut rest = table.clone();
        let others = entries(table, usize::from(n == 0));
        if others.is_empty() {
            continue;
        }
        match list {
            Some(list) => rest[list] = Value::Array(others),
            None => rest = Value::Array(others),
        }
        left_out[name] = rest;
    }
    let first = tables.keys().next().cloned();
    tables.retain(|name, _| Some(name) == first.as_ref());
    left_out
}
