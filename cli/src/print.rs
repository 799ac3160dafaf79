//! Output: a table for people, JSON for scripts.
//!
//! Everything is written with errors instead of panics, because the reader may stop reading, as
//! `bellwire clients list | head -1` does.

use std::io::{self, Write};

use bellwire_domain::timestamp;
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

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
            return json_line(thing);
        }
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in fields {
            // A value of several lines can't look like several fields.
            let indented = value.replace('\n', &format!("\n{:width$}  ", ""));
            line(&format!("{name:width$}  {indented}"))?;
        }
        Ok(())
    }

    /// Prints one thing, like [`Self::one`], without the fields that are empty.
    pub fn lines(self, thing: &impl Serialize, fields: &[(&str, String)]) -> anyhow::Result<()> {
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        let fields: Vec<(&str, &str)> = fields.map(|(name, it)| (*name, it.as_str())).collect();
        self.one(thing, &fields)
    }

    /// Prints one of many things that come one after the other: a JSON object in a line, or this text.
    pub fn next(self, thing: &impl Serialize, text: &str) -> anyhow::Result<()> {
        if self.json {
            return json_line(thing);
        }
        line(text)
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
            return json_line(things);
        }
        if things.is_empty() {
            return line(&format!("There are no {kind}."));
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(columns);
        table.add_rows(rows);
        // A row ends with its last word: comfy-table fills it up.
        for row in table.to_string().lines() {
            line(row.trim_end())?;
        }
        Ok(())
    }

    /// Prints a remark for people; nothing when JSON is printed.
    pub fn remark(self, text: &str) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        line(&format!("\n{text}"))
    }
}

fn json_line(thing: &(impl Serialize + ?Sized)) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{}", json(thing)?)?)
}

/// JSON without the control characters that JSON itself lets stand, U+007F to U+009F: escaped, they mean the same.
fn json(thing: &(impl Serialize + ?Sized)) -> serde_json::Result<String> {
    let text = serde_json::to_string(thing)?;
    if !text.contains(char::is_control) {
        return Ok(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    Ok(escaped)
}

fn line(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{}", printable(text))?)
}

/// A text without what a terminal obeys: endpoints' answers and customers' names are not ours.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A time, as in `2026-01-31 12:00:00`, in UTC.
pub fn to_the_second(time: OffsetDateTime) -> String {
    timestamp::spaced(time).chars().take(19).collect()
}

/// What is written as JSON elsewhere, in a line: the text, if it is one.
pub fn words(thing: &impl Serialize) -> String {
    match serde_json::to_value(thing) {
        Ok(Value::String(text)) => text,
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Whether a command failed because nobody reads its output any more.
pub fn nobody_reads(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}

#[test]
fn what_a_terminal_obeys_is_escaped() {
    assert_eq!(
        printable("a\x1b[2J\r\nb\tc é\u{9b}"),
        "a\\u{1b}[2J\\u{d}\nb\tc é\\u{9b}"
    );
}

#[test]
fn in_json_it_is_escaped_as_json_does() {
    let text = "a\x1b\u{7f}\u{9b}é";
    let written = json(text).unwrap_or_default();
    assert_eq!(written, r#""a\u001b\u007f\u009bé""#);
    assert_eq!(
        serde_json::from_str::<String>(&written).ok().as_deref(),
        Some(text)
    );
}
