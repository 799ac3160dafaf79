//! The stream of the Exchanges table, as [`crate::tail`] follows it.

use std::time::Duration;

use anyhow::{Context, bail};
use aws_sdk_dynamodbstreams::Client as Streams;
use aws_sdk_dynamodbstreams::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodbstreams::operation::get_records::{GetRecordsError, GetRecordsOutput};
use aws_sdk_dynamodbstreams::types::{Record, ShardIteratorType};
use futures_util::stream::{self, StreamExt};
use time::OffsetDateTime;

use crate::stream_shards::{ListedShard, StreamShards};
use crate::tables::Tables;

/// How many shards are read at once.
const AT_ONCE: usize = 16;
/// How many records one call returns at most.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html>
const MOST_RECORDS: usize = 1000;
/// By how much this machine's clock may be ahead of AWS's.
const CLOCK: Duration = Duration::from_secs(60);
/// How often in a row AWS may be out of reach, with a second in between: a machine that wakes up has no network at first.
const MOST_FAILURES: usize = 60;

const TRIMMED: &str = "Attempts are missing here: the stream keeps them for a day.";

/// The stream, and how far it is read.
pub struct AttemptStream {
    streams: Streams,
    arn: String,
    shards: StreamShards,
    places: Vec<Place>,
    /// What is older isn't shown: of shards that began before, and were found later.
    since: OffsetDateTime,
    /// How often in a row AWS was out of reach.
    failures: usize,
}

/// Where a shard is read next.
struct Place {
    shard: String,
    iterator: String,
    /// The sequence number of the last record that was read.
    last: Option<String>,
}

/// What was read in one round.
pub struct Read {
    /// What is new; of a shard in order.
    pub records: Vec<Record>,
    /// Whether there may be more already.
    pub may_be_more: bool,
    /// What whoever follows has to know.
    pub remarks: Vec<&'static str>,
}

impl AttemptStream {
    /// Opens the stream at what is recorded from now on.
    ///
    /// # Errors
    /// When the table or its stream can't be read.
    pub async fn open(tables: &Tables) -> anyhow::Result<Self> {
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
            shards: StreamShards::default(),
            places: Vec::new(),
            since: OffsetDateTime::now_utc() - CLOCK,
            failures: 0,
        };
        let (shards, open) = StreamShards::begin(&stream.list().await?);
        stream.shards = shards;
        for shard in open {
            stream.start(shard, ShardIteratorType::Latest).await?;
        }
        Ok(stream)
    }

    /// Reads what is new in all shards.
    ///
    /// # Errors
    /// When the stream can't be read, or AWS has been out of reach for too long.
    pub async fn read(&mut self) -> anyhow::Result<Read> {
        let streams = &self.streams;
        let reads = std::mem::take(&mut self.places).into_iter();
        let reads = reads.map(|place| async move {
            let request = streams.get_records().shard_iterator(&place.iterator);
            (place, request.send().await)
        });
        let answers: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
        let mut read = Read {
            records: Vec::new(),
            may_be_more: false,
            remarks: Vec::new(),
        };
        let mut out_of_reach = None;
        for (place, answer) in answers {
            match answer {
                Ok(answer) => self.take(place, answer, &mut read),
                Err(error) => match Trouble::of(&error) {
                    Trouble::Passing => {
                        self.places.push(place);
                        out_of_reach = Some(error);
                    }
                    Trouble::Expired => self.go_on(place).await?,
                    Trouble::Trimmed => {
                        read.remarks.push(TRIMMED);
                        self.start(place.shard, ShardIteratorType::TrimHorizon)
                            .await?;
                    }
                    Trouble::Lasting => {
                        return Err(error).context("the stream could not be read");
                    }
                },
            }
        }
        match out_of_reach {
            None => self.failures = 0,
            Some(error) if self.failures >= MOST_FAILURES => {
                return Err(error).context("the stream could not be read");
            }
            Some(_) => self.failures += 1,
        }
        if self.shards.has_childless() && self.failures == 0 {
            for shard in self.shards.listed(&self.list().await?) {
                self.start(shard, ShardIteratorType::TrimHorizon).await?;
            }
        }
        Ok(read)
    }

    fn take(&mut self, mut place: Place, answer: GetRecordsOutput, read: &mut Read) {
        let records = answer.records.unwrap_or_default();
        let last = records.last().and_then(|it| it.dynamodb.as_ref());
        place.last = last
            .and_then(|it| it.sequence_number.clone())
            .or(place.last);
        read.may_be_more |= records.len() >= MOST_RECORDS;
        let since = self.since.unix_timestamp();
        let records = records.into_iter().filter(|record| {
            let at = record.dynamodb.as_ref();
            let at = at.and_then(|it| it.approximate_creation_date_time.as_ref());
            // It is rounded down to seconds.
            at.is_none_or(|at| at.secs() >= since)
        });
        read.records.extend(records);
        match answer.next_shard_iterator {
            Some(iterator) => self.places.push(Place { iterator, ..place }),
            None => self.shards.ended(place.shard),
        }
    }

    /// The shards that `DescribeStream` lists.
    async fn list(&self) -> anyhow::Result<Vec<ListedShard>> {
        let (mut shards, mut after) = (Vec::new(), None);
        loop {
            let request = self.streams.describe_stream().stream_arn(&self.arn);
            let request = request.set_exclusive_start_shard_id(after);
            let answer = request.send().await;
            let answer = answer.context("the stream's shards could not be read")?;
            let Some(described) = answer.stream_description else {
                bail!("the stream {} is not there any more", self.arn);
            };
            for shard in described.shards.unwrap_or_default() {
                let range = shard.sequence_number_range;
                shards.push(ListedShard {
                    id: shard.shard_id.unwrap_or_default(),
                    parent: shard.parent_shard_id,
                    ended: range.is_some_and(|it| it.ending_sequence_number.is_some()),
                });
            }
            after = described.last_evaluated_shard_id;
            if after.is_none() {
                return Ok(shards);
            }
        }
    }

    async fn start(&mut self, shard: String, from: ShardIteratorType) -> anyhow::Result<()> {
        self.place(shard, from, None).await
    }

    /// Goes on in a shard whose iterator is older than the 15 minutes for which it is good.
    async fn go_on(&mut self, place: Place) -> anyhow::Result<()> {
        match place.last {
            Some(last) => {
                let from = ShardIteratorType::AfterSequenceNumber;
                self.place(place.shard, from, Some(last)).await
            }
            // What is older than the beginning is left out.
            None => {
                self.start(place.shard, ShardIteratorType::TrimHorizon)
                    .await
            }
        }
    }

    async fn place(
        &mut self,
        shard: String,
        from: ShardIteratorType,
        last: Option<String>,
    ) -> anyhow::Result<()> {
        let answer = self
            .streams
            .get_shard_iterator()
            .stream_arn(&self.arn)
            .shard_id(&shard)
            .shard_iterator_type(from)
            .set_sequence_number(last.clone())
            .send()
            .await
            .context("a shard of the stream could not be read")?;
        self.places
            .extend(answer.shard_iterator.map(|iterator| Place {
                shard,
                iterator,
                last,
            }));
        Ok(())
    }
}

/// Why records could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// AWS is out of reach, or others read the shard as well.
    Passing,
    /// The iterator is too old.
    Expired,
    /// What the iterator points at is not kept any more.
    Trimmed,
    /// Something else.
    Lasting,
}

impl Trouble {
    fn of(error: &SdkError<GetRecordsError>) -> Self {
        let Some(service) = error.as_service_error() else {
            return match error {
                SdkError::ConstructionFailure(_) => Self::Lasting,
                _ => Self::Passing,
            };
        };
        match service.code() {
            Some("ExpiredIteratorException") => Self::Expired,
            Some("TrimmedDataAccessException") => Self::Trimmed,
            Some(
                "LimitExceededException"
                | "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "InternalServerError",
            ) => Self::Passing,
            _ => Self::Lasting,
        }
    }
}
