//! Output: a table for people, JSON for scripts.

use comfy_table::{Table, presets};
use serde::Serialize;

/// How to print.
#[derive(Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// JSON or tables.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints one thing: a JSON object, or a line for each of its `fields`.
    pub fn one(self, thing: &impl Serialize, fields: &[(&str, &str)]) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(thing)?);
            return Ok(());
        }
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in fields {
            println!("{name:width$}  {value}");
        }
        Ok(())
    }

    /// Prints many things: a JSON array, or a table with a row for each.
    pub fn many(
        self,
        things: &[impl Serialize],
        columns: &[&str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(things)?);
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(columns);
        table.add_rows(rows);
        println!("{table}");
        Ok(())
    }

    /// Prints a remark, to people only.
    pub fn remark(self, text: &str) {
        if !self.json {
            println!("\n{text}");
        }
    }
}
