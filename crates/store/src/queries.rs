//! The Queries table: whose a query is, and how it ended.
//!
//! Key `execution_id`; index `by-client` on `client_id` and `registered_at`, for a client's
//! list. An item collects two facts, in either order: the owner,
//! written when a query is put on record, and the end, written by the completion
//! event. Each side writes its fact once, in one `UpdateItem` that returns both;
//! whoever completes the pair gets, with the same write, the turn to publish.
//! The turn runs out, so that a publisher that died is followed by another.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnRefusal,
};
use bellwire_rules::timestamp::{self, iso_serde};
use bellwire_rules::{ClientId, ExecutionId, QueryState};
use serde::Deserialize;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, from_items, to_attribute_value};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use time::{Duration, OffsetDateTime};

use crate::StoreError;
use crate::removal::remove_all;

/// How long whoever has the turn may take to publish: longer than any function runs.
const PUBLISH_LEASE: Duration = Duration::seconds(30);
/// How long Athena keeps its query history, and we ours.
const KEPT: Duration = Duration::days(45);
/// How long a rendering takes, at most: what its function may run, and some.
const RENDERING: Duration = Duration::minutes(16);
const BY_CLIENT: &str = "by-client";
/// No place in a list is written longer, in bytes.
const MAX_CURSOR_LENGTH: usize = 200;
/// How many items one read of a list looks at, and how many reads make a page.
const READ: i32 = 200;
const READS: usize = 20;
/// How long an end waits for its owner. Most ends that nobody claims belong to
/// queries that are none of our clients' business.
const KEPT_WITHOUT_OWNER: Duration = Duration::days(7);

/// A query execution, as far as it is known.
#[derive(Clone, Debug, Deserialize)]
pub struct Query {
    /// Its id.
    pub execution_id: ExecutionId,
    /// Whose it is: the first fact.
    pub client_id: Option<ClientId>,
    /// Whether it runs in the stack's own workgroup, which keeps its result.
    #[serde(default)]
    pub ours: bool,
    /// When it was put on record.
    #[serde(default, with = "iso_serde::option")]
    pub registered_at: Option<OffsetDateTime>,
    /// The last state that was heard of.
    pub state: QueryState,
    /// When it ended: with [`Self::state`], the second fact.
    #[serde(default, with = "iso_serde::option")]
    pub completed_at: Option<OffsetDateTime>,
    /// Why it is in its state, where Athena said so.
    pub state_change_reason: Option<String>,
    /// When SNS accepted the notification.
    #[serde(default, with = "iso_serde::option")]
    pub notified_at: Option<OffsetDateTime>,
}

impl Query {
    /// One that was started, of which nothing more is known.
    pub fn started(execution_id: ExecutionId) -> Self {
        Self {
            execution_id,
            client_id: None,
            ours: true,
            registered_at: None,
            state: QueryState::Queued,
            completed_at: None,
            state_change_reason: None,
            notified_at: None,
        }
    }

    /// The owner and the time of the end, if both facts are there and the owner
    /// has not been told yet.
    pub fn to_notify(&self) -> Option<(&ClientId, OffsetDateTime)> {
        match (&self.client_id, self.completed_at, self.notified_at) {
            (Some(owner), Some(ended), None) => Some((owner, ended)),
            _ => None,
        }
    }
}

/// What writing a fact came to.
#[derive(Clone, Debug)]
pub enum Fact {
    /// It is now on record. If it completed the pair, the writer has the turn.
    Recorded(Query),
    /// One was on record already, and stays. The writer has no turn.
    KnownBefore(Query),
}

/// How a query ended.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// A terminal state.
    pub state: QueryState,
    /// When.
    pub at: OffsetDateTime,
    /// Why, where Athena said so.
    pub reason: Option<&'a str>,
}

/// A place in a client's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryCursor {
    registered_at: String,
    execution_id: String,
}

/// Queries in the order of a list, and where to go on.
#[derive(Clone, Debug)]
pub struct QueryPage {
    /// The queries.
    pub found: Vec<Query>,
    /// The place behind which there may be more.
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

/// `time#id`.
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

/// The text is no place in a list.
#[derive(Debug, thiserror::Error)]
#[error("is no place in the list")]
pub struct NotACursor;

/// The table.
#[derive(Clone, Debug)]
pub struct Queries {
    pub(crate) db: DynamoDb,
    pub(crate) table: String,
}

impl Queries {
    /// The table of this name.
    pub fn new(db: DynamoDb, table: String) -> Self {
        Self { db, table }
    }

    /// What is known of this execution.
    pub async fn get(&self, id: &ExecutionId) -> Result<Option<Query>, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .key("execution_id", AttributeValue::S(id.to_string()))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item.map(from_item).transpose()?)
    }

    /// A client's queries, newest first, of one state if one is given, up to `limit` of
    /// them, behind a place. The state is filtered: after `READS` reads the list ends for
    /// now, with fewer than there may be, and goes on at its place.
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

    /// Removes all of a client's queries. To do so again changes nothing.
    pub async fn remove_all(&self, client: &ClientId) -> Result<(), StoreError> {
        let keys = self
            .db
            .query()
            .table_name(&self.table)
            .index_name(BY_CLIENT)
            .key_condition_expression("client_id = :client")
            .expression_attribute_values(":client", AttributeValue::S(client.to_string()))
            .projection_expression("execution_id");
        remove_all(&self.db, &self.table, keys).await?;
        self.forget_running(client).await
    }

    /// Takes the turn to have a result rendered, unless somebody has it. Returns whether it
    /// was taken.
    pub async fn acquire_rendering_lease(
        &self,
        id: &ExecutionId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let request = self
            .update(id)
            .update_expression("SET rendering_until = :until")
            .condition_expression(
                "attribute_exists(execution_id) AND \
                 (attribute_not_exists(rendering_until) OR rendering_until <= :now)",
            )
            .expression_attribute_values(":until", seconds(now + RENDERING))
            .expression_attribute_values(":now", seconds(now));
        Ok(matches!(send(request).await?, Fact::Recorded(_)))
    }

    /// Gives that turn back: the result is not being rendered.
    pub async fn release_rendering_lease(&self, id: &ExecutionId) -> Result<(), StoreError> {
        let request = self
            .update(id)
            .update_expression("REMOVE rendering_until")
            .condition_expression("attribute_exists(execution_id)");
        send(request).await.map(drop)
    }

    /// Writes the first fact: whose the query is. `ours` when it runs in the stack's own
    /// workgroup.
    pub async fn record_owner(
        &self,
        id: &ExecutionId,
        owner: &ClientId,
        ours: bool,
        now: OffsetDateTime,
    ) -> Result<Fact, StoreError> {
        let request = self
            .update(id)
            .update_expression(
                "SET client_id = :owner, ours = :ours, registered_at = :now, turn_until = :turn, \
                 expires_at = :expires_at, #state = if_not_exists(#state, :queued)",
            )
            .condition_expression("attribute_not_exists(client_id)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":ours", AttributeValue::Bool(ours))
            .expression_attribute_values(":owner", AttributeValue::S(owner.to_string()))
            .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)))
            .expression_attribute_values(":turn", seconds(now + PUBLISH_LEASE))
            .expression_attribute_values(":expires_at", seconds(now + KEPT))
            .expression_attribute_values(":queued", to_attribute_value(QueryState::Queued)?);
        send(request).await
    }

    /// Writes the second fact: how the query ended. The first end that is heard of counts.
    pub async fn record_end(
        &self,
        id: &ExecutionId,
        end: End<'_>,
        now: OffsetDateTime,
    ) -> Result<Fact, StoreError> {
        let mut update = "SET #state = :state, completed_at = :at, turn_until = :turn, \
                          expires_at = if_not_exists(expires_at, :expires_at)"
            .to_owned();
        let mut request = self.update(id);
        if let Some(reason) = end.reason {
            update.push_str(", state_change_reason = :reason");
            request = request
                .expression_attribute_values(":reason", AttributeValue::S(reason.to_owned()));
        }
        let request = request
            .update_expression(update)
            .condition_expression("attribute_not_exists(completed_at)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":state", to_attribute_value(end.state)?)
            .expression_attribute_values(":at", AttributeValue::S(timestamp::iso(end.at)))
            .expression_attribute_values(":turn", seconds(now + PUBLISH_LEASE))
            .expression_attribute_values(":expires_at", seconds(now + KEPT_WITHOUT_OWNER));
        send(request).await
    }

    /// Records a state before the end. Events come out of order: one that is
    /// older than what is on record changes nothing.
    pub async fn record_progress(
        &self,
        id: &ExecutionId,
        state: QueryState,
        sequence_number: u64,
        now: OffsetDateTime,
    ) -> Result<Fact, StoreError> {
        let request = self
            .update(id)
            .update_expression(
                "SET #state = :state, sequence_number = :sequence, \
                 expires_at = if_not_exists(expires_at, :expires_at)",
            )
            .condition_expression(
                "attribute_not_exists(completed_at) AND \
                 (attribute_not_exists(sequence_number) OR sequence_number < :sequence)",
            )
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":state", to_attribute_value(state)?)
            .expression_attribute_values(
                ":sequence",
                AttributeValue::N(sequence_number.to_string()),
            )
            .expression_attribute_values(":expires_at", seconds(now + KEPT_WITHOUT_OWNER));
        send(request).await
    }

    /// Takes the turn to publish, if it is free: the one who had it died, or gave
    /// it back. Returns whether it was taken.
    pub async fn acquire_publish_lease(
        &self,
        id: &ExecutionId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let request = self
            .update(id)
            .update_expression("SET turn_until = :turn")
            .condition_expression(
                "attribute_exists(completed_at) AND attribute_not_exists(notified_at) AND \
                 (attribute_not_exists(turn_until) OR turn_until <= :now)",
            )
            .expression_attribute_values(":turn", seconds(now + PUBLISH_LEASE))
            .expression_attribute_values(":now", seconds(now));
        Ok(matches!(send(request).await?, Fact::Recorded(_)))
    }

    /// Gives the turn back without having published.
    pub async fn release_publish_lease(&self, id: &ExecutionId) -> Result<(), StoreError> {
        let request = self
            .update(id)
            .update_expression("REMOVE turn_until")
            .condition_expression(
                "attribute_exists(completed_at) AND attribute_not_exists(notified_at)",
            );
        send(request).await.map(drop)
    }

    /// Records that SNS has accepted the notification: the end of the story.
    pub async fn mark_notified(
        &self,
        id: &ExecutionId,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let request = self
            .update(id)
            .update_expression("SET notified_at = :now REMOVE turn_until")
            .condition_expression("attribute_exists(completed_at)")
            .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)));
        send(request).await.map(drop)
    }

    fn update(&self, id: &ExecutionId) -> UpdateItemFluentBuilder {
        self.db
            .update_item()
            .table_name(&self.table)
            .key("execution_id", AttributeValue::S(id.to_string()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(OnRefusal::AllOld)
    }
}

fn seconds(at: OffsetDateTime) -> AttributeValue {
    AttributeValue::N(at.unix_timestamp().to_string())
}

/// Sends a conditional update; a condition that doesn't hold is an answer, not an error.
async fn send(request: UpdateItemFluentBuilder) -> Result<Fact, StoreError> {
    match request.send().await {
        Ok(answer) => Ok(Fact::Recorded(from_item(
            answer.attributes.unwrap_or_default(),
        )?)),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => Ok(
                Fact::KnownBefore(from_item(refused.item.clone().unwrap_or_default())?),
            ),
            _ => Err(error.into()),
        },
    }
}
