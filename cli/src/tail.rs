//! `bellwire tail`: follows the attempts of the whole stack as they are recorded, by the stream of the Exchanges table.
//! Two programs can read the stream at the same time without being throttled: `attempt-counts` is one, and this the other.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use aws_sdk_dynamodbstreams::types::{OperationType, Record};
use bellwire_domain::client_id::ClientId;
use bellwire_domain::ids::{DeliveryId, SubscriptionId, TopicId};
use bellwire_store::Subscription;
use bellwire_store::attempt_record::AttemptRecord;
use bellwire_store::attempt_stream::StreamedAttempt;
use clap::Args;
use serde::Serialize;

use crate::attempt_stream::AttemptStream;
use crate::attempt_view::{AttemptView, outcome};
use crate::print::{Output, to_the_second};
use crate::subscriptions::source;
use crate::tables::Tables;

/// How long it waits after all shards were read.
const PAUSE: Duration = Duration::from_secs(1);

/// How many subscriptions are remembered. What is shown of one never changes.
const MOST_REMEMBERED: usize = 10_000;

/// Which attempts are shown; all without options.
#[derive(Args)]
pub struct TailOptions {
    /// Those to this client: its id, or the one that you gave it
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Those to this topic's subscriptions: its id or name
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Those to this subscription
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,
    /// Those that failed
    #[arg(long)]
    failed: bool,
}

/// The attempts that are shown.
struct Filter {
    client: Option<ClientId>,
    topic: Option<TopicId>,
    subscription: Option<SubscriptionId>,
    failed: bool,
}

/// An attempt as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    subscription_id: &'a SubscriptionId,
    client_id: &'a str,
    delivery_id: &'a DeliveryId,
    event_type: &'a str,
    #[serde(flatten)]
    attempt: AttemptView<'a>,
}

/// Prints attempts until it is interrupted, or nobody reads any more.
///
/// # Errors
/// When the stream or the tables can't be read, or what is named doesn't exist.
pub async fn run(options: TailOptions, stack: &str, output: Output) -> anyhow::Result<()> {
    let tables = Tables::of(stack).await?;
    let filter = Filter::of(options, &tables).await?;
    let mut stream = AttemptStream::open(&tables).await?;
    // On standard error: whoever started this knows that nothing is missed from now on.
    eprintln!("Following the attempts of {stack}. Ctrl-C ends it.");
    let mut known = Known {
        tables: &tables,
        subscriptions: HashMap::new(),
    };
    loop {
        let read = stream.read().await?;
        for remark in read.remarks {
            eprintln!("{remark}");
        }
        for streamed in read.records.into_iter().filter_map(streamed) {
            let id = &streamed.subscription_id;
            if filter.subscription.as_ref().is_some_and(|it| it != id) {
                continue;
            }
            // One that is not there any more was removed after the attempt.
            let Some(subscription) = known.subscription(id).await? else {
                continue;
            };
            match streamed.record(subscription) {
                Ok(Some(attempt)) if filter.permits(subscription, &attempt) => {
                    print(subscription, &attempt, output)?;
                }
                Ok(_) => {}
                // As of a later version: the others can be read all the same.
                Err(error) => eprintln!("An attempt can't be read: {error}"),
            }
        }
        if !read.may_be_more {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The subscriptions whose attempts were seen.
struct Known<'a> {
    tables: &'a Tables,
    subscriptions: HashMap<SubscriptionId, Option<Subscription>>,
}

impl Known<'_> {
    async fn subscription(&mut self, id: &SubscriptionId) -> anyhow::Result<Option<&Subscription>> {
        if !self.subscriptions.contains_key(id) {
            let found = self.tables.subscriptions.get(id).await;
            let found = found.context("a subscription could not be read")?;
            if self.subscriptions.len() >= MOST_REMEMBERED {
                self.subscriptions.clear();
            }
            self.subscriptions.insert(id.clone(), found);
        }
        Ok(self.subscriptions.get(id).and_then(Option::as_ref))
    }
}

fn print(
    subscription: &Subscription,
    attempt: &AttemptRecord,
    output: Output,
) -> anyhow::Result<()> {
    let line = Line {
        subscription_id: &subscription.subscription_id,
        client_id: &subscription.client_id,
        delivery_id: &attempt.delivery_id,
        event_type: &attempt.event_type,
        attempt: AttemptView::brief(attempt),
    };
    let text = format!(
        "{}  {}  {}  {}  {}  attempt {}: {}",
        to_the_second(attempt.sent_at),
        subscription.client_id,
        source(subscription),
        attempt.event_type,
        attempt.url,
        attempt.failures + 1,
        outcome(attempt),
    );
    output.next(&line, &text)
}

/// The attempt in a record of the stream; `None` if it is another change.
fn streamed(record: Record) -> Option<StreamedAttempt> {
    if record.event_name != Some(OperationType::Insert) {
        return None;
    }
    let item = record.dynamodb?.new_image?;
    let item: serde_dynamo::Item = item.into();
    StreamedAttempt::of(item.into())
}

impl Filter {
    async fn of(options: TailOptions, tables: &Tables) -> anyhow::Result<Self> {
        let named = tables.named(options.client.as_deref(), options.topic.as_deref());
        let (client, topic) = named.await?;
        let subscription = match &options.subscription {
            Some(id) => Some(tables.subscription(id).await?.subscription_id),
            None => None,
        };
        Ok(Self {
            client,
            topic,
            subscription,
            failed: options.failed,
        })
    }

    fn permits(&self, subscription: &Subscription, attempt: &AttemptRecord) -> bool {
        let topic = subscription.topic().map(|(id, _)| id);
        let client = subscription.client_id.as_str();
        (!self.failed || !attempt.has_arrived())
            && self.client.as_ref().is_none_or(|it| it.as_str() == client)
            && self.topic.as_ref().is_none_or(|it| topic == Some(it))
    }
}
