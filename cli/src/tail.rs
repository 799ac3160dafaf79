//! `bellwire tail`: follows the attempts of the whole stack as they are recorded, by the stream of the Exchanges table.
//!
//! The stream has a shard for each partition of the table. A shard ends after some hours, or when its partition is split,
//! and is continued by its children
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>). Two programs can read a shard at the
//! same time without being throttled: `attempt-counts` is one, and this the other.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, ensure};
use aws_sdk_dynamodbstreams::Client as Streams;
use aws_sdk_dynamodbstreams::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsError;
use aws_sdk_dynamodbstreams::types::{OperationType, Record, ShardIteratorType};
use bellwire_domain::client_id::ClientId;
use bellwire_domain::ids::{DeliveryId, SubscriptionId, TopicId};
use bellwire_store::Subscription;
use bellwire_store::attempt_record::AttemptRecord;
use bellwire_store::attempt_stream::StreamedAttempt;
use clap::Args;
use serde::Serialize;

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
pub struct Which {
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

/// Where a shard of the stream is read next.
struct Place {
    shard: String,
    iterator: String,
    /// The sequence number of the last record that was read.
    last: Option<String>,
}

/// The stream, and how far it is read.
struct Stream {
    streams: Streams,
    arn: String,
    places: Vec<Place>,
    /// The shards that were read, or are.
    known: HashSet<String>,
}

/// Prints attempts until it is interrupted, or nobody reads any more.
///
/// # Errors
/// When the stream or the tables can't be read, or what is named doesn't exist.
pub async fn run(which: Which, stack: &str, output: Output) -> anyhow::Result<()> {
    let tables = Tables::of(stack).await?;
    let filter = Filter::of(which, &tables).await?;
    let mut stream = Stream::open(&tables).await?;
    // On standard error: whoever started this knows that nothing is missed from now on.
    eprintln!("Following the attempts of {stack}. Ctrl-C ends it.");
    let mut subscriptions: HashMap<SubscriptionId, Option<Subscription>> = HashMap::new();
    loop {
        for record in stream.read().await? {
            let Some(streamed) = streamed(record) else {
                continue;
            };
            let id = streamed.subscription_id.clone();
            if !subscriptions.contains_key(&id) {
                let found = tables.subscriptions.get(&id).await?;
                if subscriptions.len() >= MOST_REMEMBERED {
                    subscriptions.clear();
                }
                subscriptions.insert(id.clone(), found);
            }
            // What is not there any more was removed after the attempt.
            let Some(Some(subscription)) = subscriptions.get(&id) else {
                continue;
            };
            let Some(attempt) = streamed.record(subscription)? else {
                continue;
            };
            if filter.permits(subscription, &attempt) {
                print(subscription, &attempt, output)?;
            }
        }
        tokio::time::sleep(PAUSE).await;
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
    async fn of(which: Which, tables: &Tables) -> anyhow::Result<Self> {
        let client = match &which.client {
            Some(client) => Some(tables.client(client).await?.client_id),
            None => None,
        };
        let topic = match &which.topic {
            Some(topic) => Some(tables.topic(topic).await?.topic.id),
            None => None,
        };
        let subscription = match &which.subscription {
            Some(id) => Some(tables.subscription(id).await?.subscription_id),
            None => None,
        };
        Ok(Self {
            client,
            topic,
            subscription,
            failed: which.failed,
        })
    }

    fn permits(&self, subscription: &Subscription, attempt: &AttemptRecord) -> bool {
        let topic = subscription.topic().map(|(id, _)| id);
        let client = subscription.client_id.as_str();
        (!self.failed || !attempt.has_arrived())
            && self.client.as_ref().is_none_or(|it| it.as_str() == client)
            && self.topic.as_ref().is_none_or(|it| topic == Some(it))
            && self
                .subscription
                .as_ref()
                .is_none_or(|it| *it == subscription.subscription_id)
    }
}

impl Stream {
    /// Opens the stream at what is recorded from now on.
    async fn open(tables: &Tables) -> anyhow::Result<Self> {
        let table = tables.deployed.output("ExchangesTable")?;
        let described = aws_sdk_dynamodb::Client::new(&tables.config)
            .describe_table()
            .table_name(&table)
            .send()
            .await
            .with_context(|| format!("the table {table} could not be read"))?;
        let arn = described.table.and_then(|table| table.latest_stream_arn);
        let mut stream = Self {
            streams: Streams::new(&tables.config),
            arn: arn.with_context(|| format!("the table {table} has no stream"))?,
            places: Vec::new(),
            known: HashSet::new(),
        };
        for (shard, ended) in stream.shards().await? {
            stream.known.insert(shard.clone());
            if !ended {
                stream.start(shard, ShardIteratorType::Latest).await?;
            }
        }
        ensure!(
            !stream.places.is_empty(),
            "the stream of {table} has no open shard yet"
        );
        Ok(stream)
    }

    /// The shards, and whether each has ended.
    async fn shards(&self) -> anyhow::Result<Vec<(String, bool)>> {
        let (mut shards, mut after) = (Vec::new(), None);
        loop {
            let request = self.streams.describe_stream().stream_arn(&self.arn);
            let request = request.set_exclusive_start_shard_id(after);
            let answer = request
                .send()
                .await
                .context("the stream could not be read")?;
            let Some(described) = answer.stream_description else {
                return Ok(shards);
            };
            for shard in described.shards.unwrap_or_default() {
                let range = shard.sequence_number_range;
                let ended = range.is_some_and(|it| it.ending_sequence_number.is_some());
                shards.extend(shard.shard_id.map(|id| (id, ended)));
            }
            after = described.last_evaluated_shard_id;
            if after.is_none() {
                return Ok(shards);
            }
        }
    }

    async fn start(&mut self, shard: String, from: ShardIteratorType) -> anyhow::Result<()> {
        let iterator = self.iterator(&shard, from, None).await?;
        self.places.extend(iterator.map(|iterator| Place {
            shard,
            iterator,
            last: None,
        }));
        Ok(())
    }

    async fn iterator(
        &self,
        shard: &str,
        from: ShardIteratorType,
        after: Option<String>,
    ) -> anyhow::Result<Option<String>> {
        let answer = self
            .streams
            .get_shard_iterator()
            .stream_arn(&self.arn)
            .shard_id(shard)
            .shard_iterator_type(from)
            .set_sequence_number(after)
            .send()
            .await
            .context("the stream could not be read")?;
        Ok(answer.shard_iterator)
    }

    /// What is new in all shards, a call for each; those of a shard are in order.
    async fn read(&mut self) -> anyhow::Result<Vec<Record>> {
        let (mut new, mut ended) = (Vec::new(), false);
        for mut place in std::mem::take(&mut self.places) {
            let request = self.streams.get_records().shard_iterator(&place.iterator);
            let next = match request.send().await {
                Ok(answer) => {
                    let records = answer.records.unwrap_or_default();
                    let last = records.last().and_then(|it| it.dynamodb.as_ref());
                    let last = last.and_then(|it| it.sequence_number.clone());
                    place.last = last.or(place.last);
                    new.extend(records);
                    answer.next_shard_iterator
                }
                Err(error) if has_expired(&error) => {
                    let from = match place.last {
                        Some(_) => ShardIteratorType::AfterSequenceNumber,
                        None => ShardIteratorType::Latest,
                    };
                    self.iterator(&place.shard, from, place.last.clone())
                        .await?
                }
                // Others read the shard as well: it goes on in the next round.
                Err(error) if is_throttled(&error) => Some(place.iterator.clone()),
                Err(error) => return Err(error).context("the stream could not be read"),
            };
            match next {
                Some(iterator) => self.places.push(Place { iterator, ..place }),
                None => ended = true,
            }
        }
        if ended {
            for (shard, _) in self.shards().await? {
                if self.known.insert(shard.clone()) {
                    self.start(shard, ShardIteratorType::TrimHorizon).await?;
                }
            }
        }
        Ok(new)
    }
}

/// Whether an iterator is older than the 15 minutes for which it is good, as after the machine has slept.
fn has_expired(error: &SdkError<GetRecordsError>) -> bool {
    let error = error.as_service_error();
    error.is_some_and(GetRecordsError::is_expired_iterator_exception)
}

fn is_throttled(error: &SdkError<GetRecordsError>) -> bool {
    let code = error.as_service_error().and_then(|it| it.code());
    matches!(
        code,
        Some(
            "LimitExceededException"
                | "ProvisionedThroughputExceededException"
                | "ThrottlingException"
        )
    )
}
