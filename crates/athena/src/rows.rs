//! The rows of a result, page by page.

use aws_sdk_athena::types::{ResultSet, Row};
use bellwire_domain::query::columns;
use bellwire_domain::{ExecutionId, cursor};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::{Athena, AthenaError};

/// The most rows of one page.
pub const MAX_ROWS: u16 = 1000;
/// The largest page, in bytes of JSON: Lambda returns at most 6 MB, as a string in JSON.
const MAX_PAGE: usize = 5 * 1024 * 1024;

/// A page of a result's rows.
#[derive(Debug)]
pub struct Page {
    /// The rows of the page; at most [`MAX_ROWS`].
    pub rows: Vec<Record>,
    /// The token of the next page; `None` on the last one.
    pub next_token: Option<String>,
}

/// A row: an object with a member for each column, in the order of the columns. Values are texts,
/// as Athena writes them, or null.
#[derive(Debug)]
pub struct Record(Vec<(String, Option<String>)>);

/// The token is malformed, has expired, or is of another query's result.
#[derive(Debug, thiserror::Error)]
#[error("is not the token of a page of this query's result")]
pub struct BadToken;

impl Athena {
    /// The page of a finished query's result that the token stands for (the first when there is
    /// none), with at most `count` rows; with fewer when they are large.
    pub async fn page(
        &self,
        id: &ExecutionId,
        token: Option<&str>,
        count: u16,
    ) -> Result<Result<Page, BadToken>, AthenaError> {
        let Ok(place) = token.map(|token| place_in(id, token)).transpose() else {
            return Ok(Err(BadToken));
        };
        // On the first page, the names of the columns are a row.
        let header = usize::from(place.is_none());
        let mut asked = (usize::from(count) + header).min(usize::from(MAX_ROWS));
        loop {
            let number = i32::try_from(asked).unwrap_or(i32::MAX);
            let (set, next) = match self.rows(id, place.clone(), number).await {
                // Athena's own token, inside Bellwire's, was tampered with or has expired.
                Err(AthenaError::Refused(_)) if place.is_some() => return Ok(Err(BadToken)),
                answer => answer?,
            };
            let page = Page {
                rows: records(&set, header),
                next_token: next.map(|next| cursor::encode(&format!("{id}#{next}"))),
            };
            let least = 1 + header;
            if asked <= least || page.length() <= MAX_PAGE {
                return Ok(Ok(page));
            }
            asked = (asked / 2).max(least);
        }
    }
}

impl Page {
    /// How long the page is in an answer, where it is a string in JSON.
    fn length(&self) -> usize {
        // What can't be written doesn't fit.
        let Ok(text) = serde_json::to_string(&self.rows) else {
            return usize::MAX;
        };
        text.len() + text.bytes().filter(|it| matches!(it, b'"' | b'\\')).count()
    }
}

/// Athena's token inside Bellwire's, if that belongs to this execution.
fn place_in(id: &ExecutionId, token: &str) -> Result<String, BadToken> {
    let place = cursor::decode(token).ok_or(BadToken)?;
    let of_this = place.split_once('#').filter(|(of, _)| *of == id.as_str());
    of_this.map(|(_, token)| token.to_owned()).ok_or(BadToken)
}

fn records(set: &ResultSet, header: usize) -> Vec<Record> {
    let infos = set.result_set_metadata().map(|it| it.column_info());
    let names = columns::unique(infos.unwrap_or_default().iter().map(|info| info.name()));
    let rows = set.rows().iter().skip(header);
    rows.map(|row| record(&names, row)).collect()
}

fn record(names: &[String], row: &Row) -> Record {
    let values = row.data().iter().map(|datum| datum.var_char_value.clone());
    let values = values.chain(std::iter::repeat(None));
    Record(names.iter().cloned().zip(values).collect())
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
