//! `bellwire topics`: what the operator does about topics.

use anyhow::{Context, bail};
use aws_sdk_dynamodb::Client as DynamoDb;
use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::modes::PayloadType;
use bellwire_domain::topic::shards::Shards;
use bellwire_store::Topics;
use bellwire_store::topics::Found;
use clap::Subcommand;
use serde_json::json;

use crate::print::Output;
use crate::stack;

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Spread a topic's events over more partitions of the tables, before more come than one takes: some 500 a second
    Spread {
        /// The id of the topic
        topic_id: String,
        /// Over how many, at least: 2, 4, 8, 16, 32 or 64. A topic never has fewer than it had
        #[arg(long, value_parser = shards)]
        shards: Shards,
    },
}

/// Carries out a command on the stack of this name.
pub async fn run(command: Command, stack: &str, output: Output) -> anyhow::Result<()> {
    match command {
        Command::Spread { topic_id, shards } => {
            let config = stack::aws().await;
            let table = stack::output(&config, stack, "TopicsTable").await?;
            let topics = Topics::new(DynamoDb::new(&config), table);
            let id = TopicId::new(topic_id.as_str());
            if let Found::Live(known) = topics
                .get(&id)
                .await
                .context("the topic could not be read")?
                && known.topic.publisher.payload.kind == PayloadType::Snapshot
            {
                bail!(
                    "the topic {topic_id} has a document, whose versions are in order: it has no shards"
                );
            }
            let grown = topics.grow(&id, shards).await;
            let Some(shards) = grown.context("the topic could not be changed")? else {
                bail!("there is no topic {topic_id}");
            };
            let shown = json!({"topic_id": topic_id, "shards": shards});
            let count = shards.count().to_string();
            output.one(&shown, &[("topic id", &topic_id), ("shards", &count)])
        }
    }
}

fn shards(text: &str) -> Result<Shards, String> {
    let count: u16 = text.parse().map_err(|_| "must be a number".to_owned())?;
    Shards::try_from(count).map_err(|error| error.to_string())
}
