//! DynamoDB: the embedded emulator, called without its own server in between, and the request units
//! that it says a request takes.

use dynoxide::Database;
use dynoxide::actions::{
    batch_get_item, batch_write_item, get_item, put_item, query, transact_write_items, update_item,
};
use serde_json::Value;

/// The units that a refused write takes, of an item of at most 1 KB.
pub const REFUSED: f64 = 1.0;

/// The result of a request.
pub struct Done {
    /// The answer, in JSON.
    pub answer: Vec<u8>,
    /// The request units that it took.
    pub units: f64,
}

/// Carries out the operations that functions use most; `None` for others, and for errors.
pub fn ask(database: &Database, operation: &str, body: &[u8]) -> Option<Done> {
    macro_rules! ask {
        ($operation:ident, $request:ident) => {
            ask!($operation, $request, |_| ())
        };
        ($operation:ident, $request:ident, $change:expr) => {{
            let mut request: $operation::$request = serde_json::from_slice(body).ok()?;
            let change: fn(&mut $operation::$request) = $change;
            change(&mut request);
            request.return_consumed_capacity = Some("TOTAL".to_owned());
            let mut answer = database.$operation(request).ok()?;
            // The function has not asked for the consumed capacity.
            let consumed = serde_json::to_value(answer.consumed_capacity.take()).ok()?;
            Some(Done {
                answer: serde_json::to_vec(&answer).ok()?,
                units: units(&consumed),
            })
        }};
    }
    match operation {
        "BatchGetItem" => ask!(batch_get_item, BatchGetItemRequest),
        "BatchWriteItem" => ask!(batch_write_item, BatchWriteItemRequest),
        "GetItem" => ask!(get_item, GetItemRequest),
        "PutItem" => ask!(put_item, PutItemRequest),
        "Query" => ask!(query, QueryRequest),
        // The emulator looks through all recent tokens, each time.
        "TransactWriteItems" => ask!(transact_write_items, TransactWriteItemsRequest, |it| {
            it.client_request_token = None;
        }),
        "UpdateItem" => ask!(update_item, UpdateItemRequest),
        _ => None,
    }
}

/// The capacity units of one table, or of several.
fn units(consumed: &Value) -> f64 {
    let of = |table: &Value| table.get("CapacityUnits").and_then(Value::as_f64);
    match consumed {
        Value::Array(tables) => tables.iter().filter_map(of).sum(),
        table => of(table).unwrap_or_default(),
    }
}
