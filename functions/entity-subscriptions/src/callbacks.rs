//! `GET /subscriptions/{key}/callbacks`: the log of the attempts of a subscription's deliveries.

use std::collections::BTreeMap;

use bellwire_api::{Failure, envelope};
use bellwire_domain::cursor;
use bellwire_domain::ids::DeliveryId;
use bellwire_domain::timestamp::{iso_duration, millis};
use bellwire_domain::topic::shards::Shards;
use bellwire_store::attempt_record::AttemptRecord;
use bellwire_store::{Attempts, Subscription};
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Serialize;
use time::OffsetDateTime;

use crate::EntitySubscriptionsFunction;
use crate::page::PageRequest;

#[derive(Serialize)]
struct Log<'a> {
    callbacks: Vec<Entry<'a>>,
    /// The cursor of the next page; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// One attempt: a request to the callback, and its response. Dates are in milliseconds since 1970.
#[derive(Serialize)]
pub struct Entry<'a> {
    date: i64,
    callback_event: &'a str,
    /// The id of the delivery, the same for all of its attempts.
    delivery_key: &'a DeliveryId,
    /// The number of the attempt, from 1.
    attempt: usize,
    /// Whether the owner asked for it, beside the schedule of retries; missing if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resend: bool,
    /// How long request and response took, as an ISO 8601 duration.
    duration: String,
    request: AttemptResult<'a>,
    /// Missing when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Received<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// When the delivery is retried; missing if it isn't, or that time has passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<i64>,
}

#[derive(Serialize)]
struct AttemptResult<'a> {
    url: &'a str,
    headers: &'a BTreeMap<String, String>,
    body: &'a str,
}

#[derive(Serialize)]
struct Received<'a> {
    status_code: u16,
    headers: &'a BTreeMap<String, String>,
    body: Option<&'a str>,
}

impl EntitySubscriptionsFunction {
    /// A page of a subscription's callback log, newest first. It is read from at most 1 MB of the
    /// table, so that it fits into a response.
    ///
    /// # Errors
    /// 400 when `cursor` or `limit` is malformed; 500 when the table fails.
    pub(crate) async fn callbacks(
        &self,
        subscription: &Subscription,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let page = PageRequest::of(request, Attempts::is_cursor)?;
        let limit = usize::try_from(page.limit).unwrap_or(0);
        let now = OffsetDateTime::now_utc();
        let page = self
            .attempts
            .newest(subscription, Shards::ONE, page.after, limit, now)
            .await?;
        // Retries to a disabled endpoint are not made.
        let due_after = match subscription.disabled {
            Some(_) => None,
            None => Some(OffsetDateTime::now_utc()),
        };
        let log = Log {
            callbacks: page
                .attempts
                .iter()
                .map(|attempt| Entry::of(attempt, due_after))
                .collect(),
            cursor: page.next_cursor.as_deref().map(cursor::encode),
        };
        envelope::page(request, &log, log.cursor.as_deref())
    }
}

impl<'a> Entry<'a> {
    /// The entry of an attempt. Its retry is left out if it isn't due after `due_after`, or that is
    /// `None`.
    pub fn of(attempt: &'a AttemptRecord, due_after: Option<OffsetDateTime>) -> Self {
        Self {
            date: millis(attempt.sent_at),
            callback_event: &attempt.event_type,
            delivery_key: &attempt.delivery_id,
            attempt: attempt.failures + 1,
            resend: attempt.resend,
            duration: iso_duration(attempt.duration_ms),
            request: AttemptResult {
                url: &attempt.url,
                headers: &attempt.request_headers,
                body: attempt.request_body.as_deref().unwrap_or_default(),
            },
            response: attempt.status.map(|status_code| Received {
                status_code,
                headers: &attempt.response_headers,
                body: attempt.response_body.as_deref(),
            }),
            error: attempt.error.as_deref(),
            next_attempt: attempt
                .next_attempt
                .filter(|at| due_after.is_some_and(|now| *at > now))
                .map(millis),
        }
    }
}
