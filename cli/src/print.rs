//! Output: a table for people, JSON for scripts.
//!
//! Everything is written with errors instead of panics, because the reader may stop reading, as
//! `bellwire clients list | head -1` does.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

/// How to print: for people or for scripts.
#[derive(Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Prints JSON if `json` is set, and tables otherwise.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints one thing: a JSON object, or a line for each of its `fields`.
    pub fn one(self, thing: &impl Serialize, fields: &[(&str, &str)]) -> anyhow::Result<()> {
        if self.json {
            return line(&serde_json::to_string(thing)?);
        }
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in fields {
            line(&format!("{name:width$}  {value}"))?;
        }
        Ok(())
    }

    /// Prints many things: a JSON array, or a table with a row for each. `kind` names them, in the
    /// plural, in the message that there are none.
    pub fn many(
        self,
        kind: &str,
        things: &[impl Serialize],
        columns: &[&str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> anyhow::Result<()> {
        if self.json {
            return line(&serde_json::to_string(things)?);
        }
        if things.is_empty() {
            return line(&format!("There are no {kind}."));
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(columns);
        table.add_rows(rows);
        line(&table.to_string())
    }

    /// Prints a remark for people; nothing when JSON is printed.
    pub fn remark(self, text: &str) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        line(&format!("\n{text}"))
    }
}

fn line(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Whether a command failed because nobody reads its output any more.
pub fn nobody_reads(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}
