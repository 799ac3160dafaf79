//! Webhooks: an attempt is a signed POST, its outcome the status of the answer, and its record both.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bellwire_domain::delivery::outcome::{AttemptOutcome, outcome, status_message};
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::timestamp::iso_duration;
use bellwire_outbound::{Answer, Exchange, Sender};
use bellwire_store::exchanges::{CallbackRecord, Exchange as AttemptRecord};
use bellwire_store::subscription::Webhook;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use time::OffsetDateTime;

use crate::Error;
use crate::rendered::{Rendered, add};
use crate::targets::access_token::{AccessTokens, TokenRefused};

const REDACTED: &str = "[redacted]";
/// What a request for an access token that ends by its own limit has left to say so.
const MOMENT: Duration = Duration::from_secs(1);
/// The most headers of an answer that are recorded, and the most characters of each.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_NAME: usize = 128;
const MAX_HEADER_LENGTH: usize = 1024;

/// An attempt that was made.
#[derive(Debug)]
pub struct AttemptResult {
    /// What it means for the delivery.
    pub outcome: AttemptOutcome,
    /// What is recorded of it.
    pub record: AttemptRecord,
}

/// Sends deliveries to webhooks.
#[derive(Debug)]
pub struct WebhookSender {
    sender: Sender,
    access_tokens: AccessTokens,
    retries: usize,
}

impl WebhookSender {
    /// `exchange` is how long the sender gives a request and its answer; `retries` how many retries a
    /// delivery has, which records show.
    pub fn new(sender: Sender, exchange: Duration, retries: usize) -> Self {
        Self {
            access_tokens: AccessTokens::new(sender.clone(), exchange + MOMENT),
            sender,
            retries,
        }
    }

    /// Attempts a delivery after so many attempts that failed.
    ///
    /// # Errors
    /// When the request can't be written: a damaged item, or a defect. Everything that an endpoint does is
    /// an outcome.
    pub async fn attempt(
        &self,
        subscription_id: &SubscriptionId,
        webhook: &Webhook,
        rendered: Rendered,
        failures: usize,
    ) -> Result<AttemptResult, Error> {
        let sent_at = OffsetDateTime::now_utc();
        let own = own_headers(webhook, &rendered, failures, sent_at)?;
        let mut headers = own.clone();
        for (name, value) in webhook.headers.expose() {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            headers.insert(name, HeaderValue::from_str(value)?);
        }
        let mut record = self.record(subscription_id, webhook, &rendered, failures, &own, sent_at);
        let mut token = None;
        if let Some(authorization) = &webhook.authorization {
            match self.access_tokens.get(authorization).await {
                Ok(header) => {
                    headers.insert(AUTHORIZATION, header.clone());
                    token = Some((authorization, header));
                }
                Err(TokenRefused(reason)) => {
                    record.error_message = Some(format!("no access token: {reason}"));
                    let outcome = AttemptOutcome::Failed { leave_alone: None };
                    return Ok(AttemptResult { outcome, record });
                }
            }
        }
        let url = &webhook.url;
        let exchange = self.sender.post(url, headers, rendered.body).await;
        if let (Ok(answer), Some((authorization, header))) = (&exchange.outcome, &token)
            && matches!(
                answer.status,
                http::StatusCode::UNAUTHORIZED | http::StatusCode::FORBIDDEN
            )
        {
            self.access_tokens.forget(authorization, header).await;
        }
        Ok(AttemptResult {
            outcome: outcome_of(&exchange),
            record: complete(record, exchange),
        })
    }

    /// The record of a request that is about to be sent.
    fn record(
        &self,
        subscription_id: &SubscriptionId,
        webhook: &Webhook,
        rendered: &Rendered,
        failures: usize,
        own: &HeaderMap,
        sent_at: OffsetDateTime,
    ) -> AttemptRecord {
        let mut shown: BTreeMap<String, String> = own.iter().map(recorded_header).collect();
        let secret = webhook.headers.redacted();
        shown.extend(
            secret
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        if webhook.authorization.is_some() {
            shown.insert("authorization".to_owned(), REDACTED.to_owned());
        }
        let retry = (failures > 0).then_some(failures);
        AttemptRecord {
            subscription_id: subscription_id.clone(),
            pipeline_id: rendered.delivery_id.to_string(),
            event_type: rendered.event_type.to_owned(),
            request_datetime: sent_at,
            request_duration: iso_duration(Duration::ZERO),
            request_url: webhook.url.clone(),
            request_headers: shown,
            request_retry_attempts: retry,
            request_retry_max_attempts: retry.map(|_| self.retries),
            response_code: None,
            response_headers: BTreeMap::new(),
            response_body: None,
            response_size: None,
            error_message: None,
            callback: rendered.records_body.then(|| CallbackRecord {
                body: String::from_utf8_lossy(&rendered.body).into_owned(),
                next_attempt: None,
            }),
        }
    }
}

impl AttemptResult {
    /// Has the record say when the delivery is retried, if the protocol shows that.
    pub fn retried_in(&mut self, pause: Duration) {
        if let Some(callback) = &mut self.record.callback {
            callback.next_attempt = Some(OffsetDateTime::now_utc() + pause);
        }
    }
}

/// The headers that are ours: those of Standard Webhooks, of the protocol, and the number of the attempt.
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
pub(crate) fn own_headers(
    webhook: &Webhook,
    rendered: &Rendered,
    failures: usize,
    sent_at: OffsetDateTime,
) -> Result<HeaderMap, Error> {
    let id = rendered.delivery_id.as_str();
    let signature = webhook.secrets.sign(id, sent_at, &rendered.body)?;
    let mut headers = rendered.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("Bellwire"));
    add(&mut headers, "webhook-id", id)?;
    let timestamp = sent_at.unix_timestamp().to_string();
    add(&mut headers, "webhook-timestamp", &timestamp)?;
    add(&mut headers, "webhook-signature", &signature)?;
    let attempt = (failures + 1).to_string();
    add(&mut headers, "x-bellwire-attempt", &attempt)?;
    if let Some(origin) = &webhook.origin {
        add(&mut headers, "origin", origin)?;
    }
    Ok(headers)
}

/// What the status of an answer means; no answer is a failure.
fn outcome_of(exchange: &Exchange) -> AttemptOutcome {
    match &exchange.outcome {
        Ok(answer) => outcome(answer.status, &answer.headers, SystemTime::now()),
        Err(_) => AttemptOutcome::Failed { leave_alone: None },
    }
}

/// The record with what came of the request.
fn complete(record: AttemptRecord, exchange: Exchange) -> AttemptRecord {
    let request_duration = iso_duration(exchange.duration);
    match exchange.outcome {
        Err(failure) => AttemptRecord {
            request_duration,
            error_message: Some(failure.to_string()),
            ..record
        },
        Ok(answer) => AttemptRecord {
            request_duration,
            response_code: Some(answer.status.as_u16()),
            response_size: size(&answer).map(|bytes| format!("{bytes}B")),
            response_headers: answer
                .headers
                .iter()
                .take(MAX_HEADERS)
                .map(recorded_header)
                .collect(),
            response_body: Some(String::from_utf8_lossy(&answer.body).into_owned())
                .filter(|body| !body.is_empty()),
            error_message: (!answer.status.is_success()).then(|| status_message(answer.status)),
            ..record
        },
    }
}

/// How long the body of an answer is; unknown when it was cut and doesn't say.
fn size(answer: &Answer) -> Option<usize> {
    if answer.cut {
        answer
            .headers
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    } else {
        Some(answer.body.len())
    }
}

fn recorded_header((name, value): (&HeaderName, &HeaderValue)) -> (String, String) {
    let value = String::from_utf8_lossy(value.as_bytes());
    (
        name.as_str().chars().take(MAX_HEADER_NAME).collect(),
        value.chars().take(MAX_HEADER_LENGTH).collect(),
    )
}
