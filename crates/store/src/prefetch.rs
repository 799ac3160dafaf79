//! Reading what is known of the deliveries of a batch, before attempts are made.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::ids::{DeliveryId, SubscriptionId};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use time::OffsetDateTime;

use crate::attempts::item_key;
use crate::batch_get::{batch_get, keys, keys_eventually};
use crate::conditional::Item;
use crate::subscription::Subscription;
use crate::{Deliveries, StoreError, Subscriptions};

/// What is read before attempts are made, in one call for a batch of deliveries.
#[derive(Clone, Debug, Default)]
pub struct Prefetched {
    /// The subscriptions that exist, by their ids.
    pub subscriptions: HashMap<SubscriptionId, Subscription>,
    /// Of deliveries that something is on record of, whether they have arrived, by partition and record key.
    records: HashMap<(String, String), bool>,
    /// The ids of deliveries that have arrived according to the marks of earlier versions.
    earlier: HashSet<DeliveryId>,
}

impl Prefetched {
    /// Whether a delivery has arrived.
    pub fn has_arrived(&self, key: &DeliveryKey) -> bool {
        self.record(key).unwrap_or(false) || self.earlier.contains(&key.earlier_id())
    }

    /// Whether something is on record of a delivery, so that its next attempt is not the first.
    pub fn is_known(&self, key: &DeliveryKey) -> bool {
        self.record(key).is_some()
    }

    fn add_subscription(&mut self, item: Item, now: OffsetDateTime) -> Result<(), StoreError> {
        if Subscriptions::is_there(&item, now) {
            let subscription: Subscription = from_item(item)?;
            let id = subscription.subscription_id.clone();
            self.subscriptions.insert(id, subscription);
        }
        Ok(())
    }

    fn record(&self, key: &DeliveryKey) -> Option<bool> {
        let record = (key.partition(), key.record_key());
        self.records.get(&record).copied()
    }
}

impl Deliveries {
    /// Reads which of these subscriptions exist, and what is on record of these deliveries. What is on record is read
    /// consistently. Of subscriptions there may be the state of a moment before: what has changed since then comes too
    /// late for this attempt, as it would if it had been sent a moment earlier. One that isn't found, or gets nothing,
    /// is looked for once more, consistently, since it may be new, or have been enabled. `earlier` are those of which
    /// marks of earlier versions may tell. For at most 33 deliveries: `BatchGetItem` takes 100 keys.
    pub async fn prefetch(
        &self,
        subscription_ids: HashSet<&SubscriptionId>,
        deliveries: &[DeliveryKey],
        earlier: HashSet<DeliveryId>,
    ) -> Result<Prefetched, StoreError> {
        let marks = earlier.iter().map(|id| named("delivery_id", id.as_str()));
        let records: HashSet<(String, String)> = deliveries
            .iter()
            .map(|key| (key.partition(), key.record_key()))
            .collect();
        let records = records
            .into_iter()
            .map(|(partition, record)| item_key(partition, record));
        let mut of_records = keys(records.collect())?;
        of_records.projection_expression = Some("subscription_id, exchange_id, arrived".to_owned());
        let ids = subscription_ids.iter();
        let ids = ids.map(|id| named("subscription_id", id.as_str()));
        let wanted = HashMap::from([
            (
                self.subscriptions.table().to_owned(),
                keys_eventually(ids.collect())?,
            ),
            (self.attempts.table.clone(), of_records),
            (self.marks.clone(), keys(marks.collect())?),
        ]);
        let now = OffsetDateTime::now_utc();
        let mut found = Prefetched::default();
        for (table, item) in batch_get(&self.attempts.db, wanted).await? {
            if table == self.marks {
                found
                    .earlier
                    .extend(text(&item, "delivery_id").map(DeliveryId::new));
            } else if table == self.attempts.table {
                let arrived = item
                    .get("arrived")
                    .is_some_and(|it| it.as_bool() == Ok(&true));
                if let Some(key) = text(&item, "subscription_id").zip(text(&item, "exchange_id")) {
                    found.records.insert(key, arrived);
                }
            } else {
                found.add_subscription(item, now)?;
            }
        }
        let missing = subscription_ids
            .into_iter()
            .filter(|id| found.subscriptions.get(id).is_none_or(gets_nothing))
            .map(|id| named("subscription_id", id.as_str()));
        let missing = HashMap::from([(
            self.subscriptions.table().to_owned(),
            keys(missing.collect())?,
        )]);
        for (_, item) in batch_get(&self.attempts.db, missing).await? {
            found.add_subscription(item, now)?;
        }
        Ok(found)
    }
}

/// Whether nothing is delivered to a subscription in this state.
fn gets_nothing(subscription: &Subscription) -> bool {
    subscription.disabled.is_some()
        || subscription.client_disabled
        || subscription.ended_at.is_some()
}

/// A key of one attribute.
fn named(name: &str, value: &str) -> Item {
    HashMap::from([(name.to_owned(), AttributeValue::S(value.to_owned()))])
}

fn text(item: &Item, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}
