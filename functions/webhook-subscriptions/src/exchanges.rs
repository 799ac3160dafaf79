//! `GET /subscribers/webhook/subscriptions/{subscriptionId}/exchanges`: the record of the attempts of a
//! subscription's deliveries.

use bellwire_api::{Failure, called_path, ok};
use bellwire_domain::timestamp;
use bellwire_domain::topic::shards::Shards;
use bellwire_store::subscription::Subscription;
use lambda_http::http::{HeaderValue, Response, header};
use lambda_http::{Body, Request, RequestExt};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::WebhookSubscriptionsFunction;
use crate::exchange_view::ExchangeView;

/// The length of the period of time when the request has no `start`.
const RECENT: Duration = Duration::minutes(5);
/// The largest response, in bytes of JSON: Lambda returns at most 6 MB.
const MAX_ANSWER: usize = 5 * 1024 * 1024;

/// The period of time that a request asks for, both ends inclusive.
struct Stretch {
    start: OffsetDateTime,
    end: OffsetDateTime,
}

impl WebhookSubscriptionsFunction {
    /// The exchanges whose requests were sent from `start` to `end`, oldest first. If they don't fit
    /// into one response, its `Link` header has the next page. `shards` are those of the topic.
    ///
    /// # Errors
    /// 400 when a parameter is malformed, or `start` is after `end`; 500 when the table fails.
    pub(crate) async fn exchanges(
        &self,
        subscription: &Subscription,
        shards: Shards,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let stretch = Stretch::of(request)?;
        let parameters = request.query_string_parameters();
        let mut after = parameters.first("after").map(str::to_owned);
        if after.as_ref().is_some_and(|after| after.len() > MAX_AFTER) {
            return Err(Failure::field("after", "is no place in the list"));
        }
        let now = OffsetDateTime::now_utc();
        let (mut views, mut length) = (Vec::new(), 0);
        loop {
            let page = self
                .attempts
                .between(subscription, shards, stretch.start, stretch.end, after, now)
                .await?;
            for attempt in &page.attempts {
                let view = ExchangeView::of(attempt);
                let exchange = serde_json::to_value(view).map_err(Failure::internal)?;
                // In what Lambda returns, the response is a string in JSON, so that it is quoted once
                // more.
                length += serde_json::to_string(&exchange.to_string()).map_or(0, |it| it.len());
                views.push(exchange);
            }
            after = page.next_cursor;
            if after.is_none() || length > MAX_ANSWER - MAX_PAGE {
                break;
            }
        }
        let mut response = ok(&Value::Array(views))?;
        if let Some(after) = after {
            let next = stretch.link(called_path(request), &after);
            let value = HeaderValue::from_str(&next).map_err(Failure::internal)?;
            response.headers_mut().insert(header::LINK, value);
        }
        Ok(response)
    }
}

/// The most bytes that one page of the table adds: it is read from 1 MB of items, and quoted twice.
const MAX_PAGE: usize = 2 * 1024 * 1024;
/// No cursor is longer, in bytes.
const MAX_AFTER: usize = 250;

impl Stretch {
    /// Reads `start` and `end`, which is now if it is missing.
    fn of(request: &Request) -> Result<Self, Failure> {
        let parameters = request.query_string_parameters();
        let time = |name: &str| {
            let text = parameters.first(name);
            text.map(|text| timestamp::parse(text).ok_or_else(|| bad_time(name)))
                .transpose()
        };
        let end = time("end")?.unwrap_or_else(OffsetDateTime::now_utc);
        let start = time("start")?.unwrap_or(end.saturating_sub(RECENT));
        if start > end {
            return Err(Failure::field("start", "must not be after end"));
        }
        Ok(Self { start, end })
    }

    /// The `Link` header of the next page, which begins after the cursor `after`. `path` is the list's.
    fn link(&self, path: &str, after: &str) -> String {
        let (start, end) = (timestamp::iso(self.start), timestamp::iso(self.end));
        // Except for `#`, none of them has a character that a query string can't have.
        let after = after.replace('#', "%23");
        format!("<{path}?start={start}&end={end}&after={after}>; rel=\"next\"")
    }
}

/// 400: this parameter is not a time.
fn bad_time(name: &str) -> Failure {
    Failure::field(
        name,
        "must be a date and time with a zone, such as 2021-01-10T10:13:32Z",
    )
}
