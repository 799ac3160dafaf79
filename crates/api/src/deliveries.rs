//! Lists of deliveries, of whatever protocol: which of them are requested, and how many fit into a response.

use bellwire_domain::cursor;
use bellwire_domain::delivery::retry::RetrySchedule;
use bellwire_domain::delivery::state::DeliveryState;
use bellwire_domain::timestamp;
use bellwire_store::delivery_list::{DeliveriesWanted, DeliveryPage};
use bellwire_store::delivery_record::DeliveryRecord;
use bellwire_store::{Attempts, Subscription};
use lambda_http::{Request, RequestExt};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::Failure;

/// The length of the period of time when the request has no `start`.
const RECENT: Duration = Duration::hours(24);
/// How many deliveries a page has when `limit` is missing.
const DEFAULT_LIMIT: usize = 20;
/// The most deliveries of a page.
const MAX_LIMIT: usize = 100;
/// The statuses that a response can have.
const CODES: std::ops::RangeInclusive<u16> = 100..=999;
/// The longest list, in bytes, quoted once more, as Lambda returns it: 6 MB at most.
const MAX_ANSWER: usize = 5 * 1024 * 1024;
/// The longest delivery, in the same way.
const MAX_DELIVERY: usize = 2 * 1024 * 1024;

/// What a protocol calls the type of an event.
#[derive(Clone, Copy, Debug)]
pub struct EventTypes {
    /// The name of the parameter.
    pub parameter: &'static str,
    /// The types that there are.
    pub all: &'static [&'static str],
}

/// Which deliveries a request asks for.
#[derive(Clone, Debug)]
pub struct DeliveryRequest {
    /// The stretch of time, and the page.
    pub wanted: DeliveriesWanted,
    /// The state that they have; `None` for any.
    pub state: Option<DeliveryState>,
    /// What was sent; `None` for anything.
    pub event_type: Option<&'static str>,
    /// The status of the response to the latest attempt; `None` for any.
    pub code: Option<u16>,
}

impl DeliveryRequest {
    /// Reads `state`, the parameter of `types`, `code`, `start`, `end`, `limit` and `cursor`.
    ///
    /// # Errors
    /// 400 when one of them is malformed or out of range, or `start` is after `end`.
    pub fn of(request: &Request, types: EventTypes, now: OffsetDateTime) -> Result<Self, Failure> {
        let parameters = request.query_string_parameters();
        let state = parameters.first("state").map(str::parse).transpose();
        let event_type = parameters.first(types.parameter).map(|text| {
            let found = types.all.iter().copied().find(|it| *it == text);
            let problem = || format!("must be one of {}", types.all.join(", "));
            found.ok_or_else(|| Failure::field(types.parameter, problem()))
        });
        let code = parameters.first("code").map(|text| {
            let code = text.parse().ok().filter(|code| CODES.contains(code));
            let problem = || format!("must be a number from {} to {}", CODES.start(), CODES.end());
            code.ok_or_else(|| Failure::field("code", problem()))
        });
        let limit = parameters.first("limit").map(|text| {
            let limit = text.parse().ok().filter(|it| (1..=MAX_LIMIT).contains(it));
            let problem = || format!("must be a number from 1 to {MAX_LIMIT}");
            limit.ok_or_else(|| Failure::field("limit", problem()))
        });
        let after = parameters.first("cursor").map(|text| {
            let place = cursor::decode(text).filter(|it| Attempts::is_delivery_cursor(it));
            place.ok_or_else(|| Failure::field("cursor", "is none that this list has given"))
        });
        let time = |name: &str| {
            let text = parameters.first(name);
            text.map(|text| timestamp::parse(text).ok_or_else(|| bad_time(name)))
                .transpose()
        };
        let end = time("end")?.unwrap_or(now);
        let start = time("start")?.unwrap_or(end.saturating_sub(RECENT));
        if start > end {
            return Err(Failure::field("start", "must not be after end"));
        }
        Ok(Self {
            wanted: DeliveriesWanted {
                start,
                end,
                after: after.transpose()?,
                limit: limit.transpose()?.unwrap_or(DEFAULT_LIMIT),
            },
            state: state.map_err(|bad| Failure::field("state", bad))?,
            event_type: event_type.transpose()?,
            code: code.transpose()?,
        })
    }

    /// Whether a delivery is one of those that are asked for.
    pub fn matches(
        &self,
        delivery: &DeliveryRecord,
        subscription: &Subscription,
        schedule: &RetrySchedule,
        now: OffsetDateTime,
    ) -> bool {
        let of_type = self.event_type.is_none_or(|it| it == delivery.event_type());
        let latest = delivery.latest().and_then(|latest| latest.status);
        let of_code = self.code.is_none_or(|code| latest == Some(code));
        let of_state = || {
            let state = self.state;
            state.is_none_or(|state| state == delivery.state(subscription, schedule, now))
        };
        of_type && of_code && of_state()
    }
}

/// 400: this parameter is not a time.
fn bad_time(name: &str) -> Failure {
    Failure::field(
        name,
        "must be a date and time with a zone, such as 2021-01-10T10:13:32Z",
    )
}

/// What is shown of a page, as far as it fits into a response, and the cursor of the next page, as it is shown.
///
/// # Errors
/// When one can't be shown.
pub fn fitting(
    page: DeliveryPage,
    show: impl Fn(&DeliveryRecord) -> Result<Value, Failure>,
) -> Result<(Vec<Value>, Option<String>), Failure> {
    let (mut shown, mut length) = (Vec::new(), 0);
    let mut last: Option<String> = None;
    for delivery in page.deliveries {
        let position = delivery.position.clone();
        let (value, bytes) = shortened(delivery, &show)?;
        if length + bytes > MAX_ANSWER && last.is_some() {
            return Ok((shown, last.as_deref().map(cursor::encode)));
        }
        length += bytes;
        shown.push(value);
        last = Some(position);
    }
    Ok((shown, page.next_cursor.as_deref().map(cursor::encode)))
}

/// What is shown of one delivery: without its oldest attempts, if it is too long.
///
/// # Errors
/// When it can't be shown.
pub fn fitting_one(
    delivery: DeliveryRecord,
    show: impl Fn(&DeliveryRecord) -> Result<Value, Failure>,
) -> Result<Value, Failure> {
    Ok(shortened(delivery, &show)?.0)
}

/// What is shown of a delivery, and how many bytes of a response it takes.
fn shortened(
    mut delivery: DeliveryRecord,
    show: &impl Fn(&DeliveryRecord) -> Result<Value, Failure>,
) -> Result<(Value, usize), Failure> {
    loop {
        let value = show(&delivery)?;
        // In what Lambda returns, the response is a string in JSON, so that it is quoted once more.
        let bytes = serde_json::to_string(&value.to_string()).map_or(0, |it| it.len());
        let half = delivery.attempts.len() / 2;
        if bytes <= MAX_DELIVERY || half == 0 {
            return Ok((value, bytes));
        }
        delivery.attempts.truncate(half);
        delivery.attempts_truncated = true;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const TYPES: EventTypes = EventTypes {
        parameter: "eventType",
        all: &["event", "patch"],
    };

    fn read(parameters: &[(&str, &str)]) -> Result<DeliveryRequest, Failure> {
        let request = http::Request::get("/")
            .body(lambda_http::Body::Empty)
            .unwrap();
        let parameters: HashMap<String, String> = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let request = request.with_query_string_parameters(parameters);
        DeliveryRequest::of(&request, TYPES, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn without_parameters_it_is_the_last_day() {
        let DeliveryRequest { wanted, .. } = read(&[]).unwrap();
        assert_eq!(wanted.end, OffsetDateTime::UNIX_EPOCH);
        assert_eq!(wanted.end - wanted.start, Duration::DAY);
        assert_eq!((wanted.limit, wanted.after), (20, None));
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let place = "2026-01-01T00:00:00.000000Z#e1";
        let asked = read(&[
            ("state", "failed"),
            ("eventType", "patch"),
            ("code", "503"),
            ("start", "2026-01-01T00:00:00+01:00"),
            ("end", "2026-01-01T00:00:00Z"),
            ("limit", "100"),
            ("cursor", &cursor::encode(place)),
        ])
        .unwrap();
        assert_eq!(asked.state, Some(DeliveryState::Failed));
        assert_eq!((asked.event_type, asked.code), (Some("patch"), Some(503)));
        let wanted = asked.wanted;
        assert_eq!(wanted.end - wanted.start, Duration::HOUR);
        assert_eq!((wanted.limit, wanted.after.as_deref()), (100, Some(place)));
    }

    #[test]
    fn what_is_malformed_is_named() {
        let cursors = [
            cursor::encode("2026"),
            cursor::encode("x#y"),
            cursor::encode(""),
        ];
        for (name, value) in [
            ("state", ""),
            ("state", "DELIVERED"),
            ("eventType", "snapshot"),
            ("code", "99"),
            ("code", "1000"),
            ("code", "x"),
            ("start", "2026-01-01"),
            ("end", "2026-01-01T00:00:00"),
            ("start", "1971-01-01T00:00:00Z"),
            ("limit", "0"),
            ("limit", "101"),
            ("cursor", ""),
            ("cursor", "*"),
            ("cursor", &cursors[0]),
            ("cursor", &cursors[1]),
            ("cursor", &cursors[2]),
        ] {
            let refused = read(&[(name, value)]).unwrap_err();
            assert_eq!(refused.status(), 400);
            assert_eq!(refused.named_field(), Some(name), "{name}={value}");
        }
    }
}
