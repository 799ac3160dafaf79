//! A client's list of queries, in pages, from the index `by-client` of the Queries table.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::{ClientId, ExecutionId, QueryState, timestamp};
use serde_dynamo::aws_sdk_dynamodb_1::{from_items, to_attribute_value};

use crate::queries::BY_CLIENT;
use crate::{Queries, Query, StoreError};

/// No cursor is longer, in bytes.
const MAX_CURSOR_LENGTH: usize = 200;
/// How many items one read of a list evaluates.
const READ: i32 = 200;
/// How many reads make a page of a list, at most.
const READS: usize = 20;

/// A position in a client's list: that of the query before the first one of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryCursor {
    registered_at: String,
    execution_id: String,
}

/// A page of a client's queries, newest first.
#[derive(Clone, Debug)]
pub struct QueryPage {
    /// The queries of the page.
    pub found: Vec<Query>,
    /// The position after which there may be more; `None` at the end of the list.
    pub next_cursor: Option<QueryCursor>,
}

impl QueryCursor {
    fn of(query: &Query) -> Option<Self> {
        Some(Self {
            registered_at: timestamp::iso(query.registered_at?),
            execution_id: query.execution_id.to_string(),
        })
    }

    fn in_key(key: &HashMap<String, AttributeValue>) -> Option<Self> {
        let text = |name: &str| key.get(name)?.as_s().ok().cloned();
        Some(Self {
            registered_at: text("registered_at")?,
            execution_id: text("execution_id")?,
        })
    }

    fn key(&self, client: &ClientId) -> HashMap<String, AttributeValue> {
        let pair = |name: &str, value: &str| (name.to_owned(), AttributeValue::S(value.to_owned()));
        HashMap::from([
            pair("client_id", client.as_str()),
            pair("registered_at", &self.registered_at),
            pair("execution_id", &self.execution_id),
        ])
    }
}

/// As text, `registered_at#execution_id`.
impl fmt::Display for QueryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.registered_at, self.execution_id)
    }
}

impl FromStr for QueryCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (at, id) = text.split_once('#').ok_or(NotACursor)?;
        let too_long = text.len() > MAX_CURSOR_LENGTH;
        if too_long || timestamp::parse(at).is_none() || ExecutionId::parse(id).is_err() {
            return Err(NotACursor);
        }
        Ok(Self {
            registered_at: at.to_owned(),
            execution_id: id.to_owned(),
        })
    }
}

/// The text is not a cursor.
#[derive(Debug, thiserror::Error)]
#[error("is no place in the list")]
pub struct NotACursor;

impl Queries {
    /// A page of a client's queries, newest first: at most `limit` of them, after the cursor, of one
    /// state if one is given. The state is filtered: after `READS` reads the page ends, with fewer
    /// queries than there may be, and the list continues at its cursor.
    pub async fn list(
        &self,
        client: &ClientId,
        state: Option<QueryState>,
        after: Option<QueryCursor>,
        limit: usize,
    ) -> Result<QueryPage, StoreError> {
        let mut found: Vec<Query> = Vec::new();
        let mut behind = after;
        for _ in 0..READS {
            let mut query = self
                .db
                .query()
                .table_name(&self.table)
                .index_name(BY_CLIENT)
                .key_condition_expression("client_id = :client")
                .expression_attribute_values(":client", AttributeValue::S(client.to_string()))
                .scan_index_forward(false)
                .limit(READ)
                .set_exclusive_start_key(behind.as_ref().map(|place| place.key(client)));
            if let Some(state) = state {
                query = query
                    .filter_expression("#state = :state")
                    .expression_attribute_names("#state", "state")
                    .expression_attribute_values(":state", to_attribute_value(state)?);
            }
            let answer = query.send().await?;
            let queries: Vec<Query> = from_items(answer.items.unwrap_or_default())?;
            found.extend(queries);
            if found.len() > limit {
                found.truncate(limit);
                behind = found.last().and_then(QueryCursor::of);
                return Ok(QueryPage {
                    found,
                    next_cursor: behind,
                });
            }
            behind = answer
                .last_evaluated_key
                .as_ref()
                .and_then(QueryCursor::in_key);
            if behind.is_none() || found.len() == limit {
                break;
            }
        }
        Ok(QueryPage {
            found,
            next_cursor: behind,
        })
    }
}
