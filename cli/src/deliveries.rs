//! `bellwire deliveries`: what was sent to a subscription, and what has become of it.

use std::time::Duration;

use anyhow::{Context, anyhow};
use bellwire_domain::delivery::retry::RetrySchedule;
use bellwire_domain::delivery::state::DeliveryState;
use bellwire_domain::ids::{DeliveryId, EventId};
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::topic::shards::Shards;
use bellwire_store::Subscription;
use bellwire_store::attempt_record::AttemptRecord;
use bellwire_store::delivery_list::DeliveriesWanted;
use bellwire_store::delivery_record::DeliveryRecord;
use bellwire_store::topics::Found;
use clap::{Args, Subcommand};
use serde::Serialize;
use time::OffsetDateTime;

use crate::attempt_view::{AttemptView, outcome};
use crate::print::{Output, to_the_second};
use crate::progress;
use crate::tables::Tables;

/// How many deliveries are read with one page.
const PAGE: usize = 100;

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// List the deliveries of a subscription, newest first
    List(DeliveryFilter),
    /// Show a delivery with all its attempts: requests, secrets redacted, and responses
    Show {
        /// The subscription's id
        subscription: String,
        /// The delivery's id
        id: String,
    },
}

/// The deliveries that are listed.
#[derive(Args)]
pub struct DeliveryFilter {
    /// The subscription's id
    subscription: String,
    /// Those in this state: delivered, retrying, failed or superseded
    #[arg(long)]
    state: Option<DeliveryState>,
    /// Those of this type, such as event, snapshot, patch or entity_updated
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
    /// Those whose latest attempt was answered with this status
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..=999))]
    code: Option<u16>,
    /// Those of so long ago at most, such as 90m, 12h or 3d
    #[arg(long, value_name = "AGE", default_value = "24h", value_parser = humantime::parse_duration)]
    since: Duration,
    /// So many at most
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

/// A delivery as it is printed.
#[derive(Serialize)]
struct DeliveryView<'a> {
    delivery_id: &'a DeliveryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a EventId>,
    event_type: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    accepted_at: Option<OffsetDateTime>,
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<OffsetDateTime>,
    /// Newest first.
    attempts: Vec<AttemptView<'a>>,
    /// Whether there may be more attempts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    attempts_truncated: bool,
}

/// A subscription whose deliveries are read.
struct Reader {
    tables: Tables,
    subscription: Subscription,
    /// Those of its topic.
    shards: Shards,
    schedule: RetrySchedule,
    now: OffsetDateTime,
}

/// Carries out a command on the stack of this name.
///
/// # Errors
/// When the tables can't be read, or what is named doesn't exist.
pub async fn run(command: Command, stack: &str, output: Output) -> anyhow::Result<()> {
    let tables = Tables::of(stack).await?;
    match command {
        Command::List(filter) => {
            let reader = Reader::of(tables, &filter.subscription).await?;
            reader.list(&filter, output).await
        }
        Command::Show { subscription, id } => {
            let reader = Reader::of(tables, &subscription).await?;
            reader.show(&id, output).await
        }
    }
}

impl Reader {
    async fn of(tables: Tables, subscription: &str) -> anyhow::Result<Self> {
        let subscription = tables.subscription(subscription).await?;
        let shards = match subscription.topic() {
            Some((topic_id, _)) => match tables.topics.get(topic_id).await? {
                Found::Live(stored) => stored.shards,
                Found::Deleted { shards, .. } => shards,
                Found::Unknown => Shards::ONE,
            },
            None => Shards::ONE,
        };
        let schedule = tables.deployed.parameter("RetrySchedule")?.parse();
        Ok(Self {
            schedule: schedule.map_err(|bad| anyhow!("the parameter RetrySchedule {bad}"))?,
            tables,
            subscription,
            shards,
            now: OffsetDateTime::now_utc(),
        })
    }

    async fn list(&self, filter: &DeliveryFilter, output: Output) -> anyhow::Result<()> {
        let found = self.found(filter).await;
        let found = found.context("the deliveries could not be read")?;
        let shown: Vec<DeliveryView<'_>> = found
            .iter()
            .map(|it| self.view(it, AttemptView::brief))
            .collect();
        output.many(
            "deliveries",
            &shown,
            &[
                "DELIVERY ID",
                "TYPE",
                "STATE",
                "ATTEMPTS",
                "LATEST",
                "OUTCOME",
            ],
            found.iter().zip(&shown).map(|(delivery, shown)| {
                let latest = delivery.latest();
                vec![
                    delivery.id.to_string(),
                    shown.event_type.to_owned(),
                    shown.state.to_owned(),
                    delivery.attempt_count().to_string(),
                    latest
                        .map(|it| to_the_second(it.sent_at))
                        .unwrap_or_default(),
                    latest.map(outcome).unwrap_or_default(),
                ]
            }),
        )
    }

    async fn found(&self, filter: &DeliveryFilter) -> anyhow::Result<Vec<DeliveryRecord>> {
        let limit = filter.limit as usize;
        let (bar, mut after) = (progress::bar("reading deliveries"), None);
        let mut found: Vec<DeliveryRecord> = Vec::new();
        loop {
            let wanted = DeliveriesWanted {
                start: self.now.saturating_sub(filter.since.try_into()?),
                end: self.now,
                after,
                limit: PAGE.min(limit - found.len()),
            };
            let page = self.tables.attempts.deliveries(
                &self.subscription,
                self.shards,
                &wanted,
                self.now,
                |delivery| self.fits(delivery, filter),
            );
            let page = page.await?;
            found.extend(page.deliveries);
            progress::show(&bar, found.len(), limit);
            after = page.next_cursor;
            if after.is_none() || found.len() >= limit {
                bar.finish_and_clear();
                return Ok(found);
            }
        }
    }

    fn fits(&self, delivery: &DeliveryRecord, filter: &DeliveryFilter) -> bool {
        let of_type = filter.event_type.as_deref();
        let code = delivery.latest().and_then(|latest| latest.status);
        of_type.is_none_or(|it| it == delivery.event_type())
            && filter.code.is_none_or(|it| code == Some(it))
            && filter.state.is_none_or(|it| it == self.state(delivery))
    }

    async fn show(&self, id: &str, output: Output) -> anyhow::Result<()> {
        let wanted = DeliveryId::new(id);
        let read =
            self.tables
                .attempts
                .delivery(&self.subscription, self.shards, &wanted, self.now);
        let found = read.await.context("the delivery could not be read")?;
        let delivery = found.ok_or_else(|| anyhow!("there is no delivery {id} on record"))?;
        let shown = self.view(&delivery, AttemptView::whole);
        let time = |time: Option<OffsetDateTime>| time.map(to_the_second).unwrap_or_default();
        let mut lines = vec![
            ("delivery id", id.to_owned()),
            (
                "event id",
                shown.event_id.map(EventId::to_string).unwrap_or_default(),
            ),
            ("type", shown.event_type.to_owned()),
            ("state", shown.state.to_owned()),
            ("accepted", time(shown.accepted_at)),
            ("next attempt", time(shown.next_attempt_at)),
        ];
        for attempt in &delivery.attempts {
            let (number, at) = (attempt.failures + 1, to_the_second(attempt.sent_at));
            let resend = if attempt.resend { ", a resend" } else { "" };
            let line = format!("{number}{resend}, {at}: {}", outcome(attempt));
            lines.push(("attempt", line));
            lines.push(("  sent to", attempt.url.clone()));
            let body = attempt.response_body.clone();
            lines.extend(body.map(|body| ("  response", body)));
        }
        output.lines(&shown, &lines)
    }

    fn state(&self, delivery: &DeliveryRecord) -> DeliveryState {
        delivery.state(&self.subscription, &self.schedule, self.now)
    }

    fn view<'a>(
        &self,
        delivery: &'a DeliveryRecord,
        attempt_view: fn(&'a AttemptRecord) -> AttemptView<'a>,
    ) -> DeliveryView<'a> {
        let state = self.state(delivery);
        DeliveryView {
            delivery_id: &delivery.id,
            event_id: delivery.event_id.as_ref(),
            event_type: delivery.event_type(),
            state: state.as_str(),
            version: delivery.version(),
            accepted_at: delivery.accepted_at,
            next_attempt_at: delivery.next_attempt(&self.subscription, state, self.now),
            attempts: delivery.attempts.iter().map(attempt_view).collect(),
            attempts_truncated: delivery.attempts_truncated,
        }
    }
}
