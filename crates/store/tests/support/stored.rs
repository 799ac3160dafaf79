//! What the snapshots of stored items have in common.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::ClientId;
use serde_json::Value;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// When everything happens, unless a test says otherwise.
pub const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
/// How long things are kept.
pub const WEEK: Duration = Duration::days(7);

/// The client whose items they are.
pub fn client_id() -> ClientId {
    ClientId::parse("cl_aaaaaaaaaaaaaaaaaaaaaaaa").unwrap()
}

/// All items of a table as JSON, sorted by their texts.
pub async fn items(db: &Client, table: &str) -> String {
    let items = db.scan().table_name(table).send().await.unwrap().items;
    let mut items = items.unwrap_or_default();
    for content in items.iter_mut().filter_map(|item| item.get_mut("content")) {
        let text = String::from_utf8(content.as_b().unwrap().as_ref().to_vec()).unwrap();
        *content = AttributeValue::S(text);
    }
    let items: Vec<Value> = serde_dynamo::aws_sdk_dynamodb_1::from_items(items).unwrap();
    let mut texts: Vec<String> = items
        .iter()
        .map(|item| serde_json::to_string_pretty(item).unwrap())
        .collect();
    texts.sort();
    texts.join("\n")
}
