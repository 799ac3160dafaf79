//! Counts attempts by subscription and hour, from the stream of the Exchanges table.
//!
//! A batch may come again, whole, in part, or with more behind it: each attempt is counted once all the same
//! ([`bellwire_store::attempt_counts`]).

use std::collections::BTreeMap;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use bellwire_app::{App, BadSetting};
use bellwire_store::Counts;
use bellwire_store::attempt_counts::{HourKey, SequenceNumber, SequencedAttempt, counted};
use futures_util::stream::{self, StreamExt};
use lambda_runtime::Error;
use serde_dynamo::{AttributeValue, Item};

/// How many items are written at once.
const AT_ONCE: usize = 16;

/// The function, with what it keeps between batches.
#[derive(Debug)]
pub struct AttemptCountsFunction {
    counts: Counts,
}

impl AttemptCountsFunction {
    /// Takes the function's table from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            counts: app.counts()?,
        })
    }

    /// Counts the attempts of a batch. A record that can't be read is logged and left out, so that it doesn't hold back the
    /// others.
    ///
    /// # Errors
    /// When counts can't be written. Some may have been: the batch comes again, or a part of it.
    pub async fn handle(&self, event: Event) -> Result<(), Error> {
        let records = event.records.len();
        let hours = by_hour(event.records);
        let items = hours.len();
        let written: Vec<Result<(), Error>> = stream::iter(hours)
            .map(|(key, attempts)| async move { Ok(self.counts.add(&key, attempts).await?) })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        written.into_iter().collect::<Result<(), Error>>()?;
        tracing::info!(records, items, "counted");
        Ok(())
    }
}

/// The attempts of a batch, by the items that they are counted in, in the order of their numbers.
fn by_hour(records: Vec<EventRecord>) -> BTreeMap<HourKey, Vec<SequencedAttempt>> {
    let mut hours: BTreeMap<HourKey, Vec<SequencedAttempt>> = BTreeMap::new();
    // The event source leaves out others as well; what is changed later was counted when it was new.
    for record in records.into_iter().filter(|it| it.event_name == "INSERT") {
        match sequenced(&record) {
            Ok(Some((key, attempt))) => hours.entry(key).or_default().push(attempt),
            Ok(None) => {}
            Err(cause) => {
                let event_id = record.event_id;
                tracing::error!(%cause, event_id, "an attempt can't be counted");
            }
        }
    }
    for attempts in hours.values_mut() {
        attempts.sort_by(|a, b| a.number.cmp(&b.number));
    }
    hours
}

/// The attempt in a record; `None` if it is a mark without one.
fn sequenced(record: &EventRecord) -> Result<Option<(HourKey, SequencedAttempt)>, Error> {
    let item = &record.change.new_image;
    let Some(AttributeValue::B(content)) = item.get("content") else {
        return Ok(None);
    };
    let (partition, exchange_id) = (text(item, "subscription_id")?, text(item, "exchange_id")?);
    let number = record.change.sequence_number.as_deref();
    let number = number.and_then(SequenceNumber::parse);
    let number = number.ok_or("the record has no sequence number")?;
    let counted = counted(partition, exchange_id, content)?;
    Ok(counted.map(|(key, attempt)| (key, SequencedAttempt { number, attempt })))
}

fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str, Error> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(format!("the item has no {name}").into()),
    }
}
