//! The Queries table: whose a query is, and how it ended.
//!
//! Key `execution_id`. An item collects two facts, in either order: the owner,
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
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_attribute_value};
use time::{Duration, OffsetDateTime};

use crate::StoreError;

/// How long whoever has the turn may take to publish: longer than any function runs.
const TURN: Duration = Duration::seconds(30);
/// How long Athena keeps its query history, and we ours.
const KEPT: Duration = Duration::days(45);
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

/// The table.
#[derive(Clone, Debug)]
pub struct Queries {
    db: DynamoDb,
    table: String,
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

    /// Writes the first fact: whose the query is.
    pub async fn record_owner(
        &self,
        id: &ExecutionId,
        owner: &ClientId,
        now: OffsetDateTime,
    ) -> Result<Fact, StoreError> {
        let request = self
            .update(id)
            .update_expression(
                "SET client_id = :owner, registered_at = :now, turn_until = :turn, \
                 expires_at = :expires_at, #state = if_not_exists(#state, :queued)",
            )
            .condition_expression("attribute_not_exists(client_id)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":owner", AttributeValue::S(owner.to_string()))
            .expression_attribute_values(":now", AttributeValue::S(timestamp::iso(now)))
            .expression_attribute_values(":turn", seconds(now + TURN))
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
            .expression_attribute_values(":turn", seconds(now + TURN))
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
    pub async fn take_turn(
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
            .expression_attribute_values(":turn", seconds(now + TURN))
            .expression_attribute_values(":now", seconds(now));
        Ok(matches!(send(request).await?, Fact::Recorded(_)))
    }

    /// Gives the turn back without having published.
    pub async fn give_turn_back(&self, id: &ExecutionId) -> Result<(), StoreError> {
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
