//! The Queries table: who owns a query, and how it ended.
//!
//! Key `execution_id`; index `by-client` on `client_id` and `registered_at`, for a client's list. An
//! item collects two facts, in either order: the owner, written when a query is registered, and the
//! end, written by the completion event. Each is written once, by one `UpdateItem` that returns both.
//! The write that completes the pair also acquires the lease to publish the notification. The lease
//! expires, so that a holder that died is followed by another.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnRefusal,
};
use bellwire_domain::timestamp::{self, iso_serde};
use bellwire_domain::{ClientId, ExecutionId, QueryState};
use bellwire_runtime::deadline::Steps;
use serde::Deserialize;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_attribute_value};
use time::{Duration, OffsetDateTime};

use crate::StoreError;
use crate::conditional::{Refused, conditional};
use crate::removal::remove_all;
use crate::seconds::seconds;

/// How long the lease to publish lasts: longer than a function that publishes may run.
const PUBLISH_LEASE: Duration = Duration::seconds(30);
/// How long a query is on record: as long as Athena keeps its query history.
const KEPT: Duration = Duration::days(45);
/// How long the lease to render lasts: the 15 minutes that the rendering function may run, and a margin.
const RENDERING: Duration = Duration::minutes(16);
pub(crate) const BY_CLIENT: &str = "by-client";
/// How long an end without an owner is kept. Most of them belong to queries that no client of the API
/// has to do with.
const KEPT_WITHOUT_OWNER: Duration = Duration::days(7);

/// What is on record of a query execution.
#[derive(Clone, Debug, Deserialize)]
pub struct Query {
    /// The id that Athena gave it.
    pub execution_id: ExecutionId,
    /// The client that owns it: the first fact. Missing until the query is registered.
    pub client_id: Option<ClientId>,
    /// Whether it runs in the stack's own workgroup, which keeps its result.
    #[serde(default)]
    pub ours: bool,
    /// When it was registered, that is, when the first fact was written.
    #[serde(default, with = "iso_serde::option")]
    pub registered_at: Option<OffsetDateTime>,
    /// The latest known state.
    pub state: QueryState,
    /// When it ended: with [`Self::state`], the second fact. Missing until then.
    #[serde(default, with = "iso_serde::option")]
    pub completed_at: Option<OffsetDateTime>,
    /// Athena's reason for the state, if it gave one.
    pub state_change_reason: Option<String>,
    /// When SNS accepted the notification of the owner; missing before.
    #[serde(default, with = "iso_serde::option")]
    pub notified_at: Option<OffsetDateTime>,
}

impl Query {
    /// A query that was just started in the stack's own workgroup, before anything is on record.
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

    /// The owner and the time of the end, if both facts are on record and the owner has not been notified.
    pub fn to_notify(&self) -> Option<(&ClientId, OffsetDateTime)> {
        match (&self.client_id, self.completed_at, self.notified_at) {
            (Some(owner), Some(ended), None) => Some((owner, ended)),
            _ => None,
        }
    }
}

/// The result of writing a fact, with the query that is on record afterwards.
#[derive(Clone, Debug)]
pub enum Fact {
    /// The fact was written. If it completed the pair, the writer holds the lease to publish.
    Recorded(Query),
    /// A fact was on record already, and stays. The writer holds no lease.
    KnownBefore(Query),
}

/// How a query ended.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// A terminal state.
    pub state: QueryState,
    /// When the query ended.
    pub at: OffsetDateTime,
    /// Athena's reason, if it gave one.
    pub reason: Option<&'a str>,
}

/// The Queries table.
#[derive(Clone, Debug)]
pub struct Queries {
    pub(crate) db: DynamoDb,
    pub(crate) table: String,
}

impl Queries {
    /// `table` is the table's name.
    pub fn new(db: DynamoDb, table: String) -> Self {
        Self { db, table }
    }

    /// What is on record of this execution, with a consistent read.
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

    /// Deletes all that is on record of a client's queries, as long as there is time. Idempotent.
    pub async fn remove_all(&self, client: &ClientId) -> Result<Steps, StoreError> {
        let keys = self
            .db
            .query()
            .table_name(&self.table)
            .index_name(BY_CLIENT)
            .key_condition_expression("client_id = :client")
            .expression_attribute_values(":client", AttributeValue::S(client.to_string()))
            .projection_expression("execution_id");
        if remove_all(&self.db, &self.table, keys).await? == Steps::OutOfTime {
            return Ok(Steps::OutOfTime);
        }
        self.forget_running(client).await?;
        Ok(Steps::Done)
    }

    /// Acquires the lease to have a result rendered, unless somebody holds it. Returns whether it was
    /// acquired.
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

    /// Releases the lease to have a result rendered: the rendering was not started.
    pub async fn release_rendering_lease(&self, id: &ExecutionId) -> Result<(), StoreError> {
        let request = self
            .update(id)
            .update_expression("REMOVE rendering_until")
            .condition_expression("attribute_exists(execution_id)");
        send(request).await.map(drop)
    }

    /// Writes the first fact: the owner. `ours` is whether the query runs in the stack's own workgroup.
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

    /// Writes the second fact: how the query ended. The first end that is written counts.
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

    /// Records a state before the end. Events arrive in any order: one that is not newer than what is on
    /// record, or comes after the end, changes nothing.
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

    /// Acquires the lease to publish, if it has expired because its holder died, or was released. Returns
    /// whether it was acquired.
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

    /// Releases the lease to publish without having published.
    pub async fn release_publish_lease(&self, id: &ExecutionId) -> Result<(), StoreError> {
        let request = self
            .update(id)
            .update_expression("REMOVE turn_until")
            .condition_expression(
                "attribute_exists(completed_at) AND attribute_not_exists(notified_at)",
            );
        send(request).await.map(drop)
    }

    /// Records that SNS has accepted the notification; nothing is published for this query after that.
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

/// Sends a conditional update; a condition that doesn't hold is a result, not an error.
async fn send(request: UpdateItemFluentBuilder) -> Result<Fact, StoreError> {
    Ok(match conditional(request).await? {
        Ok(written) => Fact::Recorded(from_item(written.attributes.unwrap_or_default())?),
        Err(Refused(found)) => Fact::KnownBefore(from_item(found.unwrap_or_default())?),
    })
}
