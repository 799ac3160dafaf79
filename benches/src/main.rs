//! Measures Bellwire's functions as they are deployed, on loopback, and prints the results as JSON.
//! `make bench` runs it and writes `docs/benchmarks.md`.

mod aws;
mod deliver;
mod fan_out;
mod figures;
mod http_server;
mod init;
mod lambda;
mod local_stack;
mod patches;
mod pipeline;
mod published;
mod queues;
mod samples;
mod sink;
mod stack;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::{Parser, Subcommand};
use serde::Serialize;
use serde_json::Value;

use crate::aws::Aws;
use crate::init::{Subject, Times};
use crate::local_stack::LocalStack;
use crate::pipeline::Pipeline;

/// Where the built functions are.
const BINARIES: &str = "target/bench/lambda";
/// Where the logs of the functions are written.
const LOGS: &str = "target/bench/logs";

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Cold starts, first and warm invocations, memory
    Init {
        /// How often each function is started
        #[arg(long, default_value_t = 31)]
        starts: usize,
        /// How many events each gets once it is warm
        #[arg(long, default_value_t = 200)]
        warm: usize,
        /// Peers, as `name=program argument …`; they get the event of subscribe
        #[arg(long)]
        peer: Vec<String>,
        /// Only these functions
        functions: Vec<String>,
    },
    /// Finding and applying patches
    Patches,
    /// Deliveries a second, and what each costs
    Deliver {
        /// How many deliveries make a run
        #[arg(long, default_value_t = 5000)]
        deliveries: usize,
        /// How many runs there are
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Only this many endpoints
        #[arg(long)]
        endpoints: Option<usize>,
    },
    /// Publishing to topics with ever more subscriptions
    FanOut {
        /// With at most so many subscriptions
        #[arg(long, default_value_t = 100_000)]
        most: usize,
    },
    /// The published latencies, by the functions alone
    Published {
        /// For so many seconds each
        #[arg(long, default_value_t = 60)]
        seconds: usize,
        /// Only so many users
        #[arg(long)]
        users: Option<usize>,
    },
    /// The published latencies, on a deployed stack
    LocalStack {
        /// For so many seconds each
        #[arg(long, default_value_t = 60)]
        seconds: usize,
        /// With at most so many users
        #[arg(long)]
        users: usize,
        /// The URL of the API
        #[arg(long)]
        url: String,
        /// The key of a publisher
        #[arg(long, env = "BELLWIRE_BENCH_KEY")]
        key: String,
    },
}

/// The event that each function gets: a file in `events/`.
const EVENTS: &[(&str, &str)] = &[
    ("floor", "subscribe/list.json"),
    ("clients", "clients/show.json"),
    ("sessions", "sessions/show.json"),
    ("console", "console/sign-in.json"),
    ("operator", "operator/sign-in.json"),
    ("subscribe", "subscribe/callback-url.json"),
    ("unsubscribe", "unsubscribe/callback-url.json"),
    ("queries", "queries/show.json"),
    ("results", "results/rows.json"),
    ("topics", "topics/list.json"),
    ("publish", "publish/document.json"),
    ("webhook-subscriptions", "webhook-subscriptions/show.json"),
    ("entity-subscriptions", "entity-subscriptions/list.json"),
    ("entity-events", "entity-events/event.json"),
    ("openapi", "openapi/document.json"),
    ("query-completion", "query-completion/succeeded.json"),
    ("commit", "commit/event.json"),
    ("fanout", "fanout/segment.json"),
    ("client-tasks", "client-tasks/labels.json"),
    ("deliver", "deliver/event.json"),
    ("render", "render/rendering.json"),
    ("attempt-counts", "attempt-counts/attempts.json"),
];

#[tokio::main]
async fn main() -> Result<()> {
    let aws = Aws::start().await?;
    let db = stack::dynamodb(&aws);
    stack::create_tables(&db).await?;
    match Arguments::parse().what {
        What::Patches => print(&patches::measure()?),
        What::Init {
            starts,
            warm,
            peer,
            functions,
        } => {
            stack::add_sample_client(&db).await?;
            let mut subjects = Vec::new();
            for (name, event) in EVENTS {
                if functions.is_empty() || functions.iter().any(|it| it == name) {
                    subjects.push(Subject {
                        name: (*name).to_owned(),
                        program: bootstrap(name),
                        arguments: Vec::new(),
                        event: read(event)?,
                    });
                }
            }
            for peer in peer {
                subjects.push(parse_peer(&peer)?);
            }
            print(&init::measure(&aws, subjects, &Times { starts, warm }).await?)
        }
        What::Deliver {
            deliveries,
            runs,
            endpoints,
        } => {
            print(&deliver::all(&aws, &db, Path::new(BINARIES), deliveries, runs, endpoints).await?)
        }
        What::FanOut { most } => {
            stack::add_sample_client(&db).await?;
            let mut pipeline = start_pipeline(&aws).await?;
            print(&fan_out::all(&aws, &db, &mut pipeline, most).await?)
        }
        What::Published { seconds, users } => {
            stack::add_sample_client(&db).await?;
            let mut measured = Vec::new();
            for scenario in published::scenarios() {
                if users.is_none_or(|it| it == scenario.users) {
                    let pipeline = start_pipeline(&aws).await?;
                    measured.push(published::alone(&db, pipeline, scenario, seconds).await?);
                }
            }
            print(&measured)
        }
        What::LocalStack {
            seconds,
            users,
            url,
            key,
        } => {
            let api = LocalStack::new(url, key);
            let mut measured = Vec::new();
            for scenario in published::scenarios() {
                // On a local stack, a FIFO queue hands over one batch at a time, whatever its
                // topics.
                if scenario.users <= users && scenario.topics == 1 {
                    measured.push(api.measure(scenario, seconds).await?);
                }
            }
            print(&measured)
        }
    }
}

async fn start_pipeline(aws: &Aws) -> Result<Pipeline> {
    Pipeline::start(aws, Path::new(BINARIES), Path::new(LOGS).to_owned()).await
}

fn bootstrap(name: &str) -> PathBuf {
    Path::new(BINARIES).join(name).join("bootstrap")
}

fn read(event: &str) -> Result<Bytes> {
    let path = Path::new("events").join(event);
    let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
    // Without the white space of a file for people, as Lambda hands it over.
    let value: Value = serde_json::from_slice(&text)?;
    Ok(Bytes::from(value.to_string()))
}

fn parse_peer(text: &str) -> Result<Subject> {
    let (name, command) = text.split_once('=').context("a peer is name=command")?;
    let mut words = command.split_whitespace().map(str::to_owned);
    Ok(Subject {
        name: name.to_owned(),
        program: words.next().context("a peer has a program")?.into(),
        arguments: words.collect(),
        event: read("subscribe/callback-url.json")?,
    })
}

fn print(measured: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(measured)?);
    Ok(())
}
