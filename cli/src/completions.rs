//! `bellwire completions`: a script that completes the commands in a shell.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

/// The shell.
#[derive(Args)]
pub struct For {
    /// The shell that the script is for
    shell: Shell,
}

/// Prints the script for the commands of `C`.
///
/// # Errors
/// When nobody reads it.
pub fn run<C: CommandFactory>(wanted: &For) -> anyhow::Result<()> {
    // Made whole first: what `generate` can't write, it panics at.
    let mut script = Vec::new();
    generate(wanted.shell, &mut C::command(), "bellwire", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
