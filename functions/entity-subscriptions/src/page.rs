//! Which part of a list a request asks for.

use bellwire_edge::Failure;
use bellwire_rules::cursor;
use lambda_http::{Request, RequestExt};

/// How many entries a page has, at most, and unless less is asked for.
const MAX_LIMIT: i32 = 100;

/// A part of a list.
pub struct PageRequest {
    /// Behind which place it begins; at the beginning when there is none.
    pub after: Option<String>,
    /// How many entries it has, at most.
    pub limit: i32,
}

impl PageRequest {
    /// What `cursor` and `limit` ask for. `is_cursor` says whether a text is a place in this
    /// list.
    ///
    /// # Errors
    /// 400 when they make no sense.
    pub fn of(request: &Request, is_cursor: fn(&str) -> bool) -> Result<Self, Failure> {
        let parameters = request.query_string_parameters();
        let limit = match parameters.first("limit") {
            None => MAX_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| {
                    Failure::field("limit", format!("must be a number from 1 to {MAX_LIMIT}"))
                })?,
        };
        let after = parameters
            .first("cursor")
            .map(|text| {
                cursor::place(text)
                    .filter(|place| is_cursor(place))
                    .ok_or_else(|| Failure::field("cursor", "is none that this list has given"))
            })
            .transpose()?;
        Ok(Self { after, limit })
    }
}
