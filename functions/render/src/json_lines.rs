//! Renders CSV, as Athena writes it, as JSON Lines: an object for each row, with a member for each
//! column. Values are strings, and NULL is null.

use std::io::Read;

use bellwire_domain::query::columns;
use simd_csv::{ZeroCopyByteRecord, ZeroCopyReaderBuilder};

/// Why a rendering failed.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The CSV can't be read, or is malformed.
    #[error("CSV: {0}")]
    Csv(#[from] simd_csv::Error),
    /// Nothing receives the parts any more: the upload has ended.
    #[error("the upload has ended")]
    Abandoned,
}

/// Renders CSV, and passes it to `give` in parts, each but the last of at least `part_size` bytes. At
/// most one part and one row are in memory. Returns the number of rows.
///
/// # Errors
/// When the CSV can't be read, or `give` fails.
pub fn render(
    csv: impl Read,
    part_size: usize,
    mut give: impl FnMut(Vec<u8>) -> Result<(), RenderError>,
) -> Result<u64, RenderError> {
    let mut reader = ZeroCopyReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(csv);
    let Some(header) = reader.read_byte_record()? else {
        give(Vec::new())?;
        return Ok(0);
    };
    let names: Vec<String> = (0..header.len())
        .map(|column| text(&header, column).unwrap_or_default())
        .collect();
    let members: Vec<Vec<u8>> = columns::unique(names.iter().map(String::as_str))
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let before = if column == 0 { "{" } else { "," };
            format!("{before}{}:", serde_json::Value::from(name.as_str())).into_bytes()
        })
        .collect();
    let mut parts = Parts {
        part: Vec::with_capacity(part_size),
        part_size,
        give,
    };
    let (mut row, mut rows) = (Vec::new(), 0);
    loop {
        let before = reader.position();
        let record = reader.read_byte_record()?;
        let (more, length) = (record.is_some(), record.as_ref().map_or(0, length));
        row.clear();
        if let Some(record) = record {
            write(&mut row, &members, |column| text(&record, column));
            rows += 1;
        }
        if members.len() == 1 {
            // An empty line, which the reader skips, is a NULL in the only column.
            let skipped = (reader.position() - before).saturating_sub(length);
            let mut null = Vec::new();
            write(&mut null, &members, |_| None);
            for _ in 0..skipped {
                parts.add(&null)?;
            }
            rows += skipped;
        }
        if !more {
            break;
        }
        parts.add(&row)?;
    }
    (parts.give)(parts.part)?;
    Ok(rows)
}

/// Collects rows into parts.
struct Parts<F> {
    part: Vec<u8>,
    part_size: usize,
    give: F,
}

impl<F: FnMut(Vec<u8>) -> Result<(), RenderError>> Parts<F> {
    /// Adds a row, and passes the part on if it is full.
    fn add(&mut self, row: &[u8]) -> Result<(), RenderError> {
        self.part.extend_from_slice(row);
        if self.part.len() < self.part_size {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.part, Vec::with_capacity(self.part_size));
        (self.give)(full)
    }
}

/// Appends a row as JSON. `members` are the beginnings of the object's members, and `value` returns the
/// value of a column.
fn write(row: &mut Vec<u8>, members: &[Vec<u8>], value: impl Fn(usize) -> Option<String>) {
    for (column, member) in members.iter().enumerate() {
        row.extend_from_slice(member);
        match value(column) {
            // Writing into memory doesn't fail.
            Some(value) => drop(serde_json::to_writer(&mut *row, &value)),
            None => row.extend_from_slice(b"null"),
        }
    }
    row.extend_from_slice(b"}\n");
}

/// The length of a row in the CSV, in bytes, with the end of its line.
fn length(record: &ZeroCopyByteRecord<'_>) -> u64 {
    record.as_slice().len() as u64 + 1
}

/// The text of a cell; `None` for NULL, which Athena writes as an empty cell without quotes.
fn text(record: &ZeroCopyByteRecord<'_>, column: usize) -> Option<String> {
    record.get(column).filter(|raw| !raw.is_empty())?;
    let unescaped = record.unescape(column)?;
    Some(String::from_utf8_lossy(&unescaped).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn rendered(csv: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let give = |part: Vec<u8>| {
            all.extend(part);
            Ok(())
        };
        let rows = render(csv.as_bytes(), 64, give).unwrap();
        let lines: Vec<Value> = String::from_utf8(all)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(rows, lines.len() as u64);
        lines
    }

    #[test]
    fn a_row_is_an_object_and_what_is_not_there_is_null() {
        let csv = "\"id\",\"name\",\"id\"\n\"1\",\"a \"\"b\"\", c\nd\",\"\"\n\"2\",,\n";
        assert_eq!(
            rendered(csv),
            [
                json!({"id": "1", "name": "a \"b\", c\nd", "id_2": ""}),
                json!({"id": "2", "name": null, "id_2": null}),
            ]
        );
    }

    #[test]
    fn a_single_column_may_be_null_too() {
        let rows = rendered("\"a\"\n\"1\"\n\n\"\"\n\n");
        assert_eq!(
            rows,
            [
                json!({"a": "1"}),
                json!({"a": null}),
                json!({"a": ""}),
                json!({"a": null})
            ]
        );
    }

    #[test]
    fn many_nulls_in_a_row_are_given_away_in_parts_too() {
        let csv = format!("\"a\"\n{}\"1\"\n", "\n".repeat(10_000));
        let mut longest = 0;
        let rows = render(csv.as_bytes(), 200, |part| {
            longest = longest.max(part.len());
            Ok(())
        });
        assert_eq!((rows.unwrap(), longest < 230), (10_001, true));
    }

    #[test]
    fn a_result_without_rows_has_none() {
        assert_eq!(rendered("\"a\",\"b\"\n"), [] as [Value; 0]);
        assert_eq!(rendered(""), [] as [Value; 0]);
    }

    #[test]
    fn parts_are_as_large_as_asked_for_but_for_the_last() {
        let csv = format!("\"a\"\n{}", "\"0123456789\"\n".repeat(100));
        let mut lengths = Vec::new();
        render(csv.as_bytes(), 200, |part| {
            lengths.push(part.len());
            Ok(())
        })
        .unwrap();
        let (last, others) = lengths.split_last().unwrap();
        assert!(
            others.iter().all(|length| (200..230).contains(length)),
            "{lengths:?}"
        );
        assert!(*last < 200);
    }

    fn athenas_csv(rows: &[Vec<Option<String>>]) -> String {
        let cell = |it: &Option<String>| match it {
            Some(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            None => String::new(),
        };
        let line =
            |row: &Vec<Option<String>>| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n";
        rows.iter().map(line).collect()
    }

    proptest! {
        #[test]
        fn every_value_comes_through(
            rows in proptest::collection::vec(
                proptest::collection::vec(proptest::option::of("[a\",\n\r é]{0,5}"), 2), 0..6
            )
        ) {
            let header = vec![vec![Some("a".to_owned()), Some("b".to_owned())]];
            let csv = athenas_csv(&header) + &athenas_csv(&rows);
            let expected: Vec<Value> = rows
                .iter()
                .map(|row| json!({"a": row[0], "b": row[1]}))
                .collect();
            prop_assert_eq!(rendered(&csv), expected);
        }
    }
}
