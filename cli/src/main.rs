//! `bellwire`: what the operator of a stack does from a terminal.
//!
//! Works against AWS, or against a local stack, by the usual AWS environment variables
//! (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …). The tables are found by the name of the
//! stack.

mod attempt_stream;
mod attempt_view;
mod clients;
mod completions;
mod cost;
mod dead_letters;
mod deliveries;
mod doctor;
mod interrupted;
mod lifecycle;
mod print;
mod progress;
mod publish;
mod stack;
mod stream_shards;
mod subscriptions;
mod tables;
mod tail;
mod topics;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::print::Output;

/// Runs a Bellwire stack: its clients and their keys, and what could not be delivered.
#[derive(Parser)]
#[command(name = "bellwire", version)]
struct Arguments {
    /// The name of the CloudFormation stack
    #[arg(
        long,
        global = true,
        env = "BELLWIRE_STACK",
        default_value = "bellwire"
    )]
    stack: String,

    /// Print JSON, for scripts
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create, list, change, disable, enable and remove the clients of the API, and their keys
    #[command(subcommand)]
    Clients(clients::Command),
    /// List and show topics, and spread the events of one with much traffic
    #[command(subcommand)]
    Topics(topics::Command),
    /// List and show subscriptions, of whatever client
    #[command(subcommand)]
    Subscriptions(subscriptions::Command),
    /// List and show what was sent to a subscription
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Publish an event or a document, with a publisher's API key
    Publish(publish::Publication),
    /// Follow the attempts of all subscriptions as they are made
    Tail(tail::TailOptions),
    /// Examine the stack. Exits with 1 if something is wrong, with 2 if something could not be examined
    Doctor(doctor::Wanted),
    /// Look at what could not be delivered, and send it again
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Reckon what a month costs, from what was measured and AWS's list prices; needs no stack
    Cost(cost::Traffic),
    /// Print a script that completes these commands in a shell
    Completions(completions::For),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    match run(arguments.command, &arguments.stack, output).await {
        Ok(code) => code,
        Err(error) if print::nobody_reads(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bellwire: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, stack: &str, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Clients(command) => clients::run(command, stack, output).await?,
        Command::Topics(command) => topics::run(command, stack, output).await?,
        Command::Subscriptions(command) => subscriptions::run(command, stack, output).await?,
        Command::Deliveries(command) => deliveries::run(command, stack, output).await?,
        Command::Publish(publication) => publish::run(publication, stack, output).await?,
        Command::Tail(options) => tail::run(options, stack, output).await?,
        Command::Doctor(wanted) => return doctor::run(&wanted, stack, output).await,
        Command::DeadLetters(command) => dead_letters::run(command, stack, output).await?,
        Command::Cost(traffic) => cost::run(&traffic, output)?,
        Command::Completions(wanted) => completions::run::<Arguments>(&wanted)?,
    }
    Ok(ExitCode::SUCCESS)
}
