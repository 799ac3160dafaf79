//! `bellwire dead-letters`: what could not be processed, and what to do with it.

use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use aws_config::SdkConfig;
use bellwire_dead_letters::{Carried, DeadQueue, Held, again};
use bellwire_domain::timestamp::iso;
use bellwire_queues::dead_letters::DeadLetter;
use bellwire_runtime::aws::Lazy;
use clap::{Args, Subcommand};
use serde::Serialize;
use time::OffsetDateTime;

use crate::interrupted::interrupted;
use crate::print::Output;
use crate::stack::{self, Deployed};

/// The most dead letters of a queue that a command reads.
const MOST: usize = 1000;
const WITHOUT_LIFETIME: &str = "given up by SQS; the function's log has the cause";

#[derive(Subcommand)]
pub enum Command {
    /// List them
    List(Which),
    /// Show one whole
    Show {
        /// Its id
        id: String,
    },
    /// Send them again; what has arrived meanwhile is not sent twice. Undelivered notifications of queries, and what could
    /// not be counted, stay: drop them
    Redrive(Which),
    /// Throw them away
    Drop(Which),
}

/// The dead letters that a command is meant for.
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

/// A dead letter, its queue, and what it carries.
struct Found<'a> {
    queue: &'a DeadQueue,
    letter: DeadLetter,
    carried: Carried,
}

/// A dead letter, as it is printed.
#[derive(Serialize)]
struct DeadLetterView<'a> {
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

/// Runs one of the commands on the dead letters of a stack.
pub async fn run(command: Command, stack: &str, output: Output) -> anyhow::Result<()> {
    let config = stack::aws().await;
    let deployed = Deployed::read(&config, stack).await?;
    let queues = queues(&config, &deployed)?;
    let held = Held::new(&queues, MOST);
    let done = tokio::select! {
        done = carry_out(command, &held) => done,
        never = held.keep_hidden() => match never {},
        interrupted = interrupted() => Err(match interrupted {
            Ok(()) => anyhow!("interrupted"),
            Err(error) => error.into(),
        }),
    };
    held.release().await;
    // Printed after the release: whoever reads may take as long as they like.
    let (done, may_be_more) = done?;
    done.print(output)?;
    if may_be_more {
        output.remark("There may be more: at most 1000 of a queue are looked at.")?;
    }
    Ok(())
}

/// The queues of dead letters of a stack.
fn queues(config: &SdkConfig, deployed: &Deployed) -> anyhow::Result<Vec<DeadQueue>> {
    let sqs = Lazy::new(config, aws_sdk_sqs::Client::new);
    let lambda = Lazy::new(config, aws_sdk_lambda::Client::new);
    bellwire_dead_letters::of(&sqs, &lambda, |name| deployed.output(name))
}

/// The result of a command.
enum Done<'a> {
    List(Vec<Found<'a>>),
    Show(Box<Found<'a>>),
    Redriven(usize),
    Dropped(usize),
}

/// Carries a command out. Returns too whether there may be dead letters that it has not read.
async fn carry_out<'a>(command: Command, held: &Held<'a>) -> anyhow::Result<(Done<'a>, bool)> {
    let mut found: Vec<_> = held
        .take()
        .await?
        .into_iter()
        .map(|(queue, letter)| Found::new(queue, letter))
        .collect();
    let may_be_more = held.may_be_more();
    found.sort_by_key(|found| found.letter.sent_at);
    Ok((act(command, held, found).await?, may_be_more))
}

async fn act<'a>(
    command: Command,
    held: &Held<'a>,
    mut found: Vec<Found<'a>>,
) -> anyhow::Result<Done<'a>> {
    match command {
        Command::List(which) => {
            found.retain(|it| which.is_empty() || which.means(it));
            Ok(Done::List(found))
        }
        Command::Show { id } => {
            let letter = found.into_iter().find(|it| it.letter.id == id);
            let letter = letter.ok_or_else(|| anyhow!("there is no dead letter {id}"))?;
            Ok(Done::Show(Box::new(letter)))
        }
        Command::Redrive(which) => {
            let mut chosen = which.chosen(&found)?;
            // Those that are named have to be redriven; of others, those that can be.
            let refusal = chosen.iter().find_map(|it| it.queue.way_back.refusal());
            if let Some(reason) = refusal.filter(|_| !which.ids.is_empty()) {
                bail!("can't be redriven: {reason}");
            }
            chosen.retain(|it| it.queue.way_back.refusal().is_none());
            for it in &chosen {
                // Sent before it is removed: if the removal fails, it is still here and may be sent
                // again, and is then found to have been delivered.
                let message = again(it.queue, &it.letter, &it.carried)?;
                it.queue.way_back.send(message).await?;
                held.remove(it.queue, &it.letter).await?;
            }
            Ok(Done::Redriven(chosen.len()))
        }
        Command::Drop(which) => {
            let chosen = which.chosen(&found)?;
            for it in &chosen {
                held.remove(it.queue, &it.letter).await?;
            }
            Ok(Done::Dropped(chosen.len()))
        }
    }
}

impl Done<'_> {
    fn print(&self, output: Output) -> anyhow::Result<()> {
        match self {
            Self::List(found) => print_list(found, output),
            Self::Show(letter) => print_letter(letter, output),
            Self::Redriven(count) => report("redriven", *count, output),
            Self::Dropped(count) => report("dropped", *count, output),
        }
    }
}

fn print_list(found: &[Found<'_>], output: Output) -> anyhow::Result<()> {
    let shown: Vec<_> = found.iter().map(|it| it.shown(false)).collect();
    output.many(
        "dead letters",
        &shown,
        &["id", "queue", "for", "what", "at", "reason"],
        shown.iter().map(DeadLetterView::row),
    )?;
    Ok(())
}

fn print_letter(letter: &Found<'_>, output: Output) -> anyhow::Result<()> {
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

fn report(what: &str, count: usize, output: Output) -> anyhow::Result<()> {
    output.one(
        &serde_json::json!({ what: count }),
        &[(what, &count.to_string())],
    )
}

impl Which {
    fn is_empty(&self) -> bool {
        self.ids.is_empty()
            && self.subscription.is_none()
            && self.older_than.is_none()
            && self.younger_than.is_none()
            && !self.all
    }

    /// The dead letters that are meant; an error when no option says which.
    fn chosen<'a, 'b>(&self, found: &'a [Found<'b>]) -> anyhow::Result<Vec<&'a Found<'b>>> {
        ensure!(
            !self.is_empty(),
            "say which: ids, --subscription, --older-than, --younger-than or --all"
        );
        Ok(found.iter().filter(|it| self.means(it)).collect())
    }

    /// Whether a dead letter matches every option that is given.
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

impl<'a> Found<'a> {
    fn new(queue: &'a DeadQueue, letter: DeadLetter) -> Self {
        Self {
            carried: Carried::of(queue.name, &letter.body),
            queue,
            letter,
        }
    }

    fn shown(&self, whole: bool) -> DeadLetterView<'_> {
        DeadLetterView {
            id: &self.letter.id,
            queue: self.queue.name,
            subscription: self.carried.subscription(),
            topic: self.carried.topic(),
            what: self.carried.what(),
            at: iso(self.letter.sent_at),
            reason: self.letter.reason.as_deref().unwrap_or(WITHOUT_LIFETIME),
            body: whole.then_some(&self.letter.body),
        }
    }
}

impl DeadLetterView<'_> {
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
