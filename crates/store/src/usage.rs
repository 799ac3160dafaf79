//! How many subscriptions a client has, in the Members table.
//!
//! Key `audience_segment` (`client#` and the client's id), `subscription_id` (what is counted: `topics`
//! or `entities`, alone for all of the client's, with `@` and a host for those at that host). A count
//! changes in the transaction that creates or deletes a subscription, so that it is exact, also for
//! concurrent requests.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use bellwire_domain::endpoint::callback_url::host_of;

use crate::StoreError;
use crate::subscription::{Source, Subscription};

/// How many subscriptions of a kind, to topics or to entities, a client may have.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In total.
    pub of_client: u64,
    /// With endpoints at one host.
    pub at_host: u64,
}

impl Limits {
    /// The error message for a client that has reached one of the limits.
    pub fn explain(&self, exceeded: Exceeded) -> String {
        match exceeded {
            Exceeded::OfClient => format!(
                "a client can have at most {} subscriptions like this one: delete some first",
                self.of_client
            ),
            Exceeded::AtHost => format!(
                "a client can have at most {} subscriptions like this one at one host: delete some first",
                self.at_host
            ),
        }
    }
}

/// The limit that one more subscription would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// [`Limits::of_client`].
    OfClient,
    /// [`Limits::at_host`], for the subscription's host.
    AtHost,
}

/// The writes that count one more subscription: in total, and at its host. The condition of each
/// doesn't hold if its limit is reached.
pub(crate) fn one_more(
    table: &str,
    subscription: &Subscription,
    limits: &Limits,
) -> Result<[TransactWriteItem; 2], StoreError> {
    let [of_client, at_host] = counted(subscription);
    Ok([
        one_within(table, subscription, of_client, limits.of_client)?,
        one_within(table, subscription, at_host, limits.at_host)?,
    ])
}

/// The write that counts one more, unless there are as many as the limit.
fn one_within(
    table: &str,
    subscription: &Subscription,
    what: String,
    limit: u64,
) -> Result<TransactWriteItem, StoreError> {
    let update = add(table, subscription, what, "1")
        .condition_expression("attribute_not_exists(subscriptions) OR subscriptions < :limit")
        .expression_attribute_values(":limit", AttributeValue::N(limit.to_string()));
    built(update)
}

/// The writes that count one subscription less: in total, and at its host.
pub(crate) fn one_less(
    table: &str,
    subscription: &Subscription,
) -> Result<[TransactWriteItem; 2], StoreError> {
    let [of_client, at_host] = counted(subscription);
    let write = |what| built(add(table, subscription, what, "-1"));
    Ok([write(of_client)?, write(at_host)?])
}

/// The writes that count a subscription at the host of another URL: one less at its own host, one more there.
/// The condition of the second doesn't hold if the limit of that host is reached. None if the host is the
/// same.
pub(crate) fn moved(
    table: &str,
    subscription: &Subscription,
    to_url: &str,
    limits: &Limits,
) -> Result<Vec<TransactWriteItem>, StoreError> {
    let [_, from] = counted(subscription);
    let to = counted_at(subscription, to_url);
    if from == to {
        return Ok(Vec::new());
    }
    let less = built(add(table, subscription, from, "-1"))?;
    let more = one_within(table, subscription, to, limits.at_host)?;
    Ok(vec![less, more])
}

/// The partition key of a client's counts.
pub(crate) fn counts_of(client_id: &str) -> String {
    format!("client#{client_id}")
}

fn counted(subscription: &Subscription) -> [String; 2] {
    [
        kind(subscription).to_owned(),
        counted_at(subscription, &subscription.webhook().url),
    ]
}

fn counted_at(subscription: &Subscription, url: &str) -> String {
    format!("{}@{}", kind(subscription), host_of(url))
}

fn kind(subscription: &Subscription) -> &'static str {
    match subscription.source {
        Source::Topic { .. } => "topics",
        Source::Entity { .. } => "entities",
    }
}

fn add(table: &str, subscription: &Subscription, what: String, difference: &str) -> UpdateBuilder {
    Update::builder()
        .table_name(table)
        .key(
            "audience_segment",
            AttributeValue::S(counts_of(&subscription.client_id)),
        )
        .key("subscription_id", AttributeValue::S(what))
        .update_expression("ADD subscriptions :difference")
        .expression_attribute_values(":difference", AttributeValue::N(difference.to_owned()))
}

fn built(update: UpdateBuilder) -> Result<TransactWriteItem, StoreError> {
    Ok(TransactWriteItem::builder().update(update.build()?).build())
}
