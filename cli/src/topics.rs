//! `bellwire topics`: what there is to subscribe to.

use anyhow::{Context, anyhow, bail};
use bellwire_domain::topic::Topic;
use bellwire_domain::topic::modes::PayloadType;
use bellwire_domain::topic::search::Search;
use bellwire_domain::topic::shards::Shards;
use bellwire_domain::topic::view::TopicView;
use clap::Subcommand;
use serde::Serialize;
use serde_json::json;

use crate::print::{Output, to_the_second, words};
use crate::tables::Tables;

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// List all topics, oldest first
    List {
        /// Only those that an expression fits, such as 'publisher.payload.type:event', as in the API
        #[arg(long)]
        search: Option<String>,
    },
    /// Show a topic, with all that its publisher sees
    Show {
        /// The topic's id or name
        topic: String,
    },
    /// Spread a topic's events over more partitions of the tables, before more come than one takes: some 500 a second
    Spread {
        /// The topic's id or name
        topic: String,
        /// Over how many, at least: 2, 4, 8, 16, 32 or 64. A topic never has fewer than it had
        #[arg(long, value_parser = shards)]
        shards: Shards,
    },
}

/// A topic as it is printed.
#[derive(Serialize)]
struct ShardedTopicView<'a> {
    #[serde(flatten)]
    topic: TopicView<'a>,
    shards: Shards,
}

/// Carries out a command on the stack of this name.
///
/// # Errors
/// When the tables can't be read, or what is named doesn't exist.
pub async fn run(command: Command, stack: &str, output: Output) -> anyhow::Result<()> {
    let tables = Tables::of(stack).await?;
    match command {
        Command::List { search } => list(&tables, search.as_deref(), output).await,
        Command::Show { topic } => show(&tables, &topic, output).await,
        Command::Spread { topic, shards } => spread(&tables, &topic, shards, output).await,
    }
}

async fn list(tables: &Tables, search: Option<&str>, output: Output) -> anyhow::Result<()> {
    let search = search.map(Search::parse).transpose();
    let search = search.map_err(|bad| anyhow!("--search {bad}"))?;
    let listed = tables.topics.list().await;
    let mut topics = listed.context("the topics could not be read")?;
    if let Some(search) = search {
        topics.retain(|topic| {
            let shown = serde_json::to_value(TopicView::full(topic));
            shown.is_ok_and(|shown| search.matches(&shown))
        });
    }
    let shown: Vec<TopicView<'_>> = topics.iter().map(TopicView::full).collect();
    output.many(
        "topics",
        &shown,
        &["TOPIC ID", "NAME", "PAYLOAD", "ACCESS", "CREATED"],
        topics.iter().map(|topic| {
            vec![
                topic.id.to_string(),
                topic.name.clone(),
                payload(topic).to_owned(),
                words(&topic.access),
                to_the_second(topic.create_timestamp),
            ]
        }),
    )
}

async fn show(tables: &Tables, topic: &str, output: Output) -> anyhow::Result<()> {
    let stored = tables.topic(topic).await?;
    let topic = &stored.topic;
    let shown = ShardedTopicView {
        topic: TopicView::full(topic),
        shards: stored.shards,
    };
    let lines = [
        ("topic id", topic.id.to_string()),
        ("name", topic.name.clone()),
        ("payload", payload(topic).to_owned()),
        ("subscribers", words(&topic.subscribers)),
        ("access", words(&topic.access)),
        ("publishers", words(&topic.publishers)),
        ("config", words(&topic.publisher.config)),
        ("shards", stored.shards.count().to_string()),
        ("created", to_the_second(topic.create_timestamp)),
        ("changed", to_the_second(topic.modify_timestamp)),
    ];
    output.lines(&shown, &lines)
}

async fn spread(
    tables: &Tables,
    topic: &str,
    shards: Shards,
    output: Output,
) -> anyhow::Result<()> {
    let known = tables.topic(topic).await?.topic;
    if known.publisher.payload.kind == PayloadType::Snapshot {
        bail!("the topic {topic} has a document, whose versions are in order: it has no shards");
    }
    let grown = tables.topics.grow(&known.id, shards).await;
    let Some(shards) = grown.context("the topic could not be changed")? else {
        bail!("there is no topic {topic}");
    };
    output.lines(
        &json!({"topic_id": known.id, "shards": shards}),
        &[
            ("topic id", known.id.to_string()),
            ("shards", shards.count().to_string()),
        ],
    )
}

fn payload(topic: &Topic) -> &'static str {
    match topic.publisher.payload.kind {
        PayloadType::Snapshot => "snapshot",
        PayloadType::Event => "event",
    }
}

fn shards(text: &str) -> Result<Shards, String> {
    let count: u16 = text.parse().map_err(|_| "must be a number".to_owned())?;
    Shards::try_from(count).map_err(|error| error.to_string())
}
