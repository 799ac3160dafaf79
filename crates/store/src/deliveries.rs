//! The Deliveries table: which deliveries of events have succeeded.
//!
//! Key `delivery_id`. The item of a delivery, its mark, is written along with the exchange that
//! succeeded. It is kept for longer than a delivery of the event may be under way or a dead letter, so
//! that a message that is received twice, a redriven one and a replay send only what has not been
//! delivered.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use bellwire_domain::delivery::retry::ON_ITS_WAY_DAYS;
use bellwire_domain::ids::DeliveryId;
use bellwire_domain::ids::SubscriptionId;
use bellwire_runtime::backoff::Backoff;
use futures_util::future::join_all;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use time::{Duration, OffsetDateTime};

use crate::batch_get::{batch_get, keys};
use crate::conditional::Item;
use crate::exchanges::{Exchange, Exchanges};
use crate::subscription::Subscription;
use crate::{StoreError, Subscriptions};

/// The maximum number of items in one `BatchWriteItem`.
const BATCH: usize = 25;

/// A finished attempt, as it is to be recorded.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The request and the response, as the client sees them.
    pub exchange: Exchange,
    /// Whether to mark the delivery as succeeded, so that it isn't sent again.
    pub arrived: bool,
}

/// What is read before attempts are made, in one read for a batch of deliveries.
#[derive(Clone, Debug, Default)]
pub struct Prefetched {
    /// The subscriptions that exist, by their ids.
    pub subscriptions: HashMap<SubscriptionId, Subscription>,
    /// The ids of the deliveries that have succeeded.
    pub arrived: HashSet<DeliveryId>,
}

/// The Deliveries table, with the tables that are read and written along with it.
#[derive(Clone, Debug)]
pub struct Deliveries {
    db: DynamoDb,
    table: String,
    kept: Duration,
    subscriptions: Subscriptions,
    exchanges: Exchanges,
}

impl Deliveries {
    /// `table` is the table's name, and `kept` how long events are kept; marks are kept
    /// [`ON_ITS_WAY_DAYS`] longer.
    pub fn new(
        db: DynamoDb,
        table: String,
        kept: Duration,
        subscriptions: Subscriptions,
        exchanges: Exchanges,
    ) -> Self {
        Self {
            db,
            table,
            kept,
            subscriptions,
            exchanges,
        }
    }

    /// Reads which of these subscriptions exist and which of these deliveries have succeeded, with
    /// consistent reads. For at most 50 deliveries: `BatchGetItem` takes 100 keys.
    pub async fn prefetch(
        &self,
        subscription_ids: HashSet<&SubscriptionId>,
        delivery_ids: HashSet<DeliveryId>,
    ) -> Result<Prefetched, StoreError> {
        let mut known = Prefetched::default();
        let wanted = HashMap::from([
            (
                self.subscriptions.table().to_owned(),
                keys(named(
                    "subscription_id",
                    subscription_ids.iter().map(|id| id.as_str()),
                ))?,
            ),
            (
                self.table.clone(),
                keys(named(
                    "delivery_id",
                    delivery_ids.iter().map(DeliveryId::as_str),
                ))?,
            ),
        ]);
        let now = OffsetDateTime::now_utc();
        for (table, item) in batch_get(&self.db, wanted).await? {
            if table == self.table {
                let id = text(&item, "delivery_id").map(DeliveryId::new);
                known.arrived.extend(id);
            } else if Subscriptions::is_there(&item, now) {
                let subscription: Subscription = from_item(item)?;
                let id = subscription.subscription_id.clone();
                known.subscriptions.insert(id, subscription);
            }
        }
        Ok(known)
    }

    /// Writes the exchanges of attempts, and the marks of deliveries that have succeeded.
    pub async fn record(
        &self,
        attempts: &[Attempt],
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let on_its_way = Duration::days(i64::from(ON_ITS_WAY_DAYS));
        let expires_at = (now + self.kept + on_its_way).unix_timestamp().to_string();
        let mut writes = Vec::new();
        for attempt in attempts {
            let exchange = self.exchanges.item(&attempt.exchange)?;
            writes.push((self.exchanges.table(), put(exchange)?));
            if attempt.arrived {
                let id = attempt.exchange.pipeline_id.clone();
                let mark = HashMap::from([
                    ("delivery_id".to_owned(), AttributeValue::S(id)),
                    (
                        "expires_at".to_owned(),
                        AttributeValue::N(expires_at.clone()),
                    ),
                ]);
                writes.push((self.table.as_str(), put(mark)?));
            }
        }
        for batch in writes.chunks(BATCH) {
            let mut requests: HashMap<String, Vec<WriteRequest>> = HashMap::new();
            for (table, write) in batch {
                requests
                    .entry((*table).to_owned())
                    .or_default()
                    .push(write.clone());
            }
            if self.write(requests).await.is_err() {
                // An item that DynamoDB refuses must not keep the others from being written.
                let each = batch.iter().map(|(table, write)| {
                    let write = vec![write.clone()];
                    self.write(HashMap::from([((*table).to_owned(), write)]))
                });
                let written = join_all(each).await;
                written.into_iter().collect::<Result<(), _>>()?;
            }
        }
        Ok(())
    }

    async fn write(
        &self,
        mut requests: HashMap<String, Vec<WriteRequest>>,
    ) -> Result<(), StoreError> {
        let mut backoff = Backoff::new();
        loop {
            let answer = self
                .db
                .batch_write_item()
                .set_request_items(Some(requests))
                .send()
                .await?;
            requests = answer.unprocessed_items.unwrap_or_default();
            if requests.is_empty() {
                return Ok(());
            }
            if !backoff.pause().await {
                return Err(StoreError::LeftOut);
            }
        }
    }
}

/// The keys of items whose key is one text with this name.
fn named<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> Vec<Item> {
    values
        .map(|value| HashMap::from([(name.to_owned(), AttributeValue::S(value.to_owned()))]))
        .collect()
}

fn put(item: HashMap<String, AttributeValue>) -> Result<WriteRequest, StoreError> {
    let put = PutRequest::builder().set_item(Some(item)).build()?;
    Ok(WriteRequest::builder().put_request(put).build())
}

fn text(item: &HashMap<String, AttributeValue>, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}
