//! `bellwire`: what the operator of a stack does from a terminal.
//!
//! Works against AWS, or against a local stack, by the usual AWS environment variables
//! (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …). The tables are found by the name of the
//! stack.

mod carried;
mod clients;
mod cost;
mod dead_letters;
mod dead_queues;
mod held;
mod lifecycle;
mod print;
mod progress;
mod stack;
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
    /// Spread the events of a topic with much traffic
    #[command(subcommand)]
    Topics(topics::Command),
    /// Look at what could not be delivered, and send it again
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Reckon what a month costs, from what was measured and AWS's list prices; needs no stack
    Cost(cost::Traffic),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    let done = match arguments.command {
        Command::Clients(command) => clients::run(command, &arguments.stack, output).await,
        Command::Topics(command) => topics::run(command, &arguments.stack, output).await,
        Command::DeadLetters(command) => dead_letters::run(command, &arguments.stack, output).await,
        Command::Cost(traffic) => cost::run(&traffic, output),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if print::nobody_reads(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bellwire: {error:#}");
            ExitCode::FAILURE
        }
    }
}
