//! The Exchanges table: every attempt, and which deliveries of events have arrived.
//!
//! Key `subscription_id`, `exchange_id`; of events in another shard than the first, `subscription_id` has `#` and the
//! shard's number behind the id ([`bellwire_domain::topic::shards`]). The first attempt of a delivery of an event has
//! the key `a#`, the time of the event's acceptance, `#` and the event's id, if it was made within `ON_TIME`; the same
//! item says whether the delivery has arrived, so that a delivery that arrives at once is one write. Other attempts,
//! and those of documents, have the key `r#`, the time of the request, `#` and the id of the delivery. Items of earlier
//! versions have the time of the request and what makes it unique; of those, marks of arrival are in the Deliveries
//! table.
//!
//! A resend, which an owner asks for, is an attempt with an item `r#`. It has a mark of its own, `a#` with the id of the
//! resend in the place of an event that was accepted in 1970, as the arrival of a test has; and the item `a#` of its
//! delivery, if that has an attempt, says that there was one.
//!
//! An item `a#` is kept for longer than a delivery of the event may be under way or a dead letter, so that a message
//! that is received twice, a redriven one and a replay send only what has not arrived.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::delivery::retry::ON_ITS_WAY_DAYS;
use bellwire_domain::ids::{DeliveryId, SubscriptionId};
use bellwire_domain::timestamp;
use bellwire_domain::topic::shards::Shards;
use bellwire_runtime::deadline::Steps;
use futures_util::future::join_all;
use time::{Duration, OffsetDateTime};

use crate::attempt_record::Content;
use crate::batch_write::{BATCH, batch_write};
use crate::conditional::{Item, conditional};
use crate::removal::remove_all;
use crate::{StoreError, Subscriptions};

/// How long after the acceptance of an event the first attempt of its delivery has the item `a#`. Lists by the time
/// of the request read the items of as much time more.
pub(crate) const ON_TIME: Duration = Duration::seconds(60);

/// An attempt that was made, as it is to be recorded.
#[derive(Clone, Debug)]
pub struct FinishedAttempt {
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// The id of the delivery.
    pub delivery_id: DeliveryId,
    /// Which delivery of an event it was; `None` for a document, whose progress the lease knows.
    pub key: Option<DeliveryKey>,
    /// Whether nothing was on record of the delivery before.
    pub first: bool,
    /// Whether the endpoint has acknowledged it.
    pub arrived: bool,
    /// The mark of the resend that it was; `None` for an attempt of the schedule.
    pub resend: Option<DeliveryKey>,
    /// When the request was sent.
    pub sent_at: OffsetDateTime,
    /// What is written of it.
    pub content: Content,
}

/// The Exchanges table.
#[derive(Clone, Debug)]
pub struct Attempts {
    pub(crate) db: DynamoDb,
    pub(crate) table: String,
    pub(crate) kept: Duration,
}

impl Attempts {
    /// `table` is the table's name, and `kept` how long attempts are shown.
    pub fn new(db: DynamoDb, table: String, kept: Duration) -> Self {
        Self { db, table, kept }
    }

    /// Records that an owner has asked for a resend of a delivery, at the attempt in its item `a#`, if there is one: who
    /// lists deliveries looks for later attempts then. Idempotent.
    pub async fn note_resent(&self, key: &DeliveryKey) -> Result<(), StoreError> {
        let update = self
            .db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item_key(key.partition(), key.record_key())))
            .update_expression("SET resent = :yes")
            .condition_expression("attribute_exists(content)")
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        conditional(update).await?.ok();
        Ok(())
    }

    /// Deletes all that is on record of a subscription's attempts, as long as there is time. `shards` are those of its
    /// topic. Idempotent.
    pub async fn remove_all(
        &self,
        subscription_id: &SubscriptionId,
        shards: Shards,
    ) -> Result<Steps, StoreError> {
        for shard in shards.all() {
            let partition = shard.partition(subscription_id.as_str());
            let keys = self
                .db
                .query()
                .table_name(&self.table)
                .key_condition_expression("subscription_id = :partition")
                .expression_attribute_values(":partition", AttributeValue::S(partition))
                .projection_expression("subscription_id, exchange_id");
            if remove_all(&self.db, &self.table, keys).await? == Steps::OutOfTime {
                return Ok(Steps::OutOfTime);
            }
        }
        Ok(Steps::Done)
    }
}

/// The tables that deliveries are recorded in, and looked up.
#[derive(Clone, Debug)]
pub struct Deliveries {
    pub(crate) attempts: Attempts,
    /// The table of marks of earlier versions, which is only read. It can go with the template's `DeliveriesTable`, one
    /// retention after the version that has stopped to write it.
    pub(crate) marks: String,
    events_kept: Duration,
    pub(crate) subscriptions: Subscriptions,
}

impl Deliveries {
    /// `marks` is the name of the Deliveries table, and `events_kept` how long events can be replayed.
    pub fn new(
        attempts: Attempts,
        marks: String,
        events_kept: Duration,
        subscriptions: Subscriptions,
    ) -> Self {
        Self {
            attempts,
            marks,
            events_kept,
            subscriptions,
        }
    }

    /// Records attempts. Returns the indexes of those that could not be recorded, each with the reason; of one that has
    /// arrived, its delivery may then not be known to have.
    pub async fn record(
        &self,
        attempts: &[FinishedAttempt],
        now: OffsetDateTime,
    ) -> Vec<(usize, StoreError)> {
        let mut failed = Vec::new();
        let (mut writes, mut guarded) = (Vec::with_capacity(attempts.len()), Vec::new());
        for (index, attempt) in attempts.iter().enumerate() {
            if is_on_time(attempt) && !attempt.arrived {
                guarded.push((index, attempt));
                continue;
            }
            match self.item(attempt, now) {
                Ok(put) => writes.push((index, put)),
                Err(error) => failed.push((index, error)),
            }
        }
        let batches = writes.chunks(BATCH).map(|batch| self.write(batch));
        failed.extend(join_all(batches).await.into_iter().flatten());
        let guarded = guarded.into_iter().map(|(index, attempt)| async move {
            let written = self.write_unless_known(attempt, now).await;
            written.err().map(|error| (index, error))
        });
        failed.extend(join_all(guarded).await.into_iter().flatten());
        let late = attempts.iter().enumerate().filter(|(_, it)| it.arrived);
        let late = late.filter_map(|(index, it)| {
            let key = it.key.as_ref()?;
            (!is_on_time(it)).then_some((index, key))
        });
        let resends = attempts.iter().enumerate();
        let resends = resends.filter_map(|(index, it)| Some((index, it.resend.as_ref()?)));
        let noted = late.chain(resends).map(|(index, key)| async move {
            let noted = self.note_arrived(key, now).await;
            noted.err().map(|error| (index, error))
        });
        failed.extend(join_all(noted).await.into_iter().flatten());
        failed
    }

    /// Records that a delivery has arrived, so that it isn't sent again. Idempotent.
    pub async fn note_arrived(
        &self,
        key: &DeliveryKey,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let update = self
            .attempts
            .db
            .update_item()
            .table_name(&self.attempts.table)
            .set_key(Some(item_key(key.partition(), key.record_key())))
            .update_expression("SET arrived = :yes, expires_at = :at")
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":at", self.known_until(now));
        // It has no condition: only a transaction could refuse it.
        conditional(update).await?.ok();
        Ok(())
    }

    /// Writes a first attempt that has failed. Another copy of the message may have arrived at the same moment: what is
    /// on record of the delivery by now stays, and the attempt gets an item of its own.
    async fn write_unless_known(
        &self,
        attempt: &FinishedAttempt,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let put = self
            .attempts
            .db
            .put_item()
            .table_name(&self.attempts.table)
            .set_item(Some(self.item(attempt, now)?))
            .condition_expression("attribute_not_exists(exchange_id)");
        if conditional(put).await?.is_ok() {
            return Ok(());
        }
        let other = FinishedAttempt {
            first: false,
            ..attempt.clone()
        };
        self.write_all(vec![self.item(&other, now)?]).await
    }

    /// The item of an attempt.
    fn item(&self, attempt: &FinishedAttempt, now: OffsetDateTime) -> Result<Item, StoreError> {
        let partition = match &attempt.key {
            Some(key) => key.partition(),
            None => attempt.subscription_id.to_string(),
        };
        let key = attempt.key.as_ref().filter(|_| is_on_time(attempt));
        let record = match key {
            Some(key) => key.record_key(),
            None => {
                let at = timestamp::iso(attempt.sent_at);
                format!("r#{at}#{}", attempt.delivery_id)
            }
        };
        let mut item = item_key(partition, record);
        let content = match key {
            Some(key) => Content {
                sent_after_us: u64::try_from(
                    (attempt.sent_at - key.accepted_at).whole_microseconds(),
                )
                .ok(),
                ..attempt.content.clone()
            },
            None => attempt.content.clone(),
        };
        let content = AttributeValue::B(Blob::new(content.to_bytes()?));
        item.insert("content".to_owned(), content);
        let expires_at = match key {
            Some(_) => self.known_until(now),
            None => seconds_of(attempt.sent_at + self.attempts.kept),
        };
        item.insert("expires_at".to_owned(), expires_at);
        if key.is_some() && attempt.arrived {
            item.insert("arrived".to_owned(), AttributeValue::Bool(true));
        }
        Ok(item)
    }

    /// Until when it is known that a delivery has arrived, and at least as long as attempts are shown.
    fn known_until(&self, now: OffsetDateTime) -> AttributeValue {
        let on_its_way = Duration::days(i64::from(ON_ITS_WAY_DAYS));
        seconds_of(now + (self.events_kept + on_its_way).max(self.attempts.kept))
    }

    /// Writes items. Returns the indexes of those that could not be written.
    async fn write(&self, batch: &[(usize, Item)]) -> Vec<(usize, StoreError)> {
        let items = batch.iter().map(|(_, item)| item.clone());
        if self.write_all(items.collect()).await.is_ok() {
            return Vec::new();
        }
        // An item that DynamoDB refuses must not keep the others from being written.
        let each = batch.iter().map(|(index, item)| async move {
            let written = self.write_all(vec![item.clone()]).await;
            written.err().map(|error| (*index, error))
        });
        join_all(each).await.into_iter().flatten().collect()
    }

    async fn write_all(&self, items: Vec<Item>) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(items.len());
        for item in items {
            let put = PutRequest::builder().set_item(Some(item)).build()?;
            writes.push(WriteRequest::builder().put_request(put).build());
        }
        batch_write(&self.attempts.db, &self.attempts.table, writes).await
    }
}

/// Whether an attempt has the item `a#`. Clocks may differ: one that seems to be before the acceptance has not.
fn is_on_time(attempt: &FinishedAttempt) -> bool {
    attempt.first
        && attempt.key.as_ref().is_some_and(|key| {
            let after = attempt.sent_at - key.accepted_at;
            !after.is_negative() && after <= ON_TIME
        })
}

pub(crate) fn item_key(partition: String, exchange_id: String) -> Item {
    HashMap::from([
        ("subscription_id".to_owned(), AttributeValue::S(partition)),
        ("exchange_id".to_owned(), AttributeValue::S(exchange_id)),
    ])
}

fn seconds_of(at: OffsetDateTime) -> AttributeValue {
    AttributeValue::N(at.unix_timestamp().to_string())
}
