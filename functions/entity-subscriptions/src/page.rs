//! The parameters `cursor` and `limit`: which page of a list a request asks for.

use bellwire_api::Failure;
use bellwire_domain::cursor;
use lambda_http::{Request, RequestExt};

/// The most entries of a page, and the limit of requests without one.
const MAX_LIMIT: i32 = 100;

/// A page of a list that is requested.
pub struct PageRequest {
    /// The cursor, decoded: the position after which the page begins; `None` for the first page.
    pub after: Option<String>,
    /// The most entries that it has.
    pub limit: i32,
}

impl PageRequest {
    /// Reads `cursor` and `limit`. `is_cursor` returns whether a text may be a position in this list.
    ///
    /// # Errors
    /// 400 when one of them is malformed, or `limit` is out of range.
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
                cursor::decode(text)
                    .filter(|place| is_cursor(place))
                    .ok_or_else(|| Failure::field("cursor", "is none that this list has given"))
            })
            .transpose()?;
        Ok(Self { after, limit })
    }
}
