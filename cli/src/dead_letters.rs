//! `bellwire dead-letters`: what could not be worked off, and what to do with it.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::ensure;
use bellwire_queues::dead_letters::{DeadLetter, DeadLetters};
use bellwire_queues::{Delivery, FanOut, Message, Publication, Queue, Told};
use bellwire_results::Rendering;
use bellwire_rules::timestamp::iso;
use bellwire_runtime::aws::Lazy;
use clap::{Args, Subcommand};
use futures_util::future::try_join_all;
use serde::Serialize;
use time::OffsetDateTime;

use crate::print::Output;
use crate::stack;

/// How many dead letters of a queue are looked at.
const MOST: usize = 1000;
const UNTOLD: &str = "given up by SQS; the function's log has the cause";

#[derive(Subcommand)]
pub enum Command {
    /// List them
    List(Which),
    /// Show one whole
    Show {
        /// Its id
        id: String,
    },
    /// Send them again; what has arrived meanwhile is not sent twice
    Redrive(Which),
    /// Throw them away
    Drop(Which),
}

/// Which dead letters are meant.
#[derive(Args)]
pub struct Which {
    /// Those of these ids
    ids: Vec<String>,
    /// Those for this subscription
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,
    /// Those that are older, such as 90m, 12h or 3d
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
    /// Those that are younger
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    younger_than: Option<Duration>,
    /// All of them
    #[arg(long)]
    all: bool,
}

/// What a dead letter carries.
enum Carried {
    Delivery(Delivery),
    FanOut(FanOut),
    Publication(Publication),
    Rendering(Rendering),
    /// Nothing that this version knows.
    Unread,
}

/// A dead letter in its queue.
struct Found<'a> {
    queue: &'a DeadQueue,
    letter: DeadLetter,
    carried: Carried,
}

/// A queue of dead letters, and the one that they come from.
struct DeadQueue {
    name: &'static str,
    dead: DeadLetters,
    source: Queue,
}

/// A dead letter, as it is shown.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    queue: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    what: String,
    at: String,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
}

/// Runs one of the commands.
pub async fn run(command: Command, stack: &str, output: Output) -> anyhow::Result<()> {
    let queues = queues(stack).await?;
    let taken = try_join_all(queues.iter().map(|queue| queue.dead.take(MOST))).await?;
    let mut found: Vec<_> = queues
        .iter()
        .zip(taken)
        .flat_map(|(queue, letters)| letters.into_iter().map(|letter| Found::new(queue, letter)))
        .collect();
    found.sort_by_key(|found| found.letter.sent_at);
    let mut done = HashSet::new();
    let result = carry_out(command, &found, &mut done, output).await;
    for (_, found) in found.iter().enumerate().filter(|(n, _)| !done.contains(n)) {
        // One that can't be released is visible again by itself in a few minutes.
        let _ = found.queue.dead.release(&found.letter).await;
    }
    result?;
    if found.len() >= MOST {
        output.remark("There may be more: at most 1000 of a queue are looked at.");
    }
    Ok(())
}

/// Does what is asked for; `done` gets the places of the letters that are gone.
async fn carry_out(
    command: Command,
    found: &[Found<'_>],
    done: &mut HashSet<usize>,
    output: Output,
) -> anyhow::Result<()> {
    match command {
        Command::List(which) => {
            let shown: Vec<_> = found
                .iter()
                .filter(|it| which.means(it) || which.is_empty())
                .map(|it| it.shown(false))
                .collect();
            output.many(
                &shown,
                &["id", "queue", "for", "what", "at", "reason"],
                shown.iter().map(Shown::row),
            )
        }
        Command::Show { id } => {
            let letter = found.iter().find(|it| it.letter.id == id);
            let letter = letter.ok_or_else(|| anyhow::anyhow!("there is no dead letter {id}"))?;
            let shown = letter.shown(true);
            output.one(
                &shown,
                &[
                    ("id", shown.id),
                    ("queue", shown.queue),
                    ("for", shown.whom()),
                    ("what", &shown.what),
                    ("at", &shown.at),
                    ("reason", shown.reason),
                    ("body", &letter.letter.body),
                ],
            )
        }
        Command::Redrive(which) => {
            which.must_say_something()?;
            for (place, it) in found.iter().enumerate().filter(|(_, it)| which.means(it)) {
                // Sent first: if the removal fails it is here still, and sent once more, and
                // then found to have arrived.
                it.queue.source.send(it.again()?).await?;
                it.queue.dead.remove(&it.letter).await?;
                done.insert(place);
            }
            report("redriven", done.len(), output)
        }
        Command::Drop(which) => {
            which.must_say_something()?;
            for (place, it) in found.iter().enumerate().filter(|(_, it)| which.means(it)) {
                it.queue.dead.remove(&it.letter).await?;
                done.insert(place);
            }
            report("dropped", done.len(), output)
        }
    }
}

fn report(what: &str, count: usize, output: Output) -> anyhow::Result<()> {
    output.one(
        &serde_json::json!({ what: count }),
        &[(what, &count.to_string())],
    )
}

async fn queues(stack: &str) -> anyhow::Result<[DeadQueue; 4]> {
    let config = stack::aws().await;
    let sqs = Lazy::new(&config, aws_sdk_sqs::Client::new);
    let queue = async |name, dead, source| {
        let dead = stack::output(&config, stack, dead).await?;
        let source = stack::output(&config, stack, source).await?;
        anyhow::Ok(DeadQueue {
            name,
            dead: DeadLetters::new(sqs.clone(), dead),
            source: Queue::new(sqs.clone(), source),
        })
    };
    Ok([
        queue("deliveries", "DeadDeliveriesQueueUrl", "DeliveriesQueueUrl").await?,
        queue("fan-outs", "DeadFanOutsQueueUrl", "FanOutsQueueUrl").await?,
        queue(
            "publications",
            "DeadPublicationsQueueUrl",
            "PublicationsQueueUrl",
        )
        .await?,
        queue("renderings", "DeadRenderingsQueueUrl", "RenderingsQueueUrl").await?,
    ])
}

impl Which {
    fn is_empty(&self) -> bool {
        self.ids.is_empty()
            && self.subscription.is_none()
            && self.older_than.is_none()
            && self.younger_than.is_none()
            && !self.all
    }

    fn must_say_something(&self) -> anyhow::Result<()> {
        ensure!(
            !self.is_empty(),
            "say which: ids, --subscription, --older-than, --younger-than or --all"
        );
        Ok(())
    }

    /// Whether a dead letter fits everything that is said.
    fn means(&self, found: &Found<'_>) -> bool {
        let age = OffsetDateTime::now_utc() - found.letter.sent_at;
        let subscription = found.carried.subscription();
        !self.is_empty()
            && (self.ids.is_empty() || self.ids.contains(&found.letter.id))
            && self
                .subscription
                .as_deref()
                .is_none_or(|id| subscription == Some(id))
            && self.older_than.is_none_or(|limit| age > limit)
            && self.younger_than.is_none_or(|limit| age < limit)
    }
}

impl Carried {
    fn of(queue: &str, body: &str) -> Self {
        let read = match queue {
            "deliveries" => serde_json::from_str(body).map(Self::Delivery),
            "fan-outs" => serde_json::from_str(body).map(Self::FanOut),
            "renderings" => serde_json::from_str(body).map(Self::Rendering),
            _ => serde_json::from_str(body).map(Self::Publication),
        };
        read.unwrap_or(Self::Unread)
    }

    fn subscription(&self) -> Option<&str> {
        match self {
            Self::Delivery(delivery) => Some(&delivery.subscription_id),
            Self::FanOut(FanOut::Replay(replay)) => Some(&replay.subscription_id),
            _ => None,
        }
    }

    fn topic(&self) -> Option<&str> {
        match self {
            Self::Publication(publication) => Some(&publication.topic_id),
            Self::FanOut(FanOut::Segment { audience_id, .. }) => Some(audience_id),
            Self::FanOut(FanOut::Replay(replay)) => Some(&replay.topic_id),
            _ => None,
        }
    }

    fn what(&self) -> String {
        match self {
            Self::Delivery(delivery) => match &delivery.told {
                Told::Document { version } => format!("document {version}"),
                Told::Event { event_id, .. } => format!("event {event_id}"),
                Told::Test { event_id, .. } => format!("test {event_id}"),
                Told::TopicDeleted { .. } => "end of the topic".to_owned(),
                Told::Entity { event_id, .. } => format!("entity event {event_id}"),
            },
            Self::FanOut(FanOut::Segment { segment, .. }) => format!("segment {segment}"),
            Self::FanOut(FanOut::Replay(_)) => "replay".to_owned(),
            Self::FanOut(FanOut::Entity { event_id, .. }) => format!("entity event {event_id}"),
            Self::Publication(publication) => format!("publication {}", publication.event_id),
            Self::Rendering(rendering) => format!("result of {}", rendering.execution_id),
            Self::Unread => "malformed".to_owned(),
        }
    }
}

impl<'a> Found<'a> {
    fn new(queue: &'a DeadQueue, letter: DeadLetter) -> Self {
        Self {
            carried: Carried::of(queue.name, &letter.body),
            queue,
            letter,
        }
    }

    fn shown(&self, whole: bool) -> Shown<'_> {
        Shown {
            id: &self.letter.id,
            queue: self.queue.name,
            subscription: self.carried.subscription(),
            topic: self.carried.topic(),
            what: self.carried.what(),
            at: iso(self.letter.sent_at),
            reason: self.letter.reason.as_deref().unwrap_or(UNTOLD),
            body: whole.then_some(&self.letter.body),
        }
    }

    /// The message that goes back into the queue that it comes from. A delivery has its
    /// whole schedule again.
    fn again(&self) -> anyhow::Result<Message> {
        Ok(match &self.carried {
            Carried::Delivery(delivery) => Message::delivery(&Delivery {
                attempt: 0,
                ..delivery.clone()
            })?,
            // SQS would drop a message of the same id within five minutes.
            Carried::Publication(publication) => Message::publication(&Publication {
                redriven: true,
                ..publication.clone()
            })?
            .once(
                publication.topic_id.clone(),
                format!("redriven-{}", self.letter.id),
            ),
            Carried::FanOut(_) | Carried::Rendering(_) | Carried::Unread => {
                let message = Message::raw(self.letter.body.clone());
                if self.queue.name == "publications" {
                    message.once("malformed".to_owned(), self.letter.id.clone())
                } else {
                    message
                }
            }
        })
    }
}

impl Shown<'_> {
    fn whom(&self) -> &str {
        self.subscription.or(self.topic).unwrap_or("")
    }

    fn row(&self) -> Vec<String> {
        let whom = self.whom();
        [self.id, self.queue, whom, &self.what, &self.at, self.reason]
            .map(str::to_owned)
            .to_vec()
    }
}
